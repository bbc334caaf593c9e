"""Entries into the database: each once, and its sums with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.ledger.rows import Rollups, entry_row
from trunkline.ledger.summaries import note_changed
from trunkline.store.database import Database, unbroken
from trunkline.store.tables import COUNTERS, LEDGER_ENTRIES, USAGE_ROLLUPS
from trunkline.v1.ledger_pb2 import LedgerEntry

Written = tuple[LedgerEntry, bytes]
"""An entry, and itself as it was written."""

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
            return await self._insert(connection, entries)

    async def _insert(self, connection: AsyncConnection, entries: Sequence[Written]) -> int:
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
