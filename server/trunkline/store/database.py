"""The database, and how it is read and written."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from trunkline.config.model import StoreConfig
from trunkline.config.problem import ConfigError
from trunkline.errors import internal
from trunkline.store.engine import MEMORY, SQLITE, driver_errors, make_engine, shown
from trunkline.store.schema import made, migrate

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = logging.getLogger("trunkline")


class Database:
    """One database. `open` is called once, before anything else, and `close` at the end.

    `postgres` tells whether it is PostgreSQL rather than SQLite, `shared` whether other processes may use it, too, and
    `failures` what its driver raises.
    """

    def __init__(self, url: str) -> None:
        self._engine: AsyncEngine = make_engine(url)
        self._url = url
        self.postgres = self._engine.dialect.name == "postgresql"
        self.shared = url != MEMORY
        self.failures: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, *driver_errors(self._engine))
        # SQLite has one writer at a time: who waits here waits in order, and without asking again and again.
        self._writer: AbstractAsyncContextManager[Any] = nullcontext() if self.postgres else asyncio.Lock()
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def open(self) -> None:
        """Make the tables, or bring them up to date. Raises `ConfigError`, with the remedy, where that cannot be."""
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(migrate)
        except self.failures as error:
            raise self._unopened(error) from None

    async def used(self) -> bool:
        """Whether a gateway has made its tables. Raises `ConfigError` where the database cannot be asked."""
        try:
            async with self._engine.connect() as connection:
                return await connection.run_sync(made)
        except self.failures as error:
            raise self._unopened(error) from None

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection, None]:
        """A connection to read by. Raises `GatewayError` (INTERNAL) where the database fails."""
        with self._use():
            try:
                async with self._engine.connect() as connection:
                    yield connection
            except self.failures as error:
                raise _failed(error) from error

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction, committed at the end. Raises `GatewayError` (INTERNAL) where the database fails."""
        try:
            async with self.attempting() as connection:
                yield connection
        except self.failures as error:
            raise _failed(error) from error

    @asynccontextmanager
    async def attempting(self) -> AsyncGenerator[AsyncConnection, None]:
        """As `writing`, but what fails is one of `failures` and is not logged: for who tries again by himself."""
        with self._use():
            async with self._writer, self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[AsyncConnection, None]:
        """A connection to read by, to which the database stands still. Raises `GatewayError` (INTERNAL)."""
        with self._use():
            try:
                async with self._engine.connect() as connection:
                    if self.postgres:
                        await connection.execution_options(isolation_level="REPEATABLE READ")
                    else:
                        # The driver would begin before a change only.
                        await connection.exec_driver_sql("BEGIN")
                    yield connection
            except self.failures as error:
                raise _failed(error) from error

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """An `INSERT` that can say what to do on a conflict."""
        return postgresql.insert(table) if self.postgres else sqlite.insert(table)

    async def close(self) -> None:
        """Close every connection, when what is under way has ended."""
        await self._unused.wait()
        await self._engine.dispose()

    def _unopened(self, error: Exception) -> ConfigError:
        reason = getattr(error, "orig", None) or error or type(error).__name__
        remedy = f"Name a place that can be written to, or `{MEMORY}` to keep nothing."
        if self.postgres:
            remedy = "See that the server runs, and that the user may make tables there."
        return ConfigError([f"store.url: the database `{shown(self._url)}` cannot be opened: {reason}. {remedy}"])

    @contextmanager
    def _use(self) -> Iterator[None]:
        self._users += 1
        self._unused.clear()
        try:
            yield
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


def data_folder(environ: Mapping[str, str]) -> str:
    """Where data are kept: in `$TRUNKLINE_DATA`, or else in the state folder of whoever runs the gateway."""
    home = environ.get("HOME") or os.path.expanduser("~")
    state = environ.get("XDG_STATE_HOME") or os.path.join(home, ".local/state")
    return environ.get("TRUNKLINE_DATA") or os.path.join(state, "trunkline")


def database_url(config: StoreConfig, environ: Mapping[str, str]) -> str:
    """Where the database is: in the folder of the data where the configuration does not say."""
    if config.url is not None:
        return config.url.get_secret_value()
    return f"{SQLITE}{data_folder(environ)}/trunkline.db"


async def opened(url: str) -> Database:
    """The database at `url`, ready. Raises `ConfigError`."""
    database = await asyncio.to_thread(Database, url)
    try:
        await database.open()
    except ConfigError:
        await database.close()
        raise
    return database


async def existing(url: str) -> Database:
    """As `opened`, of a database that a gateway has used. Raises `ConfigError` where there is none, and makes none."""
    problem = await asyncio.to_thread(_missing, url)
    if problem is None:
        database = await asyncio.to_thread(Database, url)
        try:
            if await database.used():
                return await opened(url)
        finally:
            await database.close()
        problem = f"has no tables: no gateway has used `{shown(url)}` yet"
    remedy = "Name the gateway's own by `--config`, TRUNKLINE_DATA or TRUNKLINE_STORE_URL."
    raise ConfigError([f"store.url: the database {problem}. {remedy}"])


def _missing(url: str) -> str | None:
    if url == MEMORY:
        return f"is in `{MEMORY}`, which is gone with the process of the gateway"
    if url.startswith(SQLITE) and not (path := Path(url.removeprefix(SQLITE))).is_file():
        return f"is not there: no file `{path}`"
    return None


def _failed(error: Exception) -> Exception:
    # The cause alone: SQLAlchemy's own message has the values of the statement in it.
    _log.error("the store failed: %s", getattr(error, "orig", None) or type(error).__name__)
    return internal("The gateway's store failed; its log tells why.")
