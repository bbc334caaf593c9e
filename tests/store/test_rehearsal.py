"""Every migration, with many rows in the tables of the version before it: `TRUNKLINE_REHEARSAL_ROWS` tells how many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text
from store.test_migrations import REVISIONS, carried_out, empty_url, upgrade

from trunkline.store.database import opened

ROWS = int(os.environ.get("TRUNKLINE_REHEARSAL_ROWS", "5000"))

__all__ = ["empty_url"]

_VALUES = {"INTEGER": "n", "BIGINT": "n * 60", "SMALLINT": "1", "BOOLEAN": "{false}", "VARCHAR": "'v' || n"}
"""A type of a column -> what row n has there."""


def fill(connection: Connection) -> None:
    """Put rows into every table that there is, by the database itself."""
    postgres = connection.dialect.name == "postgresql"
    words = {"false": "false" if postgres else "0"}
    blob = "('b' || n)::bytea" if postgres else "CAST('b' || n AS BLOB)"
    numbers = f"SELECT generate_series(1, {ROWS}) AS n"
    if not postgres:
        numbers = f"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {ROWS}) SELECT n FROM t"  # noqa: S608
    inspector = inspect(connection)
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        columns = {
            column["name"]: _VALUES.get(str(column["type"]).split("(")[0], blob).format(**words)
            for column in inspector.get_columns(table)
        }
        values = f"SELECT {', '.join(columns.values())} FROM ({numbers}) AS s"  # noqa: S608
        connection.execute(text(f"INSERT INTO {table} ({', '.join(columns)}) {values}"))


def counts(connection: Connection) -> dict[str, int]:
    """The rows of each table."""
    names = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
    return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names}  # noqa: S608


@pytest.mark.parametrize("revision", REVISIONS)
async def test_with_many_rows(empty_url: str, revision: str, tmp_path: Path) -> None:
    """Not one is lost, and what a migration derives from them is derived."""
    before: dict[str, int] = {}
    await carried_out(empty_url, upgrade(revision), fill, lambda connection: before.update(counts(connection)))
    assert set(before.values()) == {ROWS}
    database = await opened(empty_url)
    async with database.reading() as connection:
        after = await connection.run_sync(counts)
    await database.close()
    assert {name: after[name] for name in before} == before
    if "usage_rollups" in before and "usage_periods" not in before:
        days = {n * 60 // 86_400 for n in range(1, ROWS + 1)}
        months = -(-ROWS * 60 // (31 * 86_400))
        assert len(days) + months <= after["usage_periods"] <= len(days) + 2 * months + 1
