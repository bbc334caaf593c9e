"""`trunkline ledger export`: entries as a file."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import Final

from trunkline.cli import selection
from trunkline.cli.connection import ArgumentsError
from trunkline.cli.exits import OK
from trunkline.cli.selection import SERVICE, Source
from trunkline.v1 import usage_pb2
from trunkline.v1.usage_pb2 import ExportEntriesRequest

_FORMATS: Final = {
    "jsonl": usage_pb2.EXPORT_FORMAT_JSON_LINES,
    "csv": usage_pb2.EXPORT_FORMAT_CSV,
    "parquet": usage_pb2.EXPORT_FORMAT_PARQUET,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ledger export`."""
    parser.add_argument(
        "--format", choices=list(_FORMATS), help="by default what the name of the file ends with, or jsonl"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="where to write to, instead of stdout")
    selection.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Export entries, the oldest first."""
    return asyncio.run(selection.run(args, False, lambda source: _export(args, source)))


async def _export(args: argparse.Namespace, source: Source) -> int:
    ending = args.output.suffix.removeprefix(".") if args.output is not None else ""
    form = args.format or (ending if ending in _FORMATS else "jsonl")
    if form == "parquet" and args.output is None and sys.stdout.isatty():
        raise ArgumentsError("Parquet is nothing to show on a terminal: name a file with --output.")
    request = ExportEntriesRequest(format=_FORMATS[form])
    selection.select(args, request)
    # What broke off must not look whole: the file has its name when all of it is there.
    part = None if args.output is None else args.output.with_name(f"{args.output.name}.part")
    try:
        with nullcontext(sys.stdout.buffer) if part is None else part.open("wb") as file:
            async with aclosing(source.ask_all(SERVICE.methods_by_name["ExportEntries"], request)) as chunks:
                async for chunk in chunks:
                    file.write(chunk.data)
        if part is not None:
            part.replace(args.output)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ArgumentsError(f"Cannot write {args.output}: {error.strerror}.") from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return OK
