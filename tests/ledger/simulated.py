"""Disks that fail, and a disk whose power can be cut."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from trunkline.ledger.disk import Disk

SECTOR = 512


class FailingDisk(Disk):
    """A real disk that fails on demand: what is asked of it next, or that much more of it."""

    def __init__(self) -> None:
        self.failing_syncs = 0
        self.failing_writes = 0
        self.full = False
        self.free_bytes: int | None = None
        self.synced = threading.Semaphore(0)
        self.hold: threading.Event | None = None
        self.syncs = 0

    def create(self, path: Path, size: int, head: bytes) -> int:
        """Fails where the disk is full."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().create(path, size, head)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Fails so many times."""
        if self.failing_writes:
            self.failing_writes -= 1
            # Some of it may have come there.
            super().write(descriptor, data[: len(data) // 2], offset)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        """Waits while it is held; fails so many times."""
        if self.hold is not None:
            self.hold.wait()
        self.syncs += 1
        if self.failing_syncs:
            self.failing_syncs -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)

    def free(self, path: Path) -> int:
        """What the test says."""
        return super().free(path) if self.free_bytes is None else self.free_bytes


@dataclass(eq=False)
class _File:
    """Its bytes as processes see them, as they are on the disk itself, and what was written in between."""

    seen: bytearray
    stable: bytearray
    written: set[int] = field(default_factory=set)


class SimulatedDisk(Disk):
    """A disk in memory. `before` is called with the number of each operation before it changes anything."""

    def __init__(self, before: Callable[[int], None] = lambda _: None) -> None:
        self.operations = 0
        self._before = before
        self._lock = threading.RLock()
        self._files: dict[Path, _File] = {}
        self._stable_names: dict[Path, _File] = {}
        self._folders: set[Path] = set()
        self._open: dict[int, _File] = {}
        self._locks: dict[int, Path] = {}
        self._next = 1000
        self.failing_syncs: set[int] = set()

    def after_kill(self) -> SimulatedDisk:
        """What is found where a process was killed: all that was written, and no lock."""
        with self._lock:
            other = SimulatedDisk()
            other._folders = set(self._folders)
            for path, file in self._files.items():
                other._files[path] = _File(bytearray(file.seen), bytearray(file.seen))
            return other

    def after_power_cut(self, random: Random) -> SimulatedDisk:
        """What may be found where the power was cut: what was synced, and any part of the rest."""
        with self._lock:
            other = SimulatedDisk()
            other._folders = set(self._folders)
            for path in self._files.keys() | self._stable_names.keys():
                now, stable = self._files.get(path), self._stable_names.get(path)
                file = now if now is stable else random.choice((now, stable))
                if file is None:
                    continue
                data = bytearray(file.stable)
                data.extend(bytes(len(file.seen) - len(data)))
                for sector in sorted(file.written):
                    if random.random() < 0.5:
                        span = slice(sector * SECTOR, (sector + 1) * SECTOR)
                        data[span] = file.seen[span]
                other._files[path] = _File(data, bytearray(data))
            return other

    def make_folder(self, path: Path) -> None:
        """Folders are there at once, and stay."""
        with self._lock:
            self._folders |= {path, *path.parents}

    def create(self, path: Path, size: int, head: bytes) -> int:
        """A file whose size and name are stable."""
        with self._lock:
            self._step()
            file = _File(bytearray(size), bytearray(size))
            file.seen[: len(head)] = file.stable[: len(head)] = head
            self._files[path] = self._stable_names[path] = file
            self._next += 1
            self._open[self._next] = file
            return self._next

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Seen at once."""
        with self._lock:
            self._step()
            file = self._open[descriptor]
            assert offset + len(data) <= len(file.seen), "no write may need more of the disk than it has"
            file.seen[offset : offset + len(data)] = data
            file.written |= set(range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1))

    def sync(self, descriptor: int) -> None:
        """Stable afterwards. Where it fails, what was written is lost for the disk, though processes see it."""
        with self._lock:
            self._step()
            file = self._open[descriptor]
            written, file.written = file.written, set()
            if self.operations in self.failing_syncs:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            for sector in written:
                span = slice(sector * SECTOR, (sector + 1) * SECTOR)
                file.stable[span] = file.seen[span]

    def sync_folder(self, path: Path) -> None:
        """Names are stable afterwards."""
        with self._lock:
            for name in [name for name in self._stable_names if name.parent == path and name not in self._files]:
                del self._stable_names[name]
            self._stable_names |= {name: file for name, file in self._files.items() if name.parent == path}

    def close(self, descriptor: int) -> None:
        """Locks end with their descriptor."""
        with self._lock:
            self._open.pop(descriptor, None)
            self._locks.pop(descriptor, None)

    def read(self, path: Path, start: int = 0, end: int | None = None) -> bytes:
        """What processes see."""
        with self._lock:
            return bytes(self._files[path].seen[start:end])

    def names(self, path: Path) -> list[str]:
        """Files and folders."""
        with self._lock:
            return sorted(name.name for name in self._files.keys() | self._folders if name.parent == path)

    def remove(self, path: Path) -> None:
        """A file or a folder."""
        with self._lock:
            self._step()
            if path in self._files:
                del self._files[path]
            else:
                self._folders.remove(path)

    def move(self, path: Path, to: Path) -> None:
        """Stable at once."""
        with self._lock:
            self._files[to] = self._stable_names[to] = self._files.pop(path)
            self._stable_names.pop(path, None)

    def free(self, path: Path) -> int:
        """Plenty."""
        return 1 << 40

    def lock(self, path: Path) -> int:
        """Nobody else is there."""
        held = self.try_lock(path)
        assert held is not None
        return held

    def try_lock(self, path: Path) -> int | None:
        """A file that is made for it."""
        with self._lock:
            if path in self._locks.values():
                return None
            self._files.setdefault(path, _File(bytearray(), bytearray()))
            self._next += 1
            self._locks[self._next] = path
            return self._next

    def modified(self, path: Path) -> int:
        """Long ago."""
        return 1

    def _step(self) -> None:
        self._before(self.operations)
        self.operations += 1
