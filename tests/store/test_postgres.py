"""PostgreSQL: how it is named, and what is told where it cannot be reached."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
from servers.postgres import PostgresServer
from sqlalchemy import text

from trunkline.config.problem import ConfigError
from trunkline.errors import GatewayError
from trunkline.store.database import opened
from trunkline.store.engine import make_engine, shown


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg", "postgres"])
async def test_its_names(postgres_url: str, scheme: str) -> None:
    """The driver need not be named."""
    database = await opened(postgres_url.replace("postgresql", scheme, 1))
    assert database.postgres
    await database.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://ann:secret@db:5432/t?sslmode=require", "postgresql://ann:***@db:5432/t"),
        ("postgres://db/t?password=secret", "postgres://db/t"),
        ("sqlite:////var/t.db", "sqlite:////var/t.db"),
    ],
)
def test_no_password_is_shown(url: str, told: str) -> None:
    """Wherever in the URL it stands."""
    assert shown(url) == told


def test_tls_is_asked_for_as_everywhere() -> None:
    """`sslmode` is libpq's word for it, which the driver has another for."""
    engine = make_engine("postgresql://db/t?sslmode=verify-full")
    assert dict(engine.url.query) == {"ssl": "verify-full"}


async def test_a_server_that_is_not_there(tmp_path: Any) -> None:
    """The error tells what to look at, and no password."""
    with pytest.raises(ConfigError, match=r"cannot be opened.*See that the server runs") as refused:
        await opened(f"postgresql://ann:secret@/t?host={tmp_path}")
    assert "secret" not in str(refused.value)


async def test_an_url_that_cannot_be_read() -> None:
    """It is not shown, as it may hold a password."""
    with pytest.raises(ConfigError, match="postgresql://USER:PASSWORD@HOST:PORT/NAME") as refused:
        await opened("postgresql://ann:secret@db:port/t")
    assert "secret" not in str(refused.value)


async def test_the_driver_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "asyncpg":
            raise ModuleNotFoundError("No module named 'asyncpg'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'trunkline\[postgres\]'"):
        await opened("postgresql://db/t")


async def test_a_server_that_was_started_anew(postgres: PostgresServer, postgres_url: str) -> None:
    """What fails meanwhile is the gateway's own failure; afterwards all is as before."""
    database = await opened(postgres_url)
    async with database.reading() as connection:
        await connection.execute(text("SELECT 1"))
    postgres.stop()
    try:
        with pytest.raises(GatewayError, match="its log tells why"):
            async with database.writing() as connection:
                await connection.execute(text("SELECT 1"))
    finally:
        postgres.start()
    async with database.writing() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
    await database.close()
