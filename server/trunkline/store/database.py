"""The database: where it is, how it is opened, and whether its tables are those that this version knows."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from trunkline.config.problem import ConfigError
from trunkline.errors import internal

MEMORY: Final = ":memory:"
"""What keeps nothing beyond the process."""

_SQLITE: Final = "sqlite:///"
_DRIVER: Final = "sqlite+aiosqlite"
_BUSY: Final = 30.0
"""Seconds to wait for another process that writes."""

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = logging.getLogger("trunkline")


class Database:
    """One database. `open` is called once, before anything else, and `close` at the end."""

    def __init__(self, url: str) -> None:
        self._engine: AsyncEngine = _engine(url)
        self._url = url
        # SQLite has one writer at a time: who waits here waits in order, and without asking again and again.
        self._writer = asyncio.Lock()
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def open(self) -> None:
        """Make the tables, or bring them up to date. Raises `ConfigError`, with the remedy, where that cannot be."""
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(_migrate)
        except (SQLAlchemyError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            remedy = f"Name a place that can be written to, or `{MEMORY}` to keep nothing."
            problem = f"store.url: the database `{self._url}` cannot be opened: {reason}. {remedy}"
            raise ConfigError([problem]) from None

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection, None]:
        """A connection to read by. Raises `GatewayError` (INTERNAL) where the database fails."""
        with self._use():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction, committed at the end. Raises `GatewayError` (INTERNAL) where the database fails."""
        with self._use():
            async with self._writer, self._engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection, when what is under way has ended."""
        await self._unused.wait()
        await self._engine.dispose()

    @contextmanager
    def _use(self) -> Iterator[None]:
        self._users += 1
        self._unused.clear()
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise _failed(error) from error
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()


def unbroken(method: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """`method`, which runs to its end even where its caller no longer waits: a connection that is left in the middle of
    something is lost, and with it a database in memory."""

    @functools.wraps(method)
    async def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await asyncio.shield(asyncio.ensure_future(method(*args, **kwargs)))

    return run


def default_url(environ: Mapping[str, str]) -> str:
    """Where data are kept where the configuration does not say: in `$TRUNKLINE_DATA`, or else in the state folder of
    whoever runs the gateway."""
    folder = environ.get("TRUNKLINE_DATA")
    if not folder:
        home = environ.get("HOME") or os.path.expanduser("~")
        folder = os.path.join(environ.get("XDG_STATE_HOME") or os.path.join(home, ".local/state"), "trunkline")
    return f"{_SQLITE}{folder}/trunkline.db"


async def opened(url: str) -> Database:
    """The database at `url`, ready. Raises `ConfigError`."""
    database = await asyncio.to_thread(Database, url)
    try:
        await database.open()
    except ConfigError:
        await database.close()
        raise
    return database


def _engine(url: str) -> AsyncEngine:
    if url == MEMORY:
        # One connection, as each would have a memory of its own.
        only: dict[str, Any] = {"poolclass": AsyncAdaptedQueuePool, "pool_size": 1, "max_overflow": 0}
        return create_async_engine(URL.create(_DRIVER), **only)
    if not url.startswith(_SQLITE) or len(url) <= len(_SQLITE):
        raise ConfigError([f"store.url: must be `sqlite:///PATH` or `{MEMORY}`."])
    path = Path(url.removeprefix(_SQLITE))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whoever may read the file may read what callers said.
        path.touch(mode=0o600)
    except OSError as error:
        problem = f"store.url: `{path}` cannot be written to: {error.strerror}. Name another place, or `{MEMORY}`."
        raise ConfigError([problem]) from None
    engine = create_async_engine(URL.create(_DRIVER, database=str(path)), connect_args={"timeout": _BUSY})
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _: object) -> None:
    """Readers do not wait for the writer, and what is committed survives a crash of the machine."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _migrate(connection: Connection) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        remedy = "Run that version, or give this one a database of its own."
        raise ConfigError([f"store.url: the database was made by a newer version of Trunkline. {remedy}"])
    command.upgrade(config, "head")


def _failed(error: Exception) -> Exception:
    # The cause alone: SQLAlchemy's own message has the values of the statement in it.
    _log.error("the store failed: %s", getattr(error, "orig", None) or type(error).__name__)
    return internal("The gateway's store failed; its log tells why.")
