"""From a URL to an engine: which databases there are, and how each is spoken to."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from trunkline.config.problem import ConfigError

MEMORY: Final = ":memory:"
"""What keeps nothing beyond the process."""

SQLITE: Final = "sqlite:///"

_POSTGRES: Final = ("postgresql://", "postgresql+asyncpg://", "postgres://")
_FORMS: Final = f"`{SQLITE}PATH`, `postgresql://USER@HOST/NAME` or `{MEMORY}`"
_SQLITE_DRIVER: Final = "sqlite+aiosqlite"
_POSTGRES_DRIVER: Final = "postgresql+asyncpg"

_BUSY: Final = 30.0
"""Seconds to wait for another process that writes to the same file."""

_AGAIN: Final = 0.02
"""Seconds until it is tried again what SQLite does not wait for by itself."""

_ROWS: Final = 32
"""Rows of one `INSERT` into SQLite, which keeps what it prepared: a statement for each number of rows, up to this."""

_CONNECT: Final = 10.0
"""Seconds until a server must have answered."""

_ANSWER: Final = 60.0
"""Seconds until a statement must have ended: a connection that is cut tells nothing."""


def make_engine(url: str) -> AsyncEngine:
    """The engine for `url`, not connected yet. Raises `ConfigError`."""
    if url == MEMORY:
        # One connection, as each would have a memory of its own.
        only: dict[str, Any] = {"poolclass": AsyncAdaptedQueuePool, "pool_size": 1, "max_overflow": 0}
        return create_async_engine(URL.create(_SQLITE_DRIVER), **only)
    if url.startswith(_POSTGRES):
        return _server(url)
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        return _file(Path(url.removeprefix(SQLITE)))
    raise ConfigError([f"store.url: must be {_FORMS}."])


def shown(url: str) -> str:
    """`url` without a password."""
    if not url.startswith(_POSTGRES):
        return url
    named = make_url(url)
    # What follows the `?` may be a password, too.
    return named.set(query={}).render_as_string(hide_password=True)


def driver_errors(engine: AsyncEngine) -> tuple[type[Exception], ...]:
    """What the driver raises past SQLAlchemy, such as at a server that just starts."""
    if engine.dialect.name != "postgresql":
        return ()
    import asyncpg

    return (asyncpg.PostgresError, asyncpg.InterfaceError)


def _file(path: Path) -> AsyncEngine:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whoever may read the file may read what callers said.
        path.touch(mode=0o600)
    except OSError as error:
        problem = f"store.url: `{path}` cannot be written to: {error.strerror}. Name another place, or `{MEMORY}`."
        raise ConfigError([problem]) from None
    engine = create_async_engine(
        URL.create(_SQLITE_DRIVER, database=str(path)),
        connect_args={"timeout": _BUSY},
        insertmanyvalues_page_size=_ROWS,
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _: object) -> None:
    """Readers do not wait for the writer, and what is committed survives a crash of the machine."""
    connection.run_async(_prepared)


async def _prepared(connection: Any) -> None:
    given_up = time.monotonic() + _BUSY
    while True:
        try:
            await connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # Where several processes make a database at once, SQLite does not wait for the others by itself here.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > given_up:
                raise
            await asyncio.sleep(_AGAIN)
    await connection.execute("PRAGMA synchronous=FULL")


def _server(url: str) -> AsyncEngine:
    try:
        named = make_url(url).set(drivername=_POSTGRES_DRIVER)
    except (ArgumentError, ValueError):
        # The URL is not shown, as it may hold a password.
        raise ConfigError(["store.url: must be `postgresql://USER:PASSWORD@HOST:PORT/NAME`."]) from None
    query = dict(named.query)
    if "sslmode" in query:
        # libpq's name for what asyncpg calls `ssl`.
        query["ssl"] = query.pop("sslmode")
    try:
        return create_async_engine(
            named.set(query=query),
            pool_pre_ping=True,
            pool_timeout=_CONNECT,
            connect_args={"timeout": _CONNECT, "command_timeout": _ANSWER},
        )
    except ModuleNotFoundError:
        remedy = "Install it: `pip install 'trunkline[postgres]'`."
        raise ConfigError([f"store.url: PostgreSQL needs the package asyncpg. {remedy}"]) from None
