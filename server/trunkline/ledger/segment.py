"""The files of a journal, and those that are made ahead so that running calls can be recorded on a full disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.ledger.disk import Disk
from trunkline.ledger.frame import OVERHEAD, seed

HEAD: Final = b"trunkline journal 1\n".ljust(32, b"\0")
"""What a segment begins with; the number is that of the format."""

SUFFIX: Final = ".seg"

_AGAIN: Final = 1.0
"""Seconds until a segment that could not be made is tried again."""

_log = logging.getLogger("trunkline")


@dataclass(slots=True, eq=False)
class Segment:
    """A file of a journal.

    Up to `written` it outlives the process, up to `synced` the machine. `failed` tells that the disk did not take what
    follows `synced`, which stands in a later segment then, and `settled` that neither grows any more.
    """

    path: Path
    number: int
    descriptor: int
    seed: int
    size: int
    written: int = len(HEAD)
    synced: int = len(HEAD)
    failed: bool = False
    settled: bool = False

    def fits(self, size: int) -> bool:
        """Whether `size` more bytes have their place, and the record after them that ends the segment."""
        return self.written + size + OVERHEAD <= self.size


def segment_name(folder: Path, number: int) -> str:
    """What a segment is called in the whole journal. The checksums begin with it."""
    return f"{folder.name}/{number}"


def segment_seed(folder: Path, file: str) -> int:
    """What the checksums of the segment in `file` begin with. Raises `ValueError` where its name is none."""
    return seed(segment_name(folder, int(file.removesuffix(SUFFIX))))


class Spares:
    """Segments made ahead, by a thread of their own.

    There are enough for twice as much as `need` says, and one more, for as long as the disk has more than `keep_free`
    bytes left.
    `problem` tells why there are fewer; empty where there are not.
    """

    def __init__(self, disk: Disk, folder: Path, size: int, keep_free: int) -> None:
        self.size = size
        self.problem = ""
        self._disk = disk
        self._folder = folder
        self._keep_free = keep_free
        self._spares: deque[Segment] = deque()
        self._wanted = 1
        self._number = 0
        # Whether somebody waits for one to be made now.
        self._asked = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="journal-spares", daemon=True)
        self._thread.start()

    @property
    def room(self) -> int:
        """Bytes for records in the segments that are there."""
        return len(self._spares) * (self.size - len(HEAD) - OVERHEAD)

    def need(self, size: int) -> None:
        """Have room for `size` bytes soon."""
        wanted = 1 - (-2 * size // self.size)
        if wanted != self._wanted:
            with self._changed:
                self._wanted = wanted
                self._changed.notify_all()

    def ready(self) -> None:
        """Wait until there is one, or it is known that there can be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._spares or self.problem)

    def take(self) -> Segment:
        """The next segment; waits for one that is being made. Raises `OSError` where none can be."""
        with self._changed:
            if not self._spares:
                self._asked = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._spares or not self._asked)
            if not self._spares:
                raise OSError(self.problem or "the journal is closed")
            segment = self._spares.popleft()
            self._changed.notify_all()
            return segment

    def close(self) -> None:
        """Make no more, and remove those that nobody took."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        while self._spares:
            segment = self._spares.popleft()
            self._disk.close(segment.descriptor)
            try:
                self._disk.remove(segment.path)
            except OSError as error:
                _log.warning("journal: %s cannot be removed: %s", segment.path, error)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._is_due, None if not self.problem else _AGAIN)
                if self._closed:
                    self._asked = False
                    self._changed.notify_all()
                    return
            try:
                made = self._make()
            except Exception as error:  # noqa: BLE001 - who waits for a segment would wait for ever
                self._fail(getattr(error, "strerror", None) or str(error))
                continue
            with self._changed:
                if self.problem:
                    _log.warning("journal: there is room again in %s", self._folder)
                self.problem = ""
                self._asked = False
                self._spares.append(made)
                self._changed.notify_all()

    def _is_due(self) -> bool:
        return self._closed or self._asked or (not self.problem and len(self._spares) < self._wanted)

    def _make(self) -> Segment:
        free = self._disk.free(self._folder)
        if free - self.size < self._keep_free:
            raise OSError(f"{free} bytes are free, and {self._keep_free} of them are to be kept")
        self._number += 1
        path = self._folder / f"{self._number:08}{SUFFIX}"
        descriptor = self._disk.create(path, self.size, HEAD)
        return Segment(path, self._number, descriptor, segment_seed(self._folder, path.name), self.size)

    def _fail(self, problem: str) -> None:
        with self._changed:
            if not self.problem:
                _log.error("journal: no room for more in %s: %s", self._folder, problem)
            self.problem = problem
            self._asked = False
            self._changed.notify_all()
