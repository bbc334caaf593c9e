"""What the journal asks of a file system."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 20


if sys.platform == "darwin":

    def _allocate(descriptor: int, size: int) -> None:
        os.pwrite(descriptor, bytes(size), 0)

    def _sync(descriptor: int) -> None:
        # There, `fsync` leaves data in the memory of the drive.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)

else:

    def _allocate(descriptor: int, size: int) -> None:
        os.posix_fallocate(descriptor, 0, size)

    def _sync(descriptor: int) -> None:
        os.fdatasync(descriptor)


class Disk:
    """The files of this machine. Every method may block and raises `OSError`; a test may put another in its place."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, for its owner alone, with those that it is in; none is made anew."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self, path: Path, size: int, head: bytes) -> int:
        """A new file whose `size` bytes, zero after `head`, have their place on the disk; its descriptor."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _allocate(descriptor, size)
            self.write(descriptor, head, 0)
            # The length is part of what is synced here, so that `sync` need not care for it later.
            os.fsync(descriptor)
            _sync(descriptor)
            self.sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            path.unlink()
            raise
        return descriptor

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of `data`: it outlives this process from then on, and the machine when it is synced."""
        view = memoryview(data)
        while view:
            done = os.pwrite(descriptor, view, offset)
            view = view[done:]
            offset += done

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on the disk itself."""
        _sync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder are on the disk itself."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self, descriptor: int) -> None:
        """Give a descriptor back."""
        os.close(descriptor)

    def read(self, path: Path, start: int = 0, end: int | None = None) -> bytes:
        """The bytes of a file from `start` to `end`, or to where it ends."""
        parts = []
        with path.open("rb") as file:
            file.seek(start)
            while end is None or start < end:
                part = file.read(_CHUNK if end is None else min(_CHUNK, end - start))
                if not part:
                    break
                parts.append(part)
                start += len(part)
        return b"".join(parts)

    def names(self, path: Path) -> list[str]:
        """What is in a folder, in order; nothing where there is no such folder."""
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder that is empty."""
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()

    def move(self, path: Path, to: Path) -> None:
        """Give a file another name, on the disk itself."""
        path.rename(to)
        self.sync_folder(to.parent)
        self.sync_folder(path.parent)

    def free(self, path: Path) -> int:
        """Bytes that there is still room for where `path` is."""
        told = os.statvfs(path)
        return told.f_bavail * told.f_frsize

    def lock(self, path: Path) -> int:
        """Wait for the file at `path`, and hold it until the descriptor is closed, or the process ends however it
        may."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def try_lock(self, path: Path) -> int | None:
        """As `lock`, but None where another holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def modified(self, path: Path) -> int:
        """When a file was last written to, in nanoseconds since the epoch."""
        return path.stat().st_mtime_ns
