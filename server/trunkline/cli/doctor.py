"""`trunkline doctor`: which providers answer, and what to do about those that do not."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trunkline.cli.exits import FAILED, OK

if TYPE_CHECKING:
    from trunkline.cli.checkup import Checkup, Finding
    from trunkline.config.model import Config

_PACKAGES: Final = ("trunkline", "aiohttp", "grpcio", "protobuf", "pydantic", "uvloop")
"""The packages whose versions are worth a line in a bug report."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `doctor`."""
    parser.add_argument("-c", "--config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=10.0, help="how long to wait (default: 10)")
    parser.add_argument("--json", action="store_true", help="the findings as JSON, on one line")


def run(args: argparse.Namespace) -> int:
    """Ask every provider that the configuration gives for its models, all at once, and try the addresses."""
    from trunkline.cli.configuration import loader, report
    from trunkline.cli.terminal import print_json
    from trunkline.config.problem import ConfigError

    try:
        checkup = asyncio.run(_examine(loader(args.config, {})(), args.timeout))
    except ConfigError as error:
        if args.json:
            print_json({"ok": False, "versions": _versions(), "problems": list(error.problems)})
        else:
            report(error)
        return FAILED
    if args.json:
        findings = {name: [_object(each) for each in group] for name, group in checkup._asdict().items()}
        print_json({"ok": checkup.well, "versions": _versions(), **findings})
    else:
        _print(args.config, checkup)
    return OK if checkup.well else FAILED


async def _examine(config: Config, patience: float) -> Checkup:
    from trunkline.cli.checkup import examine
    from trunkline.house import build

    house = await build(config, os.environ)
    try:
        return await examine(house, patience)
    finally:
        await house.close()


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}


def _object(finding: Finding) -> dict[str, object]:
    shown: dict[str, object] = {"name": finding.name, "ok": finding.well, "detail": finding.detail}
    if finding.seconds is not None:
        shown["latencyMs"] = round(finding.seconds * 1000, 1)
    if finding.remedy:
        shown["remedy"] = finding.remedy
    return shown


def _print(path: Path | None, checkup: Checkup) -> None:
    from rich.markup import escape
    from rich.text import Text

    from trunkline.cli.terminal import printable, stdout, table

    console = stdout()
    versions = " · ".join(f"{name} {version}" for name, version in _versions().items())
    console.print(Text(versions, style="dim"), soft_wrap=True)
    console.print(Text(f"configuration: {path or 'none; the environment alone'}", style="dim"), soft_wrap=True)
    for heading, group in (("Addresses", checkup.addresses), ("Providers", checkup.providers)):
        console.print()
        grid = table("", heading, "LATENCY", "")
        for finding in group:
            mark = Text("ok", style="green") if finding.well else Text("!!", style="bold red")
            latency = "" if finding.seconds is None else f"{finding.seconds * 1000:.0f} ms"
            grid.add_row(mark, escape(printable(finding.name)), latency, Text(printable(finding.detail)))
        console.print(grid)
        for finding in group:
            if finding.remedy:
                console.print(Text(f"   {finding.name}: {printable(finding.remedy)}"), soft_wrap=True)
