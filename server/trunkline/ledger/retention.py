"""What is old enough is dropped: entries first, sums later."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.ledger.calendar import DAY, MICROS, day_of
from trunkline.ledger.kept import ENTRIES_FROM, SUMS_FROM
from trunkline.store.database import Database, unbroken
from trunkline.store.tables import LEDGER_ENTRIES, LEDGER_STATE, USAGE_PERIODS, USAGE_ROLLUPS, USAGE_SUMMARIES

_AT_ONCE: Final = 1000
"""Rows that are dropped in one transaction: others want to write, too."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days entries, and the sums of them, are kept in a database; for ever where that is None.

    An entry is in the sums from the moment at which it is in the database, so nothing is dropped that is not.
    """

    database: Database
    entries_days: int | None = None
    sums_days: int | None = None

    async def sweep(self, now: float | None = None) -> int:
        """Drop what is older, whole days in UTC alone; how many rows these were. Raises `GatewayError` (INTERNAL)."""
        today = day_of(int(time.time() if now is None else now))
        dropped = 0
        kept = [days for days in (self.entries_days, self.sums_days) if days is not None]
        if kept:
            entries_from = today - min(kept) * DAY
            await self._note(ENTRIES_FROM, entries_from)
            dropped += await self._drop(LEDGER_ENTRIES, LEDGER_ENTRIES.c.ended_at < entries_from * MICROS)
        if self.sums_days is not None:
            sums_from = today - self.sums_days * DAY
            await self._note(SUMS_FROM, sums_from)
            # A month of which a part is gone is told by its days.
            dropped += await self._drop(USAGE_SUMMARIES, USAGE_SUMMARIES.c.start < sums_from)
            dropped += await self._drop(USAGE_ROLLUPS, USAGE_ROLLUPS.c.hour < sums_from)
            async with self.database.writing() as connection:
                await connection.execute(delete(USAGE_PERIODS).where(USAGE_PERIODS.c.start < sums_from))
        return dropped

    @unbroken
    async def _note(self, name: str, value: int) -> None:
        """Tell readers from when on there is something, before the first of it is dropped."""
        noted = self.database.insert(LEDGER_STATE).values(name=name, value=value)
        later = noted.on_conflict_do_update(
            index_elements=["name"], set_={"value": noted.excluded.value}, where=LEDGER_STATE.c.value < value
        )
        async with self.database.writing() as connection:
            await connection.execute(later)

    async def _drop(self, table: Table, old: ColumnElement[bool]) -> int:
        dropped = 0
        while count := await self._drop_some(table, old):
            dropped += count
        return dropped

    @unbroken
    async def _drop_some(self, table: Table, old: ColumnElement[bool]) -> int:
        async with self.database.writing() as connection:
            return await _dropped(connection, table, old)


async def _dropped(connection: AsyncConnection, table: Table, old: ColumnElement[bool]) -> int:
    chosen = select(table.c.id).where(old).limit(_AT_ONCE)
    return (await connection.execute(delete(table).where(table.c.id.in_(chosen)))).rowcount
