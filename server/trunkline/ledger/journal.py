"""The journal of this process: what was recorded here outlives the process and the machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.errors import GatewayError, unavailable
from trunkline.ledger.commits import Commits, Item
from trunkline.ledger.disk import Disk
from trunkline.ledger.folders import Folder, Folders
from trunkline.ledger.frame import MOST, OVERHEAD, Kind
from trunkline.ledger.segment import Segment, Spares
from trunkline.v1 import errors_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

SEGMENT_BYTES: Final = 8 << 20
"""How large a segment is unless told otherwise."""

KEEP_FREE: Final = 256 << 20
"""Bytes of the disk that are left to others unless told otherwise."""

_END_BYTES: Final = 2048
"""What the end of a call adds to its record, about: its attempts, its usage and what that cost."""

_LONGEST_ID: Final = 32

_PROBE: Final = 1.0
"""Seconds between two looks at whether a disk that failed takes something again."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What is on this disk and not known to be in the database: entries of this process, and bytes of the journal."""

    entries: int
    bytes: int


class Journal:
    """Records calls. For one event loop, which never waits for the disk.

    `synced` is set whenever there is something new to ship, and `drained` while all that was recorded is shipped.
    """

    def __init__(self, folders: Folders, folder: Folder, disk: Disk, segment_bytes: int, keep_free: int) -> None:
        self.synced = asyncio.Event()
        self.drained = asyncio.Event()
        self.drained.set()
        self.folder = folder
        self._folders = folders
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._most = min(MOST, segment_bytes // 4)
        self._open: dict[str, Item] = {}
        self._gathered: list[Item] = []
        self._reserved = 0
        self._entries = 0
        self._shipped = 0
        self._probed = 0.0
        self._spares = Spares(disk, folder.path, segment_bytes, keep_free)
        self._commits = Commits(disk, self._spares, self._tell)

    @classmethod
    async def start(
        cls, folders: Folders, disk: Disk, *, segment_bytes: int = SEGMENT_BYTES, keep_free: int = KEEP_FREE
    ) -> Journal:
        """A journal with a folder of its own. Raises `OSError`."""
        folder = await asyncio.to_thread(folders.make)
        journal = cls(folders, folder, disk, segment_bytes, keep_free)
        await asyncio.to_thread(journal._spares.ready)
        return journal

    @property
    def accepting(self) -> bool:
        """Whether there is room to record another call to its end, besides those that run."""
        return not self._problem()

    def admit(self) -> None:
        """Raise `GatewayError` (UNAVAILABLE) where another call could not be recorded; running ones still are."""
        problem = self._problem()
        if problem:
            raise unavailable(f"The gateway takes no calls, as it could not record them: {problem}.")

    async def open(self, entry: LedgerEntry) -> None:
        """Record that a call was let in; returns when that outlives the process.

        `entry` is what is known of it, with an estimate of what it will use: should the process die, that is what
        becomes of the call. However the call ends, `append` is called for it. Raises `GatewayError`: REQUEST_TOO_LARGE,
        UNAVAILABLE where it cannot be written; the call is not open then.
        """
        waiter = self._loop.create_future()
        item = self._note(entry, waiter)
        try:
            await waiter
        except GatewayError:
            if self._open.get(entry.id) is item:
                del self._open[entry.id]
                self._reserve(-_reservation(item))
            raise

    def note(self, entry: LedgerEntry) -> None:
        """Record what is known of an open call by now, in place of what was; returns at once, shortly before that
        outlives the process. Nothing is recorded where the room is needed for the ends of calls. Raises `GatewayError`
        (REQUEST_TOO_LARGE)."""
        if self.accepting:
            self._note(entry, None)

    async def append(self, entry: LedgerEntry) -> None:
        """Record an entry, and with it the end of its call; returns when that is on the disk itself.

        It will be recorded even where the caller no longer waits. Raises `GatewayError`: REQUEST_TOO_LARGE, UNAVAILABLE
        where it cannot be written; the call is open then as before.
        """
        waiter = self._loop.create_future()
        item = Item(Kind.CLOSED, self._payload(entry), waiter, durable=True)
        opened = self._open.pop(entry.id, None)
        self._put(item)
        try:
            await waiter
        except GatewayError:
            if opened is not None and entry.id not in self._open:
                self._open[entry.id] = opened
                opened = None
            raise
        finally:
            if opened is not None:
                self._reserve(-_reservation(opened))

    @property
    def open_calls(self) -> int:
        """How many calls were opened whose end is not recorded."""
        return len(self._open)

    def pending(self) -> Pending:
        """What is still to be shipped."""
        size = sum(segment.synced for segment in tuple(self._commits.segments))
        return Pending(max(0, self._entries - self._shipped), size)

    @property
    def recorded(self) -> int:
        """How many entries of this process were recorded so far."""
        return self._entries

    @property
    def recorded_and_shipped(self) -> int:
        """How many of these, in their order, are in the database."""
        return self._shipped

    def oldest(self) -> Segment | None:
        """The segment to ship from."""
        return self._commits.segments[0] if self._commits.segments else None

    def shipped(self, entries: int) -> None:
        """Note that so many entries are in the database now."""
        self._shipped += entries
        self._look_whether_drained()

    def removable(self, segment: Segment) -> bool:
        """Whether there is room to record anew what a segment tells of open calls."""
        carried = sum(OVERHEAD + len(item.payload) for item in self._carried(segment))
        return not carried or self._room >= self._reserved + carried

    async def remove_oldest(self) -> None:
        """Remove the segment to ship from, of which all is in the database and to which nothing more is written. What
        it tells of open calls is recorded anew before. Raises `GatewayError` (UNAVAILABLE), `OSError`."""
        segment = self._commits.segments[0]
        await self._carry_over(segment)
        await asyncio.to_thread(self._disk.remove, segment.path)
        self._commits.segments.popleft()

    async def set_aside_oldest(self) -> Path:
        """As `remove_oldest`, but the file is kept, as some of it could not be read; where."""
        segment = self._commits.segments[0]
        await self._carry_over(segment)
        place = await asyncio.to_thread(self._folders.set_aside, segment.path)
        self._commits.segments.popleft()
        return place

    async def close(self) -> None:
        """Return when all that was recorded is on the disk. Nothing may be recorded any more."""
        self._hand_over()
        await asyncio.to_thread(self._commits.close)
        await asyncio.to_thread(self._spares.close)
        self.synced.set()

    async def leave(self) -> None:
        """Give up the folder: removed where nothing is left in it, and left to whoever starts next otherwise. After
        `close`. Raises `OSError`."""
        if self._commits.segments or self._open:
            self._folders.release(self.folder)
        else:
            await asyncio.to_thread(self._folders.remove, self.folder)

    async def _carry_over(self, segment: Segment) -> None:
        carried = self._carried(segment)
        waiters = [self._loop.create_future() for _ in carried]
        again = [Item(Kind.OPENED, item.payload, waiter, True) for item, waiter in zip(carried, waiters, strict=True)]
        for item in again:
            self._put(item)
        await asyncio.gather(*waiters)
        for before, after in zip(carried, again, strict=True):
            before.segment = after.segment

    def _carried(self, segment: Segment) -> list[Item]:
        return [item for item in self._open.values() if 0 < item.segment <= segment.number]

    @property
    def _room(self) -> int:
        return self._commits.room + self._spares.room

    def _note(self, entry: LedgerEntry, waiter: asyncio.Future[None] | None) -> Item:
        item = Item(Kind.OPENED, self._payload(entry), waiter)
        before = self._open.get(entry.id)
        self._open[entry.id] = item
        self._put(item)
        self._reserve(_reservation(item) - (0 if before is None else _reservation(before)))
        return item

    def _put(self, item: Item) -> None:
        """Hand an item over with all that comes in the same turn of the loop: to wake a thread for each would cost more
        than all else that is done for it."""
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(item)

    def _hand_over(self) -> None:
        if self._gathered:
            self._commits.put(self._gathered)
            self._gathered = []

    def _payload(self, entry: LedgerEntry) -> bytes:
        if not 0 < len(entry.id) <= _LONGEST_ID:
            raise ValueError(f"the id of an entry has at most {_LONGEST_ID} characters, and at least one")
        payload = entry.SerializeToString()
        if len(payload) > self._most:
            raise GatewayError(
                errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE,
                f"The record of the call has {len(payload)} bytes, more than {self._most}. Send less metadata.",
            )
        return payload

    def _reserve(self, size: int) -> None:
        self._reserved += size
        self._spares.need(self._reserved)

    def _problem(self) -> str:
        """Why no more calls should be taken; empty where they may be."""
        if self._commits.failing:
            now = time.monotonic()
            if now - self._probed > _PROBE:
                self._probed = now
                self._put(Item(Kind.PROBE, b"", durable=True))
            return self._commits.failing
        if self._room < self._reserved + self._most:
            return self._spares.problem or "its disk does not keep up"
        return ""

    def _tell(self, items: Sequence[Item], problem: str) -> None:
        self._loop.call_soon_threadsafe(self._told, items, problem)

    def _told(self, items: Sequence[Item], problem: str) -> None:
        for item in items:
            if not problem and item.kind is Kind.CLOSED:
                self._entries += 1
            if item.waiter is None or item.waiter.done():
                continue
            if problem:
                item.waiter.set_exception(unavailable(f"The gateway could not record the call: {problem}."))
            else:
                item.waiter.set_result(None)
        self._look_whether_drained()
        self.synced.set()

    def _look_whether_drained(self) -> None:
        # What is synced may be shipped before this thread is told of it.
        if self._shipped >= self._entries:
            self.drained.set()
        else:
            self.drained.clear()


def _reservation(item: Item) -> int:
    """Bytes that an open call will need, about."""
    return 2 * OVERHEAD + len(item.payload) + _END_BYTES
