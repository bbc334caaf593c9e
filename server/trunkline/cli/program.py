"""From the arguments to a command, and from what a command does to an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from trunkline.cli.exits import INTERRUPTED, USAGE

COMMANDS: Final[dict[str, str]] = {
    "serve": "run the gateway",
    "chat": "talk to a model through a gateway",
    "models": "list the models that a gateway serves",
    "check-config": "check a configuration file",
    "doctor": "tell which providers answer, and what to do about the others",
    "keys": "make and change the keys that callers present",
    "owners": "make and change the users, teams and organizations that own keys",
    "usage": "tell what was used and what it cost",
    "ledger": "check, export or rate anew the record of all calls",
    "store": "move everything that is kept to another database",
    "version": "print the version",
}
"""Each command and what it does. Its module is imported only where it is the one to run, so that `--help` is quick."""


class Command(Protocol):
    """A module of one command."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit status."""
        ...


def run(arguments: Sequence[str]) -> int:
    """Run the command that `arguments` name; the exit status. Raises `SystemExit` for wrong arguments and `--help`."""
    name = next((argument for argument in arguments if argument in COMMANDS), None)
    if name is None:
        parser = _parser()
        parser.parse_args(arguments)
        parser.print_help(sys.stderr)
        return USAGE
    command = cast(Command, import_module(f"trunkline.cli.{name.replace('-', '_')}"))
    args = _parser(name, command).parse_args(arguments)
    try:
        status = command.run(args)
        # What is still buffered fails here rather than when the interpreter ends.
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output left, as `| head` does; the interpreter must not complain again as it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13


def _parser(name: str = "", command: Command | None = None) -> argparse.ArgumentParser:
    """The parser of the program, in which only `command`, called `name`, has its arguments."""
    parser = argparse.ArgumentParser(
        prog="trunkline",
        description="One gateway to every large language model, over gRPC and OpenAI-compatible HTTP.",
        epilog="`trunkline COMMAND --help` tells the options of a command.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30),
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for each, purpose in COMMANDS.items():
        sub = subparsers.add_parser(
            each, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", allow_abbrev=False
        )
        if each == name and command is not None:
            command.add_arguments(sub)
    return parser
