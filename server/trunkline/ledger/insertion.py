"""Entries into the database: each once, and its sums with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.ledger.calendar import DAY, shown
from trunkline.ledger.kept import kept_from
from trunkline.ledger.rows import Rollups, entry_row
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
        insert = database.insert(LEDGER_ENTRIES)
        self._entries = insert.on_conflict_do_nothing(index_elements=["id"]).returning(LEDGER_ENTRIES.c.id)
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
        async with self._database.attempting() as connection:
            if self._database.postgres:
                # Whatever the server's own setting: what sent the entries forgets them now.
                await connection.execute(_DURABLE)
            return await self.insert_within(connection, entries)

    async def insert_within(self, connection: AsyncConnection, entries: Sequence[Written]) -> int:
        """As `insert`, as a part of the transaction of `connection`."""
        entries = await self._in_time(connection, entries)
        if not entries:
            return 0
        made = ((entry_row(entry, body), entry) for entry, body in entries)
        rows = {row["id"]: (row, entry) for row, entry in made}
        # In the order of their ids, as whoever inserts the same must not wait in a circle.
        inserted = await connection.execute(self._entries, [rows[name][0] for name in sorted(rows)])
        rollups = Rollups()
        count = 0
        for (name,) in inserted:
            row, entry = rows[name]
            rollups.add(entry, row)
            count += 1
        if count:
            sums = rollups.rows()
            await connection.execute(self._sums, sums)
            await note_changed(connection, self._database, {row["hour"] for row in sums})
        return count

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
