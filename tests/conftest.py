"""What tests of every kind may use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from servers.postgres import PostgresServer
from servers.valkey import ValkeyServer

from trunkline.store.database import opened
from trunkline.store.engine import MEMORY

# How long an example takes is the machine's affair: no test fails because others work beside it.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started once. Who stops it starts it again."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def _postgres_template(postgres: PostgresServer) -> str:
    """A database with all tables and no rows."""
    name = postgres.create()

    async def migrate() -> None:
        await (await opened(postgres.url(name))).close()

    asyncio.run(migrate())
    return name


@pytest.fixture
def postgres_url(postgres: PostgresServer, _postgres_template: str) -> Iterator[str]:
    """A database of the test's own on the server, with all tables and no rows."""
    name = postgres.create(_postgres_template)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(params=["memory", "file", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a database of the test's own is: one in memory, one in a file, and one of PostgreSQL."""
    match request.param:
        case "memory":
            return MEMORY
        case "file":
            return f"sqlite:///{tmp_path}/data/store.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A Valkey server, started once: each test takes a namespace of its own and leaves it running."""
    server = ValkeyServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def own_valkey_server() -> Iterator[ValkeyServer]:
    """A Valkey server for a test that stops it or empties it."""
    server = ValkeyServer()
    server.start()
    yield server
    server.close()
