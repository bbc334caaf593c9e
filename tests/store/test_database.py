"""Where the database is, who can read it, and which are opened."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from trunkline.config.model import StoreConfig
from trunkline.config.problem import ConfigError
from trunkline.errors import GatewayError
from trunkline.store.database import Database, database_url, opened, unbroken
from trunkline.store.engine import MEMORY
from trunkline.store.tables import METADATA


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/h"}, "/h/.local/state/trunkline"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/trunkline"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s", "TRUNKLINE_DATA": "/d"}, "/d"),
    ],
)
def test_where_data_are_kept(environ: dict[str, str], path: str) -> None:
    """In the folder that is named for it, or in the state folder of whoever runs the gateway."""
    assert database_url(StoreConfig(), environ) == f"sqlite:///{path}/trunkline.db"


async def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """The folder and the file are made for their owner alone, whatever their names hold."""
    folder = tmp_path / "a?b%c d" / "trunkline"
    database = await opened(f"sqlite:///{folder}/trunkline.db")
    await database.close()

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "trunkline.db").stat().st_mode & 0o777 == 0o600


async def test_the_tables_are_those_of_the_migrations(database: Database) -> None:
    """What the migrations make is what the code says there is."""

    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("url", ["mysql://x", "sqlite:///", "sqlite://", "/var/lib/x.db"])
async def test_an_url_of_another_kind_is_refused(url: str) -> None:
    """The error names the setting and the forms that it takes."""
    with pytest.raises(
        ConfigError, match=r"store\.url: must be `sqlite:///PATH`, `postgresql://USER@HOST/NAME` or `:memory:`"
    ):
        await opened(url)


@pytest.mark.parametrize("place", ["{tmp}/file/t.db", "{tmp}/folder.db"])
async def test_a_place_that_cannot_be_written_to(tmp_path: Path, place: str) -> None:
    """The error says what to do instead."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(ConfigError, match=r"store\.url: .*`:memory:`"):
        await opened("sqlite:///" + place.format(tmp=tmp_path))


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file that holds something else is not written over."""
    (tmp_path / "t.db").write_bytes(b"precious" * 1000)
    with pytest.raises(ConfigError, match=r"store\.url: .* cannot be opened"):
        await opened(f"sqlite:///{tmp_path}/t.db")
    assert (tmp_path / "t.db").read_bytes() == b"precious" * 1000


async def test_a_failure_is_the_gateways_own(database: Database) -> None:
    """An error of the database tells callers nothing of its inside."""
    with pytest.raises(GatewayError) as failed:
        async with database.writing() as connection:
            await connection.execute(text("SELECT * FROM nothing WHERE secret = 'x'"))

    assert failed.value.name == "INTERNAL"
    assert "secret" not in failed.value.message


async def test_what_fails_leaves_nothing(database: Database) -> None:
    """A transaction that fails is undone."""
    with pytest.raises(GatewayError):
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO response_items (id, response_id) VALUES ('a', 'b')"))
            await connection.execute(text("SELECT * FROM nothing"))

    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM response_items"))).scalar() == 0


async def test_a_caller_who_leaves_breaks_nothing() -> None:
    """What was begun is ended though its caller is gone, and a database in memory outlives it."""
    database = await opened(MEMORY)
    begun, go = asyncio.Event(), asyncio.Event()

    @unbroken
    async def write() -> None:
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO response_items (id, response_id) VALUES ('a', 'b')"))
            begun.set()
            await go.wait()

    task = asyncio.ensure_future(write())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    async with database.writing() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM response_items"))).scalar() == 1
    await database.close()


async def test_many_write_at_once(database: Database) -> None:
    """Writers wait for one another, and none is refused."""

    async def write(number: int) -> None:
        async with database.writing() as connection:
            await connection.execute(
                text("INSERT INTO response_items (id, response_id) VALUES (:id, 'b')"), {"id": str(number)}
            )

    await asyncio.gather(*(write(number) for number in range(100)))
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM response_items"))).scalar() == 100


async def test_many_may_make_one_database_at_once(tmp_path: Path) -> None:
    """Workers that start together find no database locked: each waits for the one that makes it."""
    for name in range(20):
        url = f"sqlite:///{tmp_path}/{name}.db"
        for database in await asyncio.gather(*(opened(url) for _ in range(8))):
            await database.close()
