"""The database: where it is, how it is opened, and whether its tables are those that this version knows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from trunkline.config.problem import ConfigError

MEMORY: Final = ":memory:"
"""What keeps nothing beyond the process."""

_SQLITE: Final = "sqlite:///"
_BUSY: Final = 30.0
"""Seconds to wait for another process that writes."""


class Database:
    """One database. `open` is called once, before anything else, and `close` at the end."""

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = _engine(url)
        self._url = url

    async def open(self) -> None:
        """Make the tables, or bring them up to date. Raises `ConfigError`, with the remedy, where that cannot be."""
        try:
            async with self.engine.begin() as connection:
                await connection.run_sync(_migrate)
        except (SQLAlchemyError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            remedy = f"Name a place that can be written to, or `{MEMORY}` to keep nothing."
            problem = f"store.url: the database `{self._url}` cannot be opened: {reason}. {remedy}"
            raise ConfigError([problem]) from None

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def default_url(environ: Mapping[str, str]) -> str:
    """Where data are kept where the configuration does not say: in the state folder of whoever runs the gateway."""
    base = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local/state")
    return f"{_SQLITE}{base}/trunkline/trunkline.db"


def _engine(url: str) -> AsyncEngine:
    if url == MEMORY:
        # One connection, as each would have a memory of its own.
        return create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
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
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": _BUSY})
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
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        remedy = "Run that version, or give this one a database of its own."
        raise ConfigError([f"store.url: the database was made by a newer version of Trunkline. {remedy}"])
    command.upgrade(config, "head")


async def opened(url: str) -> Database:
    """The database at `url`, ready. Raises `ConfigError`."""
    database = await asyncio.to_thread(Database, url)
    try:
        await database.open()
    except ConfigError:
        await database.close()
        raise
    return database
