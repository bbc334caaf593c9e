"""Fills a ledger with millions of calls, folds it, and measures what is asked of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from calls import Calls
from fill import fill
from questions import measure
from servers.postgres import PostgresServer

from trunkline.ledger.calendar import DAY, day_of, month_of
from trunkline.ledger.summaries import Summaries
from trunkline.store.database import opened

_DAYS: Final = 90


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="scripts/bench-usage", description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000_000, help="how many calls (default: %(default)s)")
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite", help="(default: %(default)s)")
    parser.add_argument(
        "--keep", type=Path, help="a file of SQLite to fill and keep, or to ask again where it is there"
    )
    args = parser.parse_args()
    # Up to the last month that is over, and some days.
    end = month_of(day_of(int(time.time()))) - 9 * DAY
    if args.store == "postgres":
        server = PostgresServer()
        try:
            asyncio.run(_run(server.url(server.create()), args.entries, end, filled=False))
        finally:
            server.close()
    elif args.keep is not None:
        asyncio.run(_run(f"sqlite:///{args.keep.resolve()}", args.entries, end, filled=args.keep.exists()))
    else:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_run(f"sqlite:///{folder}/t.db", args.entries, end, filled=False))


async def _run(url: str, entries: int, end: int, *, filled: bool) -> None:
    began = time.perf_counter()
    if not filled:
        await fill(url, Calls(entries, _DAYS, end), _note)
        _note(f"filled in {time.perf_counter() - began:.0f} s")
    database = await opened(url)
    began = time.perf_counter()
    folded = await Summaries(database).fold()
    _note(f"folded {folded} days and months in {time.perf_counter() - began:.1f} s")
    sys.stdout.write("| what is asked | ms |\n|---|---:|\n")
    await measure(database, end - _DAYS * DAY, end, _tell)
    await database.close()


def _tell(name: str, seconds: float) -> None:
    sys.stdout.write(f"| {name} | {seconds * 1000:.0f} |\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


main()
