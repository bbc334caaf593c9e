"""The check of the ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli.running import run
from ledger.entries import BEGIN, HOUR, closed, opened
from servers.postgres import PostgresServer
from sqlalchemy import text

from trunkline.ledger.insertion import Insertion
from trunkline.store import database as databases


async def fill(url: str, statements: Sequence[str] = ()) -> None:
    """Three entries, an hour after the other, and what was done to them by hand."""
    database = await databases.opened(url)
    entries = [closed(opened(at=BEGIN + number * HOUR)) for number in range(3)]
    await Insertion(database).insert([(entry, entry.SerializeToString()) for entry in entries])
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await database.close()


@pytest.fixture
def where(tmp_path: Path) -> dict[str, str]:
    """The environment that names the data."""
    return {"TRUNKLINE_STORE_URL": f"sqlite:///{tmp_path}/t.db", "TRUNKLINE_DATA": str(tmp_path)}


def test_a_whole_ledger(where: dict[str, str]) -> None:
    """Its counts are told."""
    asyncio.run(fill(where["TRUNKLINE_STORE_URL"]))
    done = run("ledger", "verify", **where)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("OK  the ledger is whole")
    assert "$0.000000" in done.stdout


def test_a_part_of_the_time(where: dict[str, str]) -> None:
    """As JSON."""
    asyncio.run(fill(where["TRUNKLINE_STORE_URL"]))
    done = run("ledger", "verify", "--since", "2025-10-09T10:00:00Z", "--until", "2025-10-09T11:00", "--json", **where)
    told = json.loads(done.stdout)
    assert (told["ok"], told["entries"], told["total_nanos"], told["problems"]) == (True, 1, 140, [])


def test_a_ledger_that_is_not(where: dict[str, str]) -> None:
    """Each problem is told, and the status is that of a check that found something."""
    asyncio.run(fill(where["TRUNKLINE_STORE_URL"], ["UPDATE usage_rollups SET calls = 7"]))
    done = run("ledger", "verify", **where)
    assert done.returncode == 1
    assert done.stdout.startswith("WRONG  3 problems")
    assert done.stdout.count("calls is 7 and not 1") == 3


def test_a_time_that_is_none(where: dict[str, str]) -> None:
    """The error shows how to write one."""
    done = run("ledger", "verify", "--since", "yesterday", **where)
    assert done.returncode == 2
    assert "such as 2026-11-30" in done.stderr


def test_a_database_that_cannot_be_opened(tmp_path: Path, where: dict[str, str]) -> None:
    """It is told like any other setting that is wrong."""
    (tmp_path / "t.db").mkdir()
    done = run("ledger", "verify", **where)
    assert done.returncode == 1
    assert "store.url" in done.stderr


COMMANDS = [
    ("ledger", "verify"),
    ("ledger", "rerate", "--since", "30d"),
    ("ledger", "export", "--local"),
    ("usage", "--local"),
    ("store", "move", "--to", ":memory:"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_place_where_no_gateway_was(command: Sequence[str], tmp_path: Path) -> None:
    """It is told by its path, with the remedy, and nothing is made there."""
    data = tmp_path / "nowhere"
    done = run(*command, TRUNKLINE_STORE_URL="", TRUNKLINE_DATA=str(data))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no file `{data}/trunkline.db`" in done.stderr
    assert "TRUNKLINE_DATA" in done.stderr
    assert not data.exists()


def test_nothing_is_kept_in_memory() -> None:
    """So there is nothing to verify from outside."""
    done = run("ledger", "verify", TRUNKLINE_STORE_URL=":memory:")
    assert done.returncode == 1
    assert "gone with the process" in done.stderr


def test_an_empty_database_stays_empty(postgres: PostgresServer) -> None:
    """One of PostgreSQL, too, that no gateway has used."""
    name = postgres.create()
    try:
        done = run("ledger", "verify", TRUNKLINE_STORE_URL=postgres.url(name))
        again = run("usage", "--local", TRUNKLINE_STORE_URL=postgres.url(name))
    finally:
        postgres.drop(name)
    for told in (done, again):
        assert told.returncode == 1
        assert "no gateway has used" in told.stderr
