"""`trunkline store`: where everything is kept."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.cli.exits import FAILED, OK

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.config.model import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `store`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    purpose = "copy everything into an empty database, and compare each row; stop the gateway before"
    action = actions.add_parser(
        "move", help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", allow_abbrev=False
    )
    action.add_argument("-c", "--config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    action.add_argument(
        "--to",
        metavar="URL",
        required=True,
        help="the new `store.url`, such as postgresql://USER@HOST/NAME; a password is better in PGPASSWORD, which "
        "others cannot see",
    )
    action.add_argument("--json", action="store_true", help="the rows of each table as JSON, on one line")


def run(args: argparse.Namespace) -> int:
    """Move the database."""
    from rich.text import Text

    from trunkline.cli.configuration import loader, report
    from trunkline.cli.terminal import print_json, printable, stderr, stdout, table
    from trunkline.config.problem import ConfigError
    from trunkline.store.move import NotMovedError

    console = stderr()

    def told(name: str, rows: int) -> None:
        console.print(f"{name}: {rows:,} rows", style="dim")

    try:
        counts = asyncio.run(_move(loader(args.config, {})(), args.to, told))
    except ConfigError as error:
        report(error)
        return FAILED
    except (NotMovedError, _FailedError) as error:
        console.print(Text.assemble(("error: ", "bold red"), printable(str(error))), soft_wrap=True)
        console.print("Nothing was moved, and the old database is as it was.", style="dim")
        return FAILED
    if args.json:
        print_json(counts)
        return OK
    grid = table("TABLE", "ROWS")
    grid.columns[1].justify = "right"
    for name, rows in counts.items():
        grid.add_row(name, f"{rows:,}")
    stdout().print(grid)
    console.print("Set `store.url` to the new database, and start the gateway.", style="dim")
    return OK


class _FailedError(Exception):
    """A database failed."""


async def _move(config: Config, url: str, told: Callable[[str, int], None]) -> dict[str, int]:
    from trunkline.config.problem import ConfigError
    from trunkline.store.database import database_url, existing, opened
    from trunkline.store.move import move

    old = database_url(config.store, os.environ)
    if old == url:
        raise ConfigError(["the target is the database that is in use. Name another."])
    source = await existing(old)
    try:
        target = await opened(url)
        try:
            return await move(source, target, told)
        except (*source.failures, *target.failures) as error:
            # SQLAlchemy's own message has the values of the statement in it.
            raise _FailedError(str(getattr(error, "orig", None) or error) or type(error).__name__) from None
        finally:
            await target.close()
    finally:
        await source.close()
