"""Everything that is kept, from one database into another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.config.problem import ConfigError
from trunkline.store.database import Database
from trunkline.store.tables import METADATA, USAGE_PERIODS, USAGE_SUMMARIES

_AT_ONCE: Final = 1000

_TABLES: Final = tuple(table for table in METADATA.sorted_tables if table is not USAGE_SUMMARIES)
"""What is copied: sums of sums are made anew by the gateway."""

Told = Callable[[str, int], None]
"""A table, and how many of its rows are there."""


class NotMovedError(Exception):
    """What was written is not what was read; nothing is in the target."""


@dataclass(slots=True)
class Content:
    """What a table holds, whatever the order: how many rows, and the sum of their digests."""

    rows: int = 0
    digest: int = 0

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Count rows."""
        self.rows += len(rows)
        for row in rows:
            self.digest += int.from_bytes(blake2b(repr(tuple(row.values())).encode(), digest_size=16).digest())


async def move(source: Database, target: Database, told: Told) -> dict[str, int]:
    """Copy every table of `source` into `target`, in one transaction: all of it is there afterwards, or nothing. Each
    row is read back and compared. Nobody can write to a `source` of SQLite meanwhile; whoever writes to one of
    PostgreSQL is not waited for. How many rows each table has.

    Raises `ConfigError` where the target is not empty, `NotMovedError`, and what `Database.failures` of the two name.
    """
    counts: dict[str, int] = {}
    async with _still(source) as reading, target.attempting() as writing:
        await _check_empty(writing)
        for table in _TABLES:
            read = Content()
            async for rows in _rows(reading, table):
                read.add(rows)
                await writing.execute(insert(table), rows)
            written = Content()
            async for rows in _rows(writing, table):
                written.add(rows)
            if written != read:
                raise NotMovedError(f"the table `{table.name}` was read with {read} and written with {written}")
            counts[table.name] = read.rows
            told(table.name, read.rows)
    return counts


@asynccontextmanager
async def _still(source: Database) -> AsyncIterator[AsyncConnection]:
    """A connection to read by, to which the database stands still."""
    if source.postgres:
        async with source.snapshot() as connection:
            yield connection
    else:
        async with source.attempting() as connection:
            # What a gateway recorded meanwhile would be missing from the target; so it stays in its journal.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection


async def _check_empty(connection: AsyncConnection) -> None:
    for table in METADATA.sorted_tables:
        if (await connection.execute(select(*table.primary_key.columns).limit(1))).first() is not None:
            raise ConfigError([f"the target is not empty: there are rows in `{table.name}`. Name an empty database."])


async def _rows(connection: AsyncConnection, table: Table) -> AsyncGenerator[list[dict[str, Any]], None]:
    stream = await connection.stream(select(table))
    async for part in stream.mappings().partitions(_AT_ONCE):
        rows = [dict(row) for row in part]
        if table is USAGE_PERIODS:
            rows = [{**row, "folded": False} for row in rows]
        yield rows
