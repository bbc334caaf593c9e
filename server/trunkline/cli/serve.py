"""`trunkline serve`: the gateway itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from trunkline.cli.exits import FAILED, OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every setting that has one value."""
    from trunkline.config.settings import SETTINGS

    parser.usage = "%(prog)s [-c PATH] [--SETTING VALUE ...]"
    parser.add_argument("-c", "--config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    settings = parser.add_argument_group(
        "settings", "Each goes before its environment variable, and that before the file."
    )
    for setting in SETTINGS:
        settings.add_argument(
            setting.flag,
            dest=setting.flag,
            metavar=setting.path[-1].upper(),
            help=f"{setting.description} [{setting.variable}]".replace("%", "%%"),
        )


def run(args: argparse.Namespace) -> int:
    """Run the gateway until it is told to stop."""
    import uvloop
    from rich.text import Text

    from trunkline.app import serve
    from trunkline.cli.announcement import announce
    from trunkline.cli.configuration import loader, report
    from trunkline.cli.terminal import stderr
    from trunkline.config.problem import ConfigError

    flags = {name: value for name, value in vars(args).items() if name.startswith("--") and value is not None}
    try:
        uvloop.run(serve(loader(args.config, flags), announce))
    except ConfigError as error:
        report(error)
        return FAILED
    except OSError as error:
        stderr().print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        return FAILED
    return OK
