"""`trunkline serve`: the gateway itself."""

from __future__ import annotations

import argparse
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.cli.exits import FAILED, OK

if TYPE_CHECKING:
    from trunkline.app import Listening
    from trunkline.config.model import Config
    from trunkline.workers.membership import Membership


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every setting that has one value."""
    from trunkline.config.settings import SETTINGS

    parser.usage = "%(prog)s [-c PATH] [--SETTING VALUE ...]"
    parser.add_argument("-c", "--config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    settings = parser.add_argument_group(
        "settings",
        "Each goes before its environment variable, and that before the file. Secrets have no flag, as others could "
        "read it.",
    )
    for setting in SETTINGS:
        if setting.secret:
            continue
        settings.add_argument(
            setting.flag,
            dest=setting.flag,
            metavar=setting.path[-1].upper(),
            help=f"{setting.description} [{setting.variable}]".replace("%", "%%"),
        )


def run(args: argparse.Namespace) -> int:
    """Run the gateway until it is told to stop. No core is dumped: keys and prompts are in memory."""
    import uvloop
    from rich.text import Text

    from trunkline.app import serve
    from trunkline.cli.announcement import announce
    from trunkline.cli.configuration import loader, report
    from trunkline.cli.terminal import stderr
    from trunkline.config.problem import ConfigError
    from trunkline.workers.membership import Membership

    # Workers and all else that is started inherit it; an operator may raise it again (`prlimit`).
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    flags = {name: value for name, value in vars(args).items() if name.startswith("--") and value is not None}
    load = loader(args.config, flags)
    member = Membership.of(os.environ)
    try:
        if member is not None:
            uvloop.run(serve(load, lambda listening: _tell(member, listening)))
        elif (config := load()).workers > 1:
            uvloop.run(_supervise(config, args.config, flags))
        else:
            uvloop.run(serve(load, announce))
    except ConfigError as error:
        report(error)
        return FAILED
    except OSError as error:
        stderr().print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        return FAILED
    return OK


def _tell(member: Membership, listening: Listening) -> None:
    """Tell the supervisor that calls are taken, and people what only this worker knows."""
    from trunkline.cli.announcement import show_admin_key
    from trunkline.workers.supervisor import Ready

    member.tell_ready({name: getattr(listening, name) for name in Ready._fields})
    show_admin_key(listening)


async def _supervise(config: Config, path: Path | None, flags: Mapping[str, str]) -> None:
    """Run the workers of `config`, with the configuration and the flags that this process was given."""
    from trunkline.app import Listening
    from trunkline.cli.announcement import announce
    from trunkline.observe.log import Log
    from trunkline.workers.supervisor import Ready, Supervisor, worker_command

    def ready(told: Ready) -> None:
        announce(Listening(config, **told._asdict()))

    # The addresses are told to workers by their environment, before which flags would go.
    own = (
        "--http-address",
        "--grpc-address",
        "--access-admin-address",
        "--access-admin-grpc-address",
        "--metrics-address",
    )
    kept = [word for name, value in flags.items() if name not in own for word in (name, value)]
    source = [] if path is None else ["--config", str(path)]
    log = Log(config.log.format, config.log.level)
    log.install()
    try:
        await Supervisor(config, worker_command(["serve", *source, *kept]), dict(os.environ)).run(ready)
    finally:
        log.close()
