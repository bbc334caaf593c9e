"""`trunkline ledger`: what the ledger says of itself."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trunkline.cli import ledger_export, ledger_rerate
from trunkline.cli.exits import FAILED, OK
from trunkline.cli.moments import moment

if TYPE_CHECKING:
    from trunkline.config.model import Config
    from trunkline.ledger.verify import Report

_ACTIONS: Final = {
    "export": (ledger_export, "write entries to a file, the oldest first"),
    "rerate": (ledger_rerate, "record what calls cost too much or too little, by the prices of the configuration"),
}

_COUNTS: Final = (
    ("entries", "entries"),
    ("calls", "calls"),
    ("corrections", "corrections"),
    ("sums", "sums by the hour"),
    ("abandoned", "calls that were abandoned"),
    ("estimated", "calls whose usage is estimated"),
    ("unpriced", "calls without a price"),
    ("unshipped", "entries on this machine alone"),
    ("damaged", "damaged parts of the journal"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ledger`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, (module, purpose) in _ACTIONS.items():
        action = actions.add_parser(
            name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", allow_abbrev=False
        )
        module.add_arguments(action)
        action.set_defaults(action=module.run)
    verify = actions.add_parser(
        "verify",
        help="check every entry, the sums over them, and the journal on this machine",
        description="Check every entry, the sums over them, and the journal on this machine.",
        allow_abbrev=False,
    )
    verify.add_argument("-c", "--config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    verify.add_argument("--since", metavar="TIME", type=moment, help="check calls that ended then or later")
    verify.add_argument("--until", metavar="TIME", type=moment, help="check calls that ended before")
    verify.add_argument("--json", action="store_true", help="the report as JSON, on one line")
    verify.set_defaults(action=_run_verify)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    status: int = args.action(args)
    return status


def _run_verify(args: argparse.Namespace) -> int:
    """Verify the ledger, and tell what was found; it may be in use meanwhile."""
    import asyncio

    from rich.text import Text

    from trunkline.cli.configuration import loader, report
    from trunkline.cli.terminal import print_json, printable, stderr
    from trunkline.config.problem import ConfigError
    from trunkline.errors import GatewayError

    try:
        config = loader(args.config, {})()
        found = asyncio.run(_verify(config, args.since, args.until))
    except ConfigError as error:
        report(error)
        return FAILED
    except (GatewayError, OSError) as error:
        stderr().print(Text.assemble(("error: ", "bold red"), printable(str(error))), soft_wrap=True)
        return FAILED
    if args.json:
        counts = {name: getattr(found, name) for name, _ in _COUNTS}
        cost = {"total_nanos": found.total_nanos}
        print_json({"ok": found.ok, **counts, **cost, "wrong": found.wrong, "problems": found.problems})
    else:
        _print(found)
    return OK if found.ok else FAILED


async def _verify(config: Config, since: int | None, until: int | None) -> Report:
    from trunkline.ledger.ledger import JOURNAL
    from trunkline.ledger.verify import verify
    from trunkline.store.database import data_folder, database_url, existing

    database = await existing(database_url(config.store, os.environ))
    try:
        journal = Path(data_folder(os.environ)) / JOURNAL
        return await verify(database, start=since, end=until, journal=journal)
    finally:
        await database.close()


def _print(found: Report) -> None:
    from rich.text import Text

    from trunkline.cli.terminal import printable, stdout, table

    grid = table()
    grid.show_header = False
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(justify="right")
    for name, told in _COUNTS:
        grid.add_row(told, f"{getattr(found, name):,}")
    grid.add_row("cost", f"${found.total_nanos / 1e9:,.6f}")
    console = stdout()
    if found.ok:
        console.print(Text.assemble(("OK", "bold green"), "  the ledger is whole"))
    else:
        console.print(Text.assemble(("WRONG", "bold red"), f"  {found.wrong} problems"))
    console.print(grid)
    for problem in found.problems:
        console.print(Text(f"  {printable(problem)}"), soft_wrap=True)
    if found.wrong > len(found.problems):
        console.print(Text(f"  and {found.wrong - len(found.problems)} more"))
