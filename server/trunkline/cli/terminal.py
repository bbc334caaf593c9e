"""What is written to the terminal: the answer to stdout, all else to stderr, in colour only where a person reads it."""

from __future__ import annotations

import json
import sys
from typing import Final

from rich.console import Console
from rich.table import Table

_UNBOUNDED: Final = 10_000
"""The width, in columns, of output that no terminal shows: rows are never cut there."""

_UNSAFE: Final = {
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "\N{REPLACEMENT CHARACTER}"),
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): "",
}


def stdout() -> Console:
    """Where results go."""
    return Console(width=None if sys.stdout.isatty() else _UNBOUNDED, highlight=False, markup=False)


def stderr() -> Console:
    """Where everything goes that is no result."""
    width = None if sys.stderr.isatty() else _UNBOUNDED
    return Console(stderr=True, width=width, highlight=False, markup=False)


def printable(text: str) -> str:
    """`text` without what a terminal would obey rather than show, such as escape sequences that a model wrote."""
    return text.translate(_UNSAFE)


def table(*columns: str) -> Table:
    """A table without lines, so that it reads well and its rows can be cut apart by programs."""
    grid = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        grid.add_column(column, no_wrap=True, overflow="fold")
    return grid


def print_json(value: object) -> None:
    """`value` as JSON, on one line of stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
