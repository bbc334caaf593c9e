"""The way of entries from the journal into the database, however long that is away."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeVar

from trunkline.errors import GatewayError
from trunkline.ledger.disk import Disk
from trunkline.ledger.folders import Folder, Folders
from trunkline.ledger.insertion import Insertion, Written
from trunkline.ledger.journal import Journal
from trunkline.ledger.recovery import Part, Remains, UnknownFormatError
from trunkline.ledger.segment import HEAD, Segment
from trunkline.store.database import Database

_AT_ONCE: Final = 500
"""Entries in one transaction."""

_GATHER: Final = 0.1
"""Seconds until what was recorded is shipped: what comes meanwhile goes along."""

_MANY: Final = 20
_GATHER_MANY: Final = 0.3
"""So many seconds more where so many entries have come by then: a transaction costs as much as a hundred of them."""

_LOOK: Final = 30.0
"""Seconds between two looks for processes that died."""

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
"""Seconds until an insertion that failed is tried again: at first, and at the most."""

_T = TypeVar("_T")

_log = logging.getLogger("trunkline")


class Shipper:
    """Ships what this process records, in order, and what dead ones left. What is in the database is removed here.

    `failing` says why the database takes nothing; empty where it does. `recovered` is set when all that there was of
    dead processes at the start is shipped.
    """

    def __init__(self, database: Database, folders: Folders, disk: Disk, journal: Journal) -> None:
        self.failing = ""
        self.recovered = asyncio.Event()
        self._database = database
        self._insertion = Insertion(database)
        self._folders = folders
        self._disk = disk
        self._journal = journal
        self._offset = len(HEAD)
        self._damaged = False
        self._looked = -math.inf
        self._closing = False
        self._held: list[Folder] = []
        self._task = asyncio.create_task(self._run())

    async def close(self, grace: float) -> None:
        """Ship what is left, for at most `grace` seconds; the rest is for whoever starts next. After the journal's."""
        self._closing = True
        self._journal.synced.set()
        try:
            await asyncio.wait_for(self._task, grace)
        except TimeoutError:
            _log.warning("ledger: %d entries stay in the journal until the next start", self._journal.pending().entries)
        for folder in self._held:
            self._folders.release(folder)

    async def _run(self) -> None:
        wait = _FIRST_WAIT
        while True:
            closing = self._closing
            self._journal.synced.clear()
            try:
                if not closing and time.monotonic() - self._looked > _LOOK:
                    await self._ship_dead()
                    self._looked = time.monotonic()
                    self.recovered.set()
                await self._ship_own()
            except Exception:  # noqa: BLE001 - entries would stay here for ever
                _log.exception("ledger: shipping failed, and is tried again")
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
                continue
            wait = _FIRST_WAIT
            if closing:
                return
            try:
                await asyncio.wait_for(self._journal.synced.wait(), _LOOK)
            except TimeoutError:
                continue
            if not self._closing:
                await asyncio.sleep(_GATHER)
                if self._journal.recorded - self._journal.recorded_and_shipped > _MANY and not self._closing:
                    await asyncio.sleep(_GATHER_MANY)

    async def _ship_own(self) -> None:
        journal = self._journal
        while (segment := journal.oldest()) is not None:
            # In this order: once it is settled, nothing more is synced.
            settled, end = segment.settled, segment.synced
            if self._offset < end:
                await self._ship_part(segment, end)
            elif not settled or (self._closing and journal.open_calls) or not journal.removable(segment):
                return
            else:
                await self._remove(segment)
                self._offset, self._damaged = len(HEAD), False

    async def _ship_part(self, segment: Segment, end: int) -> None:
        start = self._offset
        part = Part(await asyncio.to_thread(self._disk.read, segment.path, start, end), segment.seed, ends=True)
        entries = ((entry, body) for _, entry, body in part)
        while batch := await asyncio.to_thread(_take, entries, _AT_ONCE):
            await self._insert(batch)
            self._journal.shipped(len(batch))
            self._offset = start + part.end
            if len(batch) < _AT_ONCE:
                break
        self._offset = end
        if part.damage:
            self._damaged = True
            places = ", ".join(f"{start + damage.start}-{start + damage.end}" for damage in part.damage[:10])
            _log.error("journal: %s IS DAMAGED at the bytes %s: entries are lost", segment.path, places)

    async def _remove(self, segment: Segment) -> None:
        try:
            if self._damaged:
                place = await self._journal.set_aside_oldest()
                _log.error("journal: the damaged %s is kept as %s", segment.path, place)
            else:
                await self._journal.remove_oldest()
        except GatewayError as error:
            raise OSError(f"open calls cannot be recorded anew: {error.message}") from error

    async def _ship_dead(self) -> None:
        found = await asyncio.to_thread(self._folders.dead)
        self._held += found
        for folder in found:
            try:
                await self._ship_remains(folder)
            except (UnknownFormatError, OSError) as error:
                # It is held on to, so that this is told once.
                _log.error("journal: what a process left in %s cannot be shipped, and stays: %s", folder.path, error)
            else:
                self._held.remove(folder)

    async def _ship_remains(self, folder: Folder) -> None:
        remains = Remains(self._disk, folder)
        batches = remains.batches(_AT_ONCE)
        found = new = 0
        while taken := await asyncio.to_thread(_take, batches, 1):
            (batch,) = taken
            new += await self._insert(batch)
            found += len(batch)
        for path in remains.damaged:
            place = await asyncio.to_thread(self._folders.set_aside, path)
            _log.error("journal: the damaged %s is kept as %s", path, place)
        await asyncio.to_thread(self._folders.remove, folder)
        if found:
            _log.warning("ledger: a process that stopped left %d entries; %d of them were new", found, new)

    async def _insert(self, batch: list[Written]) -> int:
        """Insert a batch, however often it takes; how many of it were new."""
        wait = _FIRST_WAIT
        began = time.monotonic()
        while True:
            try:
                new = await self._insertion.insert(batch)
            except self._database.failures as error:
                if not self.failing:
                    _log.error("ledger: the database takes no entries, and the journal keeps them: %s", _cause(error))
                self.failing = _cause(error)
                # Not all processes at the same moment.
                await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311
                wait = min(2 * wait, _LONGEST_WAIT)
            else:
                if self.failing:
                    _log.warning("ledger: the database takes entries again, after %.0f s", time.monotonic() - began)
                    self.failing = ""
                return new


def _take(items: Iterator[_T], most: int) -> list[_T]:
    return list(islice(items, most))


def _cause(error: Exception) -> str:
    # SQLAlchemy's own message has the values of the statement in it.
    return str(getattr(error, "orig", None) or error) or type(error).__name__
