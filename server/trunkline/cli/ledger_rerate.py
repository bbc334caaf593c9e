"""`trunkline ledger rerate`: what calls cost, by the prices that the configuration has now."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.cli.exits import FAILED, OK
from trunkline.cli.moments import moment

if TYPE_CHECKING:
    from trunkline.catalog.price import Price
    from trunkline.config.model import Config
    from trunkline.ledger.rerate import Rerated


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ledger rerate`."""
    parser.add_argument("-c", "--config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    parser.add_argument("--since", metavar="TIME", type=moment, required=True, help="calls that ended then or later")
    parser.add_argument("--until", metavar="TIME", type=moment, help="calls that ended before; now by default")
    parser.add_argument(
        "--model", metavar="NAME", action="append", default=[], help="that asked for this model, or got it; and others"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what would be recorded, and record nothing")
    parser.add_argument("--json", action="store_true", help="what came of it as JSON, on one line")


def run(args: argparse.Namespace) -> int:
    """Record what calls cost too much or too little; the gateway may run meanwhile."""
    from rich.text import Text

    from trunkline.cli.configuration import loader, report
    from trunkline.cli.terminal import print_json, printable, stderr
    from trunkline.config.problem import ConfigError
    from trunkline.errors import GatewayError

    try:
        config = loader(args.config, {})()
        done = asyncio.run(_rerate(config, args))
    except ConfigError as error:
        report(error)
        return FAILED
    except GatewayError as error:
        stderr().print(Text.assemble(("error: ", "bold red"), printable(str(error))), soft_wrap=True)
        return FAILED
    if args.json:
        counts = {name: getattr(done, name) for name in ("calls", "corrected", "nanos", "unpriced")}
        print_json({**counts, "by_model": done.by_model, "dry_run": args.dry_run})
    else:
        _print(done, dry=args.dry_run)
    return OK


async def _rerate(config: Config, args: argparse.Namespace) -> Rerated:
    from trunkline.ledger.rerate import Rerating
    from trunkline.store.database import database_url, existing

    price_of = await _prices(config)
    database = await existing(database_url(config.store, os.environ))
    try:
        until = int(time.time()) + 1 if args.until is None else args.until
        return await Rerating(database, price_of).run(args.since, until, args.model, dry=args.dry_run)
    finally:
        await database.close()


async def _prices(config: Config) -> Callable[[str, str, datetime, str], Price | None]:
    """The prices of the configuration; none at a provider that it does not have any more."""
    from trunkline.catalog.catalog import Catalog
    from trunkline.catalog.configured import overrides
    from trunkline.config.discover import discover

    kinds = {name: provider.kind for name, provider in (await discover(config, os.environ)).items()}
    catalog = Catalog(overrides(config.catalog))

    def price_of(provider: str, model: str, at: datetime, service_tier: str) -> Price | None:
        kind = kinds.get(provider)
        return None if kind is None else catalog.price(kind, model, provider, at, service_tier)

    return price_of


def _print(done: Rerated, *, dry: bool) -> None:
    from trunkline.cli.terminal import printable, stderr, stdout, table

    grid = table("MODEL", "DIFFERENCE")
    grid.columns[1].justify = "right"
    for model, nanos in sorted(done.by_model.items()):
        grid.add_row(printable(model), _money(nanos))
    if done.by_model:
        stdout().print(grid)
    would = "would get" if dry else "got"
    told = f"{done.corrected:,} of {done.calls:,} calls {would} a correction, {_money(done.nanos)} in all."
    if done.unpriced:
        told += f" {done.unpriced:,} calls have no price, and stay as they were."
    stderr().print(told, style="dim")


def _money(nanos: int) -> str:
    return f"{'-' if nanos < 0 else '+'}${abs(nanos) / 1e9:,.9f}"
