"""The configuration as the commands read it: from a file, the environment and flags."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.text import Text

from trunkline.cli.terminal import printable, stderr
from trunkline.config.load import load
from trunkline.config.model import Config
from trunkline.config.problem import ConfigError
from trunkline.providers.build import KINDS


def loader(path: Path | None, flags: Mapping[str, str]) -> Callable[[], Config]:
    """What reads the configuration anew each time it is called; it raises `ConfigError`."""
    return lambda: load(path, os.environ, flags, KINDS)


def report(error: ConfigError) -> None:
    """Write every problem to stderr."""
    console = stderr()
    console.print(Text.assemble(("error: ", "bold red"), "the configuration cannot be used:"))
    for problem in error.problems:
        console.print(Text(f"  {printable(problem)}"), soft_wrap=True)
