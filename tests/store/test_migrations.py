"""Every database comes up to date from wherever it was, or is refused with the remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from servers.postgres import PostgresServer
from sqlalchemy import Connection, inspect, text

from trunkline.config.problem import ConfigError
from trunkline.store import schema
from trunkline.store.database import Database, opened
from trunkline.store.engine import make_engine

MIGRATIONS = Path(schema.__file__).with_name("migrations")
REVISIONS = sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("0*.py"))[:-1]
"""All but the newest."""


@pytest.fixture(params=["file", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database without any table is."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/t.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


async def carried_out(url: str, *steps: Callable[[Connection], object]) -> None:
    """Do something to a database, past the store."""
    engine = make_engine(url)
    async with engine.begin() as connection:
        for step in steps:
            await connection.run_sync(step)
    await engine.dispose()


def upgrade(revision: str) -> Callable[[Connection], None]:
    """What brings a database to an older revision."""

    def run(connection: Connection) -> None:
        config = AlembicConfig()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    return run


def statement(sql: str) -> Callable[[Connection], object]:
    """What carries out a statement."""
    return lambda connection: connection.execute(text(sql))


async def tables(database: Database) -> set[str]:
    """The tables that there are."""
    async with database.reading() as connection:
        return await connection.run_sync(lambda inner: set(inspect(inner).get_table_names()))


async def test_an_empty_database(empty_url: str) -> None:
    """All tables are made, and it is opened again as it is."""
    for _ in range(2):
        database = await opened(empty_url)
        assert {"responses", "ledger_entries", "usage_rollups", "api_keys"} <= await tables(database)
        await database.close()


@pytest.mark.parametrize("revision", REVISIONS)
async def test_from_every_revision(empty_url: str, revision: str) -> None:
    """What was stored stays."""
    row = "INSERT INTO response_items (id, response_id) VALUES ('a', 'b')"
    await carried_out(empty_url, upgrade(revision), statement(row))
    database = await opened(empty_url)
    assert "ledger_entries" in await tables(database)
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT id, response_id FROM response_items"))).all() == [("a", "b")]
    await database.close()


async def test_many_start_at_once(empty_url: str) -> None:
    """One of them makes the tables, and the others wait for it."""
    databases = await asyncio.gather(*(opened(empty_url) for _ in range(5)))
    for database in databases:
        assert "ledger_entries" in await tables(database)
        await database.close()


async def test_a_newer_version(empty_url: str) -> None:
    """It is refused, with what to do, and left as it is."""
    await (await opened(empty_url)).close()
    await carried_out(empty_url, statement("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"newer version of Trunkline.*Run that version"):
        await opened(empty_url)


async def test_tables_that_somebody_changed(empty_url: str) -> None:
    """It is told what they lack."""
    await (await opened(empty_url)).close()
    await carried_out(
        empty_url,
        statement("ALTER TABLE usage_rollups DROP COLUMN calls"),
        statement("DROP TABLE conversation_items"),
    )
    lacking = r"lacks the column `usage_rollups\.calls`, the table `conversation_items`.*Restore the database"
    with pytest.raises(ConfigError, match=lacking):
        await opened(empty_url)
