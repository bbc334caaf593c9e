"""`trunkline usage`: what was used and what it cost."""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from trunkline.cli import selection
from trunkline.cli.exits import OK
from trunkline.cli.selection import SERVICE, Source
from trunkline.v1 import usage_pb2
from trunkline.v1.usage_pb2 import QueryUsageRequest, QueryUsageResponse, UsageBucket, UsageDimension, UsageRow

_DIMENSIONS: Final = {
    name.removeprefix("USAGE_DIMENSION_").lower().replace("_", "-"): value
    for name, value in UsageDimension.items()
    if value not in (usage_pb2.USAGE_DIMENSION_UNSPECIFIED, usage_pb2.USAGE_DIMENSION_METADATA)
}
_FIELDS: Final = {
    usage_pb2.USAGE_DIMENSION_KEY: "key_id",
    usage_pb2.USAGE_DIMENSION_USER: "user_id",
    usage_pb2.USAGE_DIMENSION_TEAM: "team_id",
    usage_pb2.USAGE_DIMENSION_ORGANIZATION: "organization_id",
}
"""Dimensions whose fields of `UsageGroup` are not called as they are."""

_BUCKETS: Final = {name.removeprefix("USAGE_BUCKET_").lower(): value for name, value in UsageBucket.items() if value}
_TIMES: Final = {
    usage_pb2.USAGE_BUCKET_MINUTE: "%Y-%m-%d %H:%M",
    usage_pb2.USAGE_BUCKET_HOUR: "%Y-%m-%d %H:%M",
    usage_pb2.USAGE_BUCKET_DAY: "%Y-%m-%d",
    usage_pb2.USAGE_BUCKET_MONTH: "%Y-%m",
}
_METADATA: Final = "metadata:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `usage`."""
    parser.add_argument(
        "--group-by",
        metavar="NAMES",
        type=_groups,
        default=[],
        help=f"{', '.join(_DIMENSIONS)} or {_METADATA}KEY; several with commas",
    )
    parser.add_argument("--by", choices=list(_BUCKETS), help="a row for each of these spans of time")
    parser.add_argument("--latencies", action="store_true", help="how long calls took, too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the `QueryUsageResponse` as JSON, on one line")
    form.add_argument("--csv", action="store_true", help="a table for programs; money in nano-dollars")
    selection.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Tell what was used."""
    return asyncio.run(selection.run(args, args.json, lambda source: _tell(args, source)))


async def _tell(args: argparse.Namespace, source: Source) -> int:
    request = QueryUsageRequest(latencies=args.latencies)
    if args.by is not None:
        request.bucket = _BUCKETS[args.by]
    for name in args.group_by:
        if name.startswith(_METADATA):
            request.group_by.append(usage_pb2.USAGE_DIMENSION_METADATA)
            request.metadata_key = name.removeprefix(_METADATA)
        else:
            request.group_by.append(_DIMENSIONS[name])
    selection.select(args, request)
    response: QueryUsageResponse = await source.ask(SERVICE.methods_by_name["QueryUsage"], request)
    if args.json:
        from google.protobuf.json_format import MessageToJson

        print(MessageToJson(response, indent=None, ensure_ascii=False))
    elif args.csv:
        _print_csv(request, response, args.group_by)
    else:
        _print_table(request, response, args.group_by)
    return OK


def _print_table(request: QueryUsageRequest, response: QueryUsageResponse, names: Sequence[str]) -> None:
    from trunkline.cli.terminal import printable, stderr, stdout, table

    if not response.rows:
        stderr().print(f"Nothing was used {_range(response)}.", style="dim")
        return
    times = ["TIME"] if request.bucket else []
    latencies = ["P50", "P95", "P99", "FIRST P50", "FIRST P95"] if request.latencies else []
    grid = table(
        *times, *(name.upper() for name in names), "CALLS", "ERRORS", "INPUT", "CACHED", "OUTPUT", "COST", *latencies
    )
    for column in grid.columns[len(times) + len(names) :]:
        column.justify = "right"
    for row in response.rows:
        grid.add_row(
            *_time(request, row),
            *(printable(value) or "-" for value in _values(request, row)),
            f"{row.calls:,}",
            f"{row.errors:,}",
            f"{row.tokens.input_tokens:,}",
            f"{row.tokens.cached_input_tokens:,}",
            f"{row.tokens.output_tokens:,}",
            f"${row.cost.total_nanos / 1e9:,.6f}",
            *_latencies(request, row),
        )
    stdout().print(grid)
    unpriced = sum(row.unpriced for row in response.rows)
    notes = _range(response)
    if unpriced:
        notes += f"; {unpriced:,} {'call' if unpriced == 1 else 'calls'} had no price"
    stderr().print(notes[0].upper() + notes[1:] + ".", style="dim")


def _print_csv(request: QueryUsageRequest, response: QueryUsageResponse, names: Sequence[str]) -> None:
    from trunkline.store.tables import COSTS, TOKENS

    counts = ("calls", "errors", "estimated", "unpriced", "attempts", "corrections")
    spans = ("p50_ms", "p90_ms", "p95_ms", "p99_ms") if request.latencies else ()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    heads = [f"{kind}_{span}" for kind in ("duration", "first_event") for span in spans]
    writer.writerow([*(["time"] if request.bucket else []), *names, *counts, *TOKENS, *COSTS, *heads])
    for row in response.rows:
        writer.writerow(
            [
                *([row.start_time.ToDatetime(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")] if request.bucket else []),
                *_values(request, row),
                *(getattr(row, name) for name in counts),
                *(getattr(row.tokens, name) for name in TOKENS),
                *(getattr(row.cost, name) for name in COSTS),
                *(getattr(kind, span) for kind in (row.duration, row.first_event) for span in spans),
            ]
        )


def _values(request: QueryUsageRequest, row: UsageRow) -> list[str]:
    names = (
        _FIELDS.get(one) or UsageDimension.Name(one).removeprefix("USAGE_DIMENSION_").lower()
        for one in request.group_by
    )
    return [getattr(row.group, name) for name in names]


def _time(request: QueryUsageRequest, row: UsageRow) -> list[str]:
    return [row.start_time.ToDatetime(UTC).strftime(_TIMES[request.bucket])] if request.bucket else []


def _latencies(request: QueryUsageRequest, row: UsageRow) -> list[str]:
    if not request.latencies:
        return []
    duration, first = row.duration, row.first_event
    told = (duration.p50_ms, duration.p95_ms, duration.p99_ms, first.p50_ms, first.p95_ms)
    return [f"{value / 1000:.2f}s" if value >= 1000 else f"{value:.0f}ms" for value in told]


def _range(response: QueryUsageResponse) -> str:
    start, end = (
        datetime.fromtimestamp(time.seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
        for time in (response.start_time, response.end_time)
    )
    return f"from {start} to {end} (UTC)"


def _groups(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in _DIMENSIONS and not (name.startswith(_METADATA) and name != _METADATA):
            known = ", ".join(_DIMENSIONS)
            raise argparse.ArgumentTypeError(f"{name!r} is none of {known}, {_METADATA}KEY")
    return names
