"""`trunkline version`: which version this is."""

from __future__ import annotations

import argparse
from importlib import metadata

from trunkline.cli.exits import OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(args: argparse.Namespace) -> int:
    """Print the version."""
    print(metadata.version("trunkline"))
    return OK
