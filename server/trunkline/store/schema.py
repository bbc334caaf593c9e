"""The tables of a database: brought up to date, or refused with the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select

from trunkline.config.problem import ConfigError
from trunkline.store.tables import METADATA

_LOCK: Final = 0x7472_756E_6B6C  # `trunkl`
"""PostgreSQL's advisory lock that is held while the tables are changed."""


def migrate(connection: Connection) -> None:
    """Make the tables, or bring them up to date, all within the transaction of `connection`: several processes may
    start at once. Raises `ConfigError` where they are not those that this version knows."""
    if connection.dialect.name == "sqlite":
        # The driver would begin at the first change only, when another process may have made it already.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        remedy = "Run that version, or give this one a database of its own."
        raise ConfigError([f"store.url: the database was made by a newer version of Trunkline. {remedy}"])
    command.upgrade(config, "head")
    _check(connection)


def made(connection: Connection) -> bool:
    """Whether there are tables of any version."""
    return MigrationContext.configure(connection).get_current_revision() is not None


def _check(connection: Connection) -> None:
    """Refuse tables that somebody else made or changed: better at the start than in the middle of a call."""
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    lacking = []
    for table in METADATA.sorted_tables:
        if table.name not in there:
            lacking.append(f"the table `{table.name}`")
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        lacking += [
            f"the column `{table.name}.{column.name}`" for column in table.columns if column.name not in columns
        ]
    if lacking:
        told = ", ".join(sorted(lacking)[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        remedy = "Restore the database from a backup, or give this version one of its own."
        raise ConfigError([f"store.url: the database lacks {told}, which this version of Trunkline needs. {remedy}"])
