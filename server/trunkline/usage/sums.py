"""Sums of calls, tokens and money: from stored sums for whole hours, from entries at the edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.errors import GatewayError, invalid_request
from trunkline.ledger.calendar import DAY, HOUR, MICROS, day_of, shown
from trunkline.ledger.kept import kept_from
from trunkline.ledger.summaries import FACETS, HOURLY, Facet, Span, errors
from trunkline.store.database import Database
from trunkline.store.tables import (
    COUNTERS,
    SUMMARY_COUNTERS,
    USAGE_PERIODS,
    USAGE_ROLLUPS,
    USAGE_SUMMARIES,
)
from trunkline.usage.coverage import Folded, Part, Source, parts_of
from trunkline.usage.question import Bucket, Question
from trunkline.usage.reading import Reader

MOST_ROWS: Final = 20_000
"""The most rows of an answer."""

_TIMES: Final = tuple(name for name in COUNTERS if name.startswith(("duration_", "first_event")))
_PLAIN: Final = tuple(name for name in SUMMARY_COUNTERS if name not in _TIMES)

_SPANS: Final = {Source.HOURS: Span.HOUR, Source.DAYS: Span.DAY, Source.MONTHS: Span.MONTH}

Key = tuple[Any, ...]
"""The beginning of a bucket, and the values of the groups."""


class Sums:
    """The answer to a question: for each key its counts, in the order of `names`."""

    def __init__(self, question: Question) -> None:
        self.names: tuple[str, ...] = (*_PLAIN, *_TIMES) if question.latencies else _PLAIN
        self.rows: dict[Key, list[int]] = {}

    def add(self, key: Key, counts: Sequence[int | None]) -> None:
        """Add counts to those of a key. Raises `GatewayError` (INVALID_REQUEST) where there are too many keys."""
        there = self.rows.get(key)
        if there is not None:
            self.rows[key] = [one + int(other or 0) for one, other in zip(there, counts, strict=True)]
        elif len(self.rows) == MOST_ROWS:
            raise invalid_request(
                f"The answer would have more than {MOST_ROWS:,} rows. Ask for less time, longer spans or fewer groups."
            )
        else:
            # PostgreSQL's sums are decimals.
            self.rows[key] = [int(count or 0) for count in counts]


async def sums_of(database: Database, question: Question) -> tuple[Sums, int]:
    """The sums that a question is about, exactly, and from when on they are, in microseconds since the epoch. Nothing
    that is recorded meanwhile is in a part of it only.

    Raises `GatewayError`: INVALID_REQUEST where there would be too many rows, or entries to read that are too many or
    no longer kept; INTERNAL.
    """
    sums = Sums(question)
    async with database.snapshot() as connection:
        entries_from, sums_from = await kept_from(connection)
        start = max(question.start, sums_from * MICROS)
        end = max(question.end, start)
        first, last = -(-start // (HOUR * MICROS)) * HOUR, end // (HOUR * MICROS) * HOUR
        if question.by_entry or first >= last:
            edges = [(start, end)]
        else:
            edges = [(start, first * MICROS), (last * MICROS, end)]
            await _add_whole_hours(connection, question, first, last, sums)
        edges = [edge for edge in edges if edge[0] < edge[1]]
        if edges and edges[0][0] < entries_from * MICROS:
            raise _gone(entries_from)
        reader = Reader(question, sums)
        for edge in edges:
            await reader.read(connection, *edge)
    return sums, start


async def _add_whole_hours(connection: AsyncConnection, question: Question, start: int, end: int, sums: Sums) -> None:
    names = question.names
    facet = next(facet for facet, dimensions in FACETS.items() if names <= set(dimensions))
    periods = USAGE_PERIODS.c
    within = (periods.start > start - 32 * DAY, periods.start < end)
    rows = (await connection.execute(select(USAGE_PERIODS).where(*within))).all()
    days = {row.start: row.folded for row in rows if row.span == Span.DAY}
    if not days:
        return
    # Before the first day there is nothing.
    start, end = max(start, min(days)), min(end, max(days) + DAY)
    folded = Folded(
        {row.start for row in rows if row.span == Span.MONTH and row.folded},
        {day for day, is_folded in days.items() if not is_folded},
    )
    parts = parts_of(start, end, question.bucket, folded, hourly=facet in HOURLY)
    for part in parts:
        # A day without a row has no sums at all.
        if part.source is Source.ROLLUPS and not any(day in days for day in range(day_of(part.start), part.end, DAY)):
            continue
        await _add_part(connection, question, facet, part, sums)


async def _add_part(connection: AsyncConnection, question: Question, facet: Facet, part: Part, sums: Sums) -> None:
    conditions: list[ColumnElement[Any]]
    if part.source is Source.ROLLUPS:
        table, time = USAGE_ROLLUPS, USAGE_ROLLUPS.c.hour
        conditions = []
    else:
        table, time = USAGE_SUMMARIES, USAGE_SUMMARIES.c.start
        conditions = [table.c.facet == int(facet), table.c.span == int(_SPANS[part.source])]
    conditions += [time >= part.start, time < part.end, *question.filter.conditions(table)]
    conditions.append(_tags(question, table))
    told_apart = question.bucket is Bucket.HOUR or (question.bucket is Bucket.DAY and part.source is Source.DAYS)
    groups = [*([time] if told_apart else []), *(table.c[name] for name in question.groups)]
    columns = [_summed(table, name) for name in sums.names]
    asked = select(*groups, *columns).where(*conditions)
    if groups:
        asked = asked.group_by(*groups)
    size = len(groups)
    begin = question.bucket.start(part.start)
    calls = size + sums.names.index("calls")
    for row in await connection.execute(asked):
        if row[calls] is not None:
            key = tuple(row[:size]) if told_apart else (begin, *row[:size])
            sums.add(key, row[size:])


def _tags(question: Question, table: Table) -> ColumnElement[Any]:
    """The rows that count each call once, or once under each tag."""
    counted: Column[Any] = table.c.tag
    if question.filter.tags:
        (tag,) = question.filter.tags
        return counted == tag
    return counted != "" if "tag" in question.groups else counted == ""


def _summed(table: Table, name: str) -> ColumnElement[Any]:
    if name == "errors" and table is USAGE_ROLLUPS:
        return func.sum(errors())
    return func.sum(table.c[name])


def _gone(entries_from: int) -> GatewayError:
    return invalid_request(
        f"Entries before {shown(entries_from)} are no longer kept, but sums of whole hours are: begin and end at full "
        "hours, and ask neither by the minute nor by metadata.",
        "start_time",
    )
