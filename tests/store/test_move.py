"""Everything is moved from one database to another, or nothing is."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, SmallInteger, String, Table, insert, select, text

from trunkline.config.problem import ConfigError
from trunkline.store.database import Database, opened
from trunkline.store.move import NotMovedError, move
from trunkline.store.tables import LEDGER_ENTRIES, METADATA, RESPONSES, USAGE_PERIODS, USAGE_SUMMARIES

ROWS = 2300
"""More than are copied at once, and not a multiple."""


def value(column: Any, number: int) -> Any:
    """Something that fits into a column, different in each row."""
    match column.type:
        case Boolean():
            return number % 2 == 0
        case SmallInteger():
            return number
        case BigInteger():
            return number if column.primary_key else 2**63 - 1 - number
        case Integer():
            return number
        case String():
            return f"{number} häß\N{SNOWMAN}"
        case LargeBinary():
            return bytes([number % 256, 0, 255]) * 10 + number.to_bytes(2)
    raise AssertionError(column)


def rows(table: Table, count: int) -> list[dict[str, Any]]:
    """Rows of a table, with nothing where that may be."""
    return [
        {
            column.name: None if column.nullable and number % 3 == 0 else value(column, number)
            for column in table.columns
        }
        for number in range(count)
    ]


async def fill(database: Database) -> None:
    """Put something into every table."""
    async with database.writing() as connection:
        for table in METADATA.sorted_tables:
            await connection.execute(insert(table), rows(table, ROWS if table is LEDGER_ENTRIES else 7))


async def content(database: Database, table: Table) -> list[tuple[Any, ...]]:
    """All rows of a table, in some order that is always the same."""
    async with database.reading() as connection:
        return sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)


@pytest.fixture
async def source(tmp_path: Path) -> Any:
    """A database of SQLite that holds something."""
    database = await opened(f"sqlite:///{tmp_path}/old.db")
    await fill(database)
    yield database
    await database.close()


async def test_to_postgres_and_back(source: Database, postgres_url: str, tmp_path: Path) -> None:
    """Every value of every table is as it was, but that sums of sums are made anew."""
    middle = await opened(postgres_url)
    last = await opened(f"sqlite:///{tmp_path}/new.db")
    told: list[str] = []
    counts = await move(source, middle, lambda name, _: told.append(name))
    assert counts == {name: ROWS if name == "ledger_entries" else 7 for name in told}
    assert set(told) == set(METADATA.tables) - {"usage_summaries"}
    assert await move(middle, last, lambda *_: None) == counts
    for table in METADATA.sorted_tables:
        for target in (middle, last):
            if table is USAGE_SUMMARIES:
                assert await content(target, table) == []
            elif table is USAGE_PERIODS:
                assert [row[:2] for row in await content(target, table)] == [
                    row[:2] for row in await content(source, table)
                ]
                assert not any(folded for _, _, folded in await content(target, table))
            else:
                assert await content(target, table) == await content(source, table)
    await middle.close()
    await last.close()


async def test_a_target_that_is_not_empty(source: Database, postgres_url: str) -> None:
    """It is left as it is."""
    target = await opened(postgres_url)
    async with target.writing() as connection:
        await connection.execute(insert(RESPONSES), rows(RESPONSES, 1))
    with pytest.raises(ConfigError, match="rows in `responses`"):
        await move(source, target, lambda *_: None)
    assert len(await content(target, RESPONSES)) == 1
    assert await content(target, LEDGER_ENTRIES) == []
    await target.close()


async def test_what_breaks_off(source: Database, postgres_url: str) -> None:
    """Nothing of it is there, and it can be done again."""
    target = await opened(postgres_url)

    def fail(name: str, count: int) -> None:
        if name == "ledger_entries":
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await move(source, target, fail)
    for table in METADATA.sorted_tables:
        assert await content(target, table) == []
    await move(source, target, lambda *_: None)
    await target.close()


async def test_what_is_not_what_was_read(source: Database, postgres_url: str) -> None:
    """A database that changes what it is given is found out."""
    target = await opened(postgres_url)
    async with target.writing() as connection:
        await connection.execute(
            text(
                "CREATE FUNCTION spoil() RETURNS trigger AS 'BEGIN NEW.body = ''x''; RETURN NEW; END' LANGUAGE plpgsql"
            )
        )
        await connection.execute(
            text("CREATE TRIGGER spoil BEFORE INSERT ON ledger_entries FOR EACH ROW EXECUTE FUNCTION spoil()")
        )
    with pytest.raises(NotMovedError, match="`ledger_entries`"):
        await move(source, target, lambda *_: None)
    assert await content(target, RESPONSES) == []
    await target.close()


async def test_a_writer(source: Database, tmp_path: Path, postgres_url: str) -> None:
    """Nobody changes the old database while it is moved."""
    target = await opened(postgres_url)
    other = sqlite3.connect(tmp_path / "old.db", timeout=0)

    def write(name: str, count: int) -> None:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("DELETE FROM responses")

    await move(source, target, write)
    assert len(await content(target, RESPONSES)) == 7
    other.close()
    await target.close()
