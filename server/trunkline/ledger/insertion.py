"""Entries into the database: each once, and its sums with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.ledger.calendar import DAY, shown
from trunkline.ledger.kept import kept_from
from trunkline.ledger.rows import Rollups, Row, entry_row
from trunkline.ledger.summaries import note_changed
from trunkline.store.database import Database, unbroken
from trunkline.store.tables import COUNTERS, LEDGER_ENTRIES, USAGE_ROLLUPS
from trunkline.v1.ledger_pb2 import LedgerEntry

Written = tuple[LedgerEntry, bytes]
"""An entry, and itself as it was written."""

_RECENT: Final = 2 * DAY
"""Seconds for which entries are kept in any case."""

_log = logging.getLogger("trunkline")

_DURABLE: Final = text("SET LOCAL synchronous_commit TO on")


class Insertion:
    """Inserts into one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = database.insert(LEDGER_ENTRIES).on_conflict_do_nothing(index_elements=["id"])
        self._entries = insert.returning(LEDGER_ENTRIES.c.id)
        self._at_once = None if database.postgres else _AtOnce(insert)
        sums: Any = database.insert(USAGE_ROLLUPS)
        self._sums = sums.on_conflict_do_update(
            index_elements=["id"],
            set_={name: USAGE_ROLLUPS.c[name] + sums.excluded[name] for name in COUNTERS},
        )

    @unbroken
    async def insert(self, entries: Sequence[Written]) -> int:
        """Insert those that are not there yet, and add them to the sums, all of it or nothing; how many these were.

        It is on the disk of the database when this returns. Raises what `Database.failures` names.
        """
        if self._at_once is not None:
            try:
                async with self._database.attempting() as connection:
                    return await self._insert(connection, entries, self._at_once)
            except _KnownError:
                # Nothing of it was done: which of them are new is to be told one by one.
                pass
        async with self._database.attempting() as connection:
            if self._database.postgres:
                # Whatever the server's own setting: what sent the entries forgets them now.
                await connection.execute(_DURABLE)
            return await self.insert_within(connection, entries)

    async def insert_within(self, connection: AsyncConnection, entries: Sequence[Written]) -> int:
        """As `insert`, as a part of the transaction of `connection`."""
        return await self._insert(connection, entries, None)

    async def _insert(self, connection: AsyncConnection, entries: Sequence[Written], at_once: _AtOnce | None) -> int:
        """As `insert_within`; `at_once`, raises `_KnownError` where one is there already."""
        entries = await self._in_time(connection, entries)
        if not entries:
            return 0
        made = [(entry_row(entry, body), entry) for entry, body in entries]
        rows = {row["id"]: (row, entry) for row, entry in made}
        # In the order of their ids, as whoever inserts the same must not wait in a circle.
        names = sorted(rows)
        ordered = [rows[name][0] for name in names]
        if at_once is not None:
            await at_once.insert(connection, ordered)
            new: Sequence[str] = names
        else:
            new = [name for (name,) in await connection.execute(self._entries, ordered)]
        if new:
            rollups = Rollups()
            for name in new:
                row, entry = rows[name]
                rollups.add(entry, row)
            sums = rollups.rows()
            await connection.execute(self._sums, sums)
            await note_changed(connection, self._database, {row["hour"] for row in sums})
        return len(new)

    async def _in_time(self, connection: AsyncConnection, entries: Sequence[Written]) -> Sequence[Written]:
        """Those of which it is known whether they are there already: what ended before anything that is still kept may
        have been counted, and dropped since."""
        oldest = min((entry.end_time.seconds for entry, _ in entries), default=0)
        if not entries or oldest > time.time() - _RECENT:
            return entries
        entries_from, _ = await kept_from(connection)
        known = [(entry, body) for entry, body in entries if entry.end_time.seconds >= entries_from]
        if len(known) < len(entries):
            _log.error(
                "ledger: %d entries that ended before %s come too late: as entries of that time are no longer kept, it "
                "cannot be told whether they were counted, and they are not counted now",
                len(entries) - len(known),
                shown(entries_from),
            )
        return known


class _KnownError(Exception):
    """One of the entries is in the database already."""


class _AtOnce:
    """Inserts many rows into SQLite by one statement that is prepared once, and tells whether all were new, as they are
    but after a failure: in a third of the time of statements that tell of each."""

    def __init__(self, insert: Any) -> None:
        compiled = insert.compile(dialect=sqlite.dialect())
        self._statement = str(compiled)
        self._values = itemgetter(*compiled.positiontup)

    async def insert(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Insert all. Raises `_KnownError` where one is there; the transaction is to be rolled back then."""
        done = await connection.exec_driver_sql(self._statement, [self._values(row) for row in rows])
        if done.rowcount != len(rows):
            raise _KnownError
