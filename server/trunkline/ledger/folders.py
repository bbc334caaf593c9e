"""The folders of the processes that share one journal, and which of these processes are dead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from trunkline.ledger.disk import Disk
from trunkline.ledger.segment import SUFFIX

DAMAGED: Final = "damaged"
"""The folder of what could not be read. Nothing in it is ever removed."""

_LOCK: Final = "lock"


@dataclass(frozen=True, slots=True)
class Folder:
    """A process's own part of the journal, held by this one."""

    path: Path
    lock: int

    def segments(self, disk: Disk) -> list[Path]:
        """Its segments, oldest first."""
        return [self.path / name for name in disk.names(self.path) if name.endswith(SUFFIX)]


class Folders:
    """The folders in `root`: one for each process, which holds a lock in it for as long as it lives. That must be a
    disk of this machine: network file systems keep neither locks nor syncs as promised here."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self._disk = disk

    def make(self) -> Folder:
        """A new folder for this process. Raises `OSError`."""
        self._disk.make_folder(self.root)
        with self._alone():
            path = self.root / uuid4().hex
            self._disk.make_folder(path)
            self._disk.sync_folder(self.root)
            return Folder(path, self._disk.lock(path / _LOCK))

    def all(self) -> list[Path]:
        """The folders of all processes, whether they live or not."""
        return [self.root / name for name in self._disk.names(self.root) if name not in (_LOCK, DAMAGED)]

    def dead(self) -> list[Folder]:
        """The folders of dead processes, held by this one from now on. Raises `OSError`."""
        if not self._disk.names(self.root):
            return []
        with self._alone():
            found = []
            for path in self.all():
                lock = self._disk.try_lock(path / _LOCK)
                if lock is not None:
                    found.append(Folder(path, lock))
            return found

    def remove(self, folder: Folder) -> None:
        """Remove a folder with all that is in it, and let it go. Raises `OSError`."""
        with self._alone():
            for name in self._disk.names(folder.path):
                if name != _LOCK:
                    self._disk.remove(folder.path / name)
            self._disk.remove(folder.path / _LOCK)
            self._disk.remove(folder.path)
            self._disk.sync_folder(self.root)
        self._disk.close(folder.lock)

    def release(self, folder: Folder) -> None:
        """Leave a folder as it is to whoever starts next."""
        self._disk.close(folder.lock)

    def set_aside(self, segment: Path) -> Path:
        """Keep a segment that could not be read in whole, for good; where it is then. Raises `OSError`."""
        kept = self.root / DAMAGED
        self._disk.make_folder(kept)
        place = kept / f"{segment.parent.name}-{segment.name}"
        self._disk.move(segment, place)
        return place

    def damaged(self) -> list[Path]:
        """What was set aside."""
        return [self.root / DAMAGED / name for name in self._disk.names(self.root / DAMAGED)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off the other processes: a folder must not be found before its lock is held."""
        lock = self._disk.lock(self.root / _LOCK)
        try:
            yield
        finally:
            self._disk.close(lock)
