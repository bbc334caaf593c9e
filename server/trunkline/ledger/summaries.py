"""Sums of sums: days and months that are over, each folded once into the few rows that most questions are about."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, case, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.ledger.calendar import DAY, day_of, month_of, next_month
from trunkline.store.database import Database, unbroken
from trunkline.store.tables import (
    COUNTERS,
    DIMENSIONS,
    SUMMARY_COUNTERS,
    USAGE_PERIODS,
    USAGE_ROLLUPS,
    USAGE_SUMMARIES,
)

_SETTLED: Final = 600
"""Seconds after its end until a period is folded: the entries of its last calls are still on their way."""

_LOCKS: Final = 0x7472_756E
"""The class of PostgreSQL's advisory locks on months."""

_ALL: Final = DIMENSIONS[1:]
_OWNERS: Final = ("organization_id", "team_id", "user_id", "key_id")
_TRAFFIC: Final = ("model", "provider", "served_model", "surface", "operation", "outcome")


_COLUMNS: Final = ("facet", "span", "start", *_ALL, *SUMMARY_COUNTERS)
"""What is selected for a row of `usage_summaries`."""


class Span(IntEnum):
    """How long the periods are that a row is about. The numbers are stored."""

    HOUR = 0
    DAY = 1
    MONTH = 2


class Facet(IntEnum):
    """Which dimensions tell rows apart. The numbers are stored.

    `EVERY` and `TAGS` alone have rows of tags; in the others, and in those of `EVERY` without one, calls count once.
    """

    EVERY = 0
    OWNERS = 1
    TRAFFIC = 2
    TAGS = 3


FACETS: Final[Mapping[Facet, tuple[str, ...]]] = {
    Facet.TRAFFIC: _TRAFFIC,
    Facet.OWNERS: _OWNERS,
    Facet.TAGS: ("tag",),
    Facet.EVERY: _ALL,
}
"""The dimensions of each facet, the smaller ones first."""

HOURLY: Final = frozenset({Facet.TRAFFIC, Facet.OWNERS, Facet.TAGS})
"""The facets that have rows of each hour, too: those of the other are `usage_rollups`."""


def errors() -> ColumnElement[Any]:
    """The calls in rows of `usage_rollups` that did not end well."""
    return case((USAGE_ROLLUPS.c.outcome != "ok", USAGE_ROLLUPS.c.calls), else_=0)


async def note_changed(connection: AsyncConnection, database: Database, hours: Iterable[int]) -> None:
    """Tell that sums of `hours` changed, within the transaction that changes them: what had been folded of their days
    and months is no longer read until it is folded anew."""
    days = {day_of(hour) for hour in hours}
    months = {month_of(day) for day in days}
    if not days:
        return
    if database.postgres:
        for month in sorted(months):
            # Shared: it waits for, and holds up, nothing but a fold of the month.
            await connection.execute(select(func.pg_advisory_xact_lock_shared(_LOCKS, month // DAY)))
    periods = sorted([(int(Span.DAY), day) for day in days] + [(int(Span.MONTH), month) for month in months])
    noted = database.insert(USAGE_PERIODS).on_conflict_do_nothing(index_elements=["span", "start"])
    await connection.execute(noted, [{"span": span, "start": start, "folded": False} for span, start in periods])
    which = tuple_(USAGE_PERIODS.c.span, USAGE_PERIODS.c.start).in_(periods)
    await connection.execute(update(USAGE_PERIODS).where(USAGE_PERIODS.c.folded, which).values(folded=False))


class Summaries:
    """Folds what is over. Several processes may do so at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fold(self, now: float | None = None) -> int:
        """Fold every day and every month that ended before `now`, in seconds since the epoch, and is not folded; how
        many these were. Raises `GatewayError` (INTERNAL)."""
        until = (time.time() if now is None else now) - _SETTLED
        folded = 0
        for day in await self._open(Span.DAY):
            if day + DAY <= until:
                folded += await self._fold_day(day)
        open_days = await self._open(Span.DAY)
        for month in await self._open(Span.MONTH):
            end = next_month(month)
            if end <= until and not any(month <= day < end for day in open_days):
                folded += await self._fold_month(month)
        return folded

    async def _open(self, span: Span) -> list[int]:
        periods = USAGE_PERIODS.c
        asked = select(periods.start).where(periods.span == span, ~periods.folded).order_by(periods.start)
        async with self._database.reading() as connection:
            return [row.start for row in await connection.execute(asked)]

    @unbroken
    async def _fold_day(self, day: int) -> bool:
        async with self._database.writing() as connection:
            if not await self._begin(connection, Span.DAY, day):
                return False
            gone = (USAGE_SUMMARIES.c.start >= day, USAGE_SUMMARIES.c.start < day + DAY)
            await connection.execute(delete(USAGE_SUMMARIES).where(*_of_spans((Span.HOUR, Span.DAY)), *gone))
            for facet in FACETS:
                await _add(connection, of_rollups(facet, Span.DAY, day))
                if facet in HOURLY:
                    await _add(connection, of_rollups(facet, Span.HOUR, day))
        return True

    @unbroken
    async def _fold_month(self, month: int) -> bool:
        async with self._database.writing() as connection:
            summaries, periods = USAGE_SUMMARIES.c, USAGE_PERIODS.c
            end = next_month(month)
            if not await self._begin(connection, Span.MONTH, month):
                return False
            days = (periods.span == Span.DAY, periods.start >= month, periods.start < end)
            if (await connection.execute(select(periods.start).where(*days, ~periods.folded).limit(1))).first():
                # A day changed meanwhile: the next time.
                await connection.execute(_state(Span.MONTH, month).values(folded=False))
                return False
            await connection.execute(delete(USAGE_SUMMARIES).where(*_of_spans((Span.MONTH,)), summaries.start == month))
            await _add(connection, of_days(month, end))
        return True

    async def _begin(self, connection: AsyncConnection, span: Span, start: int) -> bool:
        """Hold the period up to the end of the transaction, and note that it is folded; False where another did."""
        if self._database.postgres:
            await connection.execute(select(func.pg_advisory_xact_lock(_LOCKS, month_of(start) // DAY)))
        done = await connection.execute(_state(span, start).where(~USAGE_PERIODS.c.folded).values(folded=True))
        return done.rowcount == 1


def of_rollups(facet: Facet, span: Span, day: int) -> Select[Any]:
    """The rows of a facet for a day, or for each hour of it, from those of `usage_rollups`; see `_COLUMNS`."""
    rollups = USAGE_ROLLUPS.c
    dimensions = FACETS[facet]
    kept = [rollups[name] if name in dimensions else literal("") for name in _ALL]
    sums = [func.sum(errors()), *(_summed(name, rollups[name]) for name in COUNTERS)]
    groups = [rollups[name] for name in dimensions]
    start: ColumnElement[Any] = literal(day, BigInteger)
    if span is Span.HOUR:
        start = rollups.hour
        groups.append(rollups.hour)
    rows = select(literal(int(facet)), literal(int(span)), start, *kept, *sums).group_by(*groups)
    rows = rows.where(rollups.hour >= day, rollups.hour < day + DAY)
    if facet is Facet.TAGS:
        return rows.where(rollups.tag != "")
    return rows if facet is Facet.EVERY else rows.where(rollups.tag == "")


def of_days(month: int, end: int) -> Select[Any]:
    """The rows of a month that ends before `end`, from those of its days; see `_COLUMNS`."""
    summaries = USAGE_SUMMARIES.c
    kept = [summaries[name] for name in _ALL]
    sums = [_summed(name, summaries[name]) for name in SUMMARY_COUNTERS]
    start = literal(month, BigInteger)
    return (
        select(summaries.facet, literal(int(Span.MONTH)), start, *kept, *sums)
        .where(*_of_spans((Span.DAY,)), summaries.start >= month, summaries.start < end)
        .group_by(summaries.facet, *kept)
    )


async def _add(connection: AsyncConnection, rows: Select[Any]) -> None:
    await connection.execute(insert(USAGE_SUMMARIES).from_select(_COLUMNS, rows))


def _state(span: Span, start: int) -> Any:
    return update(USAGE_PERIODS).where(USAGE_PERIODS.c.span == span, USAGE_PERIODS.c.start == start)


def _of_spans(spans: Iterable[Span]) -> tuple[ColumnElement[bool], ...]:
    # By the index, which begins with the facet.
    return (USAGE_SUMMARIES.c.facet.in_([int(facet) for facet in Facet]), USAGE_SUMMARIES.c.span.in_(list(spans)))


def _summed(name: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
    total = func.sum(column)
    return func.nullif(total, 0) if USAGE_SUMMARIES.c[name].nullable else total
