"""Records on their way to the disk: one thread writes them, another syncs what was written, many at once."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import attrgetter
from queue import SimpleQueue
from typing import Final, TypeVar

from trunkline.ledger.disk import Disk
from trunkline.ledger.frame import OVERHEAD, Kind, frame
from trunkline.ledger.segment import Segment, Spares

_MOST_AT_ONCE: Final = 64
"""Groups of records that are written, or synced, at once."""

_MOST_UNSYNCED: Final = 1 << 20
"""Bytes that nobody waits for and that are synced all the same: they are kept until then, should the disk fail."""

_TRIES: Final = 3
"""How often a record is written, each time to another segment, before it is given up."""

_T = TypeVar("_T")

_log = logging.getLogger("trunkline")


@dataclass(slots=True, eq=False)
class Item:
    """A record to write, and who waits until it stands: a `durable` one on the disk itself, another where it outlives
    the process. `segment` is the number of the segment that it was put in."""

    kind: Kind
    payload: bytes
    waiter: asyncio.Future[None] | None = None
    durable: bool = False
    segment: int = 0


@dataclass(slots=True, eq=False)
class _Batch:
    """What was written to a segment in one go, up to `end`. The `last` one of a segment has no items."""

    segment: Segment
    end: int
    items: list[Item] = field(default_factory=list)
    size: int = 0
    last: bool = False


class Commits:
    """Writes items in the order in which they are put, each group at once where it fits.

    `told` is called from the threads, with items that are waited for and with why they could not be recorded; empty
    where they stand. A sync that failed is never tried again on the same segment, as the kernel may have forgotten
    what it was to write: all that was not synced is written anew to the next one. `failing` says what the disk did,
    until it takes something again.
    """

    def __init__(self, disk: Disk, spares: Spares, told: Callable[[Sequence[Item], str], None]) -> None:
        self.failing = ""
        self.segments: deque[Segment] = deque()
        self._disk = disk
        self._spares = spares
        self._told = told
        self._current: Segment | None = None
        self._groups: SimpleQueue[Sequence[Item] | None] = SimpleQueue()
        self._batches: SimpleQueue[_Batch | None] = SimpleQueue()
        # Held while something is written: what a sync lost is written anew by the thread that syncs.
        self._writing = threading.Lock()
        self._threads = (
            threading.Thread(target=self._write_all, name="journal-write", daemon=True),
            threading.Thread(target=self._sync_all, name="journal-sync", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def room(self) -> int:
        """Bytes left in the segment that is written to."""
        segment = self._current
        return 0 if segment is None or segment.failed else segment.size - segment.written - OVERHEAD

    def put(self, items: Sequence[Item]) -> None:
        """Write items; returns at once."""
        self._groups.put(items)

    def close(self) -> None:
        """Return when all that was put is on the disk, or was given up."""
        self._groups.put(None)
        for thread in self._threads:
            thread.join()

    def _write_all(self) -> None:
        ended = False
        while not ended:
            groups, ended = _drained(self._groups)
            items = groups[0] if len(groups) == 1 else list(chain.from_iterable(groups))
            try:
                batches = self._write(items)
            except Exception as error:  # noqa: BLE001 - callers would wait for ever for a thread that is gone
                self._refuse(items, error)
            else:
                for batch in batches:
                    self._batches.put(batch)
        with self._writing:
            last: list[_Batch] = []
            self._leave(last)
        for batch in last:
            self._batches.put(batch)
        self._batches.put(None)

    def _write(self, items: Sequence[Item]) -> list[_Batch]:
        """Write items; what was written. Those that cannot be are told of."""
        batches: list[_Batch] = []
        tries = place = 0
        with self._writing:
            while place < len(items):
                try:
                    batch = self._write_some(self._segment_for(items[place], batches), items, place)
                except OSError as error:
                    tries += 1
                    if tries == _TRIES:
                        self._refuse(items[place:], error)
                        break
                else:
                    batches.append(batch)
                    place += len(batch.items)
        waited = [item for item in items[:place] if item.waiter is not None and not item.durable]
        if waited:
            self._told(waited, "")
        return batches

    def _segment_for(self, item: Item, batches: list[_Batch]) -> Segment:
        segment = self._current
        if segment is None or segment.failed or not segment.fits(OVERHEAD + len(item.payload)):
            self._leave(batches)
            segment = self._spares.take()
            self.segments.append(segment)
            self._current = segment
        return segment

    def _write_some(self, segment: Segment, items: Sequence[Item], place: int) -> _Batch:
        """Write as many items from `place` on as fit into the segment; at least one does."""
        batch = _Batch(segment, segment.written)
        frames = []
        for item in items[place:] if place else items:
            size = OVERHEAD + len(item.payload)
            if not segment.fits(batch.size + size):
                break
            frames.append(frame(item.kind, item.payload, segment.synced, segment.seed))
            batch.items.append(item)
            batch.size += size
            item.segment = segment.number
        try:
            self._disk.write(segment.descriptor, b"".join(frames), segment.written)
        except OSError as error:
            self._fail(segment, error)
            raise
        segment.written += batch.size
        batch.end = segment.written
        return batch

    def _leave(self, batches: list[_Batch]) -> None:
        if self._current is not None:
            batches.append(_Batch(self._current, self._current.written, last=True))
            self._current = None

    def _sync_all(self) -> None:
        ended = False
        batches: list[_Batch] = []
        while not ended:
            got, ended = _drained(self._batches)
            batches += got
            if ended or any(batch.last or any(item.durable for item in batch.items) for batch in got):
                due = True
            else:
                due = sum(batch.size for batch in batches) > _MOST_UNSYNCED
            if due:
                try:
                    self._commit(batches)
                except Exception as error:  # noqa: BLE001 - as above
                    self._refuse([item for batch in batches for item in batch.items], error)
                batches = []

    def _commit(self, batches: list[_Batch]) -> None:
        tries = 0
        while batches:
            lost: list[Item] = []
            for segment, group in groupby(batches, attrgetter("segment")):
                lost += self._sync(segment, list(group))
            tries += 1
            if lost and tries == _TRIES:
                self._refuse(lost, OSError(self.failing))
                return
            batches = self._write(lost) if lost else []

    def _sync(self, segment: Segment, batches: list[_Batch]) -> list[Item]:
        """Sync what was written to a segment; the items that this did not bring to the disk."""
        end = batches[-1].end
        if segment.synced < end and not segment.failed:
            try:
                self._disk.sync(segment.descriptor)
            except OSError as error:
                self._fail(segment, error)
            else:
                segment.synced = end
                if self.failing:
                    _log.warning("journal: the disk takes records again")
                    self.failing = ""
        stand = [item for batch in batches if batch.end <= segment.synced for item in batch.items]
        durable = [item for item in stand if item.durable]
        if durable:
            self._told(durable, "")
        if batches[-1].last:
            self._settle(segment)
        return [item for batch in batches if batch.end > segment.synced for item in batch.items]

    def _settle(self, segment: Segment) -> None:
        """End a segment that nothing more will be written to."""
        if not segment.failed:
            try:
                self._disk.write(
                    segment.descriptor, frame(Kind.END, b"", segment.synced, segment.seed), segment.written
                )
                self._disk.sync(segment.descriptor)
            except OSError as error:
                # All that was to stand does; only damage to its last records could no longer be told from a torn end.
                _log.warning("journal: %s has no end: %s", segment.path, error)
        self._disk.close(segment.descriptor)
        segment.settled = True

    def _fail(self, segment: Segment, error: OSError) -> None:
        segment.failed = True
        _log.error("journal: %s failed, and what it did not take goes to another: %s", segment.path, error)
        self.failing = error.strerror or str(error)

    def _refuse(self, items: Sequence[Item], error: Exception) -> None:
        # What is no failure of the disk is one of this program, and its place must be known.
        _log.error(
            "journal: %d records cannot be written: %s",
            len(items),
            error,
            exc_info=None if isinstance(error, OSError) else error,
        )
        self.failing = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._told([item for item in items if item.waiter is not None], self.failing)


def _drained(queue: SimpleQueue[_T | None]) -> tuple[list[_T], bool]:
    """What is in a queue, waiting for the first; whether its end was met."""
    got: list[_T] = []
    item = queue.get()
    while item is not None:
        got.append(item)
        if len(got) == _MOST_AT_ONCE or queue.empty():
            return got, False
        item = queue.get()
    return got, True
