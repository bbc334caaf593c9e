"""`trunkline check-config`: whether the gateway would start with a configuration."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.cli.exits import FAILED, OK

if TYPE_CHECKING:
    from trunkline.config.model import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `check-config`."""
    parser.add_argument("config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON, on one line")


def run(args: argparse.Namespace) -> int:
    """Read the configuration as `serve` would, the environment included, and tell what it says or what is wrong."""
    from trunkline.cli.configuration import loader, report
    from trunkline.cli.terminal import print_json
    from trunkline.config.problem import ConfigError

    try:
        config = loader(args.config, {})()
        providers = asyncio.run(_build(config))
    except ConfigError as error:
        if args.json:
            print_json({"ok": False, "problems": list(error.problems)})
        else:
            report(error)
        return FAILED
    if args.json:
        print_json({"ok": True, **_summary(config, providers)})
    else:
        _print_summary(args.config, config, providers)
    return OK


async def _build(config: Config) -> dict[str, str]:
    """Make all that a gateway is made of; the providers that there are then, each with its kind."""
    from trunkline.house import build

    house = await build(config, os.environ)
    await house.close()
    return {name: config.providers[name].kind if name in config.providers else name for name in house.providers}


def _summary(config: Config, providers: Mapping[str, str]) -> dict[str, object]:
    """What `config` says, without any secret."""
    return {
        "http": {"address": str(config.http.address), "tls": config.http.tls is not None},
        "grpc": {"address": str(config.grpc.address), "tls": config.grpc.tls is not None},
        "providers": dict(providers),
        "models": {name: list(model.targets) for name, model in config.models.items()},
        "keys": len(config.keys),
    }


def _print_summary(path: Path, config: Config, providers: Mapping[str, str]) -> None:
    from rich.text import Text

    from trunkline.cli.terminal import printable, stdout, table

    grid = table()
    grid.show_header = False
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, surface in (("HTTP", config.http), ("gRPC", config.grpc)):
        grid.add_row(name, f"{surface.address}{' with TLS' if surface.tls is not None else ''}")
    kinds = [name if name == kind else f"{name} ({kind})" for name, kind in providers.items()]
    grid.add_row("providers", printable(", ".join(kinds)))
    models = [f"{name}: {', '.join(model.targets)}" for name, model in config.models.items()]
    grid.add_row("models", printable("\n".join(models)) or "none of their own name; all as provider/model")
    grid.add_row("keys", _keys(config))
    console = stdout()
    console.print(Text.assemble(("OK", "bold green"), f"  {path}"))
    console.print(grid)


def _keys(config: Config) -> str:
    if config.keys:
        return str(len(config.keys))
    if config.access.require_key or config.access.tokens:
        return "none here: tokens, and keys that admins make"
    return "none here: who reaches the gateway may use it, until an admin makes one"
