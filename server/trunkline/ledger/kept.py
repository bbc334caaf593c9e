"""From when on the ledger is kept."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.store.tables import LEDGER_STATE

ENTRIES_FROM: Final = "entries_from"
SUMS_FROM: Final = "sums_from"

ALWAYS: Final = -(1 << 40)
"""Before everything, and in microseconds still a number of the database's."""


async def kept_from(connection: AsyncConnection) -> tuple[int, int]:
    """From when on there are entries, and sums, in seconds since the epoch; `ALWAYS` where nothing was dropped yet."""
    found = {row.name: row.value for row in await connection.execute(select(LEDGER_STATE))}
    return found.get(ENTRIES_FROM, ALWAYS), found.get(SUMS_FROM, ALWAYS)
