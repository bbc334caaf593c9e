"""Rows into a database, past the gateway and as fast as it takes them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from calls import Calls
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, DropIndex

from trunkline.ledger.calendar import day_of, month_of
from trunkline.ledger.rows import Row, rollup_id
from trunkline.ledger.summaries import Span
from trunkline.store.database import opened
from trunkline.store.engine import SQLITE
from trunkline.store.tables import DIMENSIONS, LEDGER_ENTRIES, USAGE_PERIODS, USAGE_ROLLUPS

Told = Callable[[str], None]


async def fill(url: str, calls: Calls, told: Told) -> None:
    """Make the tables at `url`, and put all of `calls` in."""
    await (await opened(url)).close()
    if url.startswith(SQLITE):
        await asyncio.to_thread(_fill_sqlite, url.removeprefix(SQLITE), calls, told)
    else:
        await _fill_postgres(url, calls, told)


def _fill_sqlite(path: str, calls: Calls, told: Told) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
        connection.execute(f"PRAGMA {pragma}")

    def put(table: Table, rows: Sequence[Row]) -> None:
        names = [column.name for column in table.columns]
        marks = ", ".join("?" * len(names))
        connection.executemany(
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608
            ([row[name] for name in names] for row in rows),
        )

    for statement in _indexes(DropIndex, sqlite.dialect()):
        connection.execute(statement)
    connection.execute("BEGIN")
    for place, (entries, sums, periods) in enumerate(_batches(calls)):
        put(LEDGER_ENTRIES, entries)
        put(USAGE_ROLLUPS, sums)
        put(USAGE_PERIODS, periods)
        if place % 100 == 0:
            told(f"hour {place}")
    connection.execute("COMMIT")
    for statement in _indexes(CreateIndex, sqlite.dialect()):
        told(statement.split()[2])
        connection.execute(statement)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


async def _fill_postgres(url: str, calls: Calls, told: Told) -> None:
    async with _connected(url) as connection:
        for statement in _indexes(DropIndex, postgresql.dialect()):  # type: ignore[no-untyped-call]
            await connection.execute(statement)
        for place, (entries, sums, periods) in enumerate(_batches(calls)):
            for table, rows in ((LEDGER_ENTRIES, entries), (USAGE_ROLLUPS, sums), (USAGE_PERIODS, periods)):
                names = [column.name for column in table.columns]
                records = [tuple(row[name] for name in names) for row in rows]
                await connection.copy_records_to_table(table.name, records=records, columns=names)
            if place % 100 == 0:
                told(f"hour {place}")
        for statement in _indexes(CreateIndex, postgresql.dialect()):  # type: ignore[no-untyped-call]
            told(statement.split()[2])
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _batches(calls: Calls) -> Iterable[tuple[list[Row], list[Row], list[Row]]]:
    seen: set[tuple[int, int]] = set()
    for entries, sums in calls.hours():
        periods = []
        for row in sums:
            row["id"] = rollup_id([row[name] for name in DIMENSIONS])
        if sums:
            day = day_of(sums[0]["hour"])
            for span, start in ((Span.DAY, day), (Span.MONTH, month_of(day))):
                if (span, start) not in seen:
                    seen.add((span, start))
                    periods.append({"span": int(span), "start": start, "folded": False})
        yield entries, sums, periods


def _indexes(statement: Any, dialect: Any) -> list[str]:
    return [
        str(statement(index).compile(dialect=dialect))
        for table in (LEDGER_ENTRIES, USAGE_ROLLUPS)
        for index in sorted(table.indexes, key=lambda index: str(index.name))
    ]
