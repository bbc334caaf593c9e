"""What is read from segments: those of this process, and those that a dead one left."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from trunkline.ledger.disk import Disk
from trunkline.ledger.folders import Folder
from trunkline.ledger.frame import Damage, Kind, Reader
from trunkline.ledger.insertion import Written
from trunkline.ledger.segment import HEAD, segment_seed
from trunkline.v1.ledger_pb2 import LedgerEntry

ABANDONED: Final = "abandoned"
"""The outcome of a call whose gateway died before it ended."""

_HEAD: Final = re.compile(rb"trunkline journal [0-9]+\n\0+")

_log = logging.getLogger("trunkline")


class UnknownFormatError(Exception):
    """A segment that another version of Trunkline wrote."""


class Part:
    """The bytes of a segment, read record by record; with `ends`, without what is said of calls that run.

    `damage` is what could not be read so far. `lost` tells which of that had been on the disk itself; it is known when
    all was read.
    """

    def __init__(self, data: bytes, seed: int, offset: int = 0, *, ends: bool = False) -> None:
        self.damage: list[Damage] = []
        self._reader = Reader(data, seed, offset)
        self._ends = ends

    def __iter__(self) -> Iterator[tuple[Kind, LedgerEntry, bytes]]:
        begin = self._reader.end
        for found in self._reader:
            if isinstance(found, Damage):
                self.damage.append(found)
            elif found.payload and (found.kind is Kind.CLOSED or not self._ends):
                try:
                    yield found.kind, LedgerEntry.FromString(found.payload), found.payload
                except DecodeError:
                    self.damage.append(Damage(begin, found.end))
            begin = self._reader.end

    @property
    def end(self) -> int:
        """How far it was read."""
        return self._reader.end

    @property
    def lost(self) -> list[Damage]:
        """The damage to what had been promised to last."""
        return [damage for damage in self.damage if damage.start < self._reader.synced]


@dataclass(slots=True)
class Remains:
    """What a dead process left in a folder. When `batches` was read to its end, `damaged` are the segments of which
    something is lost."""

    disk: Disk
    folder: Folder
    damaged: list[Path] = field(default_factory=list)

    def batches(self, most: int) -> Iterator[list[Written]]:
        """Its entries, at most so many at once; last those of the calls whose end it did not record.

        Raises `UnknownFormatError` before anything else, and `OSError`.
        """
        segments = self.folder.segments(self.disk)
        for path in segments:
            _check_format(path, self.disk.read(path, 0, len(HEAD)))
        running: dict[str, LedgerEntry] = {}
        batch: list[Written] = []
        for path in segments:
            for kind, entry, body in self._records(path):
                if kind is Kind.OPENED:
                    running[entry.id] = entry
                    continue
                running.pop(entry.id, None)
                batch.append((entry, body))
                if len(batch) == most:
                    yield batch
                    batch = []
        if running:
            _log.warning("journal: %d calls were abandoned by a gateway that stopped in their midst", len(running))
            last = max(self.disk.modified(path) for path in segments)
            batch += [_abandoned(entry, last) for entry in running.values()]
        for start in range(0, len(batch), most):
            yield batch[start : start + most]

    def _records(self, path: Path) -> Iterator[tuple[Kind, LedgerEntry, bytes]]:
        part = Part(self.disk.read(path), segment_seed(self.folder.path, path.name), len(HEAD))
        yield from part
        if part.lost:
            self.damaged.append(path)
            places = ", ".join(f"{damage.start}-{damage.end}" for damage in part.lost[:10])
            _log.error("journal: %s IS DAMAGED at the bytes %s: entries are lost, all others are kept", path, places)
        elif part.damage:
            # It was being written when its process ended: nobody was told that it stood.
            _log.warning("journal: the torn end of %s is left out, from byte %d on", path, part.damage[0].start)


def _check_format(path: Path, head: bytes) -> None:
    if head != HEAD and _HEAD.fullmatch(head):
        raise UnknownFormatError(f"{path} was written by another version of Trunkline; start that one to ship it")


def _abandoned(entry: LedgerEntry, last: int) -> Written:
    """The entry of a call that was open when its process wrote for the last time, in nanoseconds since the epoch."""
    entry.outcome = ABANDONED
    entry.usage_estimated = True
    started = entry.start_time.ToNanoseconds()
    entry.end_time.FromNanoseconds(max(started, last))
    entry.duration_ms = (max(started, last) - started) // 1_000_000
    for attempt in entry.attempts:
        if not attempt.HasField("end_time"):
            attempt.outcome = ABANDONED
            attempt.usage_estimated = True
            attempt.end_time.CopyFrom(entry.end_time)
    return entry, entry.SerializeToString()
