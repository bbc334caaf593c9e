"""From when on the ledger is kept."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.store.tables import LEDGER_STATE

ENTRIES_FROM: Final = "entries_from"
SUMS_FROM: Final = "sums_from"


async def kept_from(connection: AsyncConnection) -> tuple[int, int]:
    """From when on there are entries, and sums, in seconds since the epoch; 0 where nothing was dropped yet."""
    found = {row.name: row.value for row in await connection.execute(select(LEDGER_STATE))}
    return found.get(ENTRIES_FROM, 0), found.get(SUMS_FROM, 0)
