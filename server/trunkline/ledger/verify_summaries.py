"""Whether the sums of sums are what they are sums of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.ledger.calendar import DAY, next_month, shown
from trunkline.ledger.kept import kept_from
from trunkline.ledger.summaries import HOURLY, Facet, Span, of_days, of_rollups
from trunkline.store.database import Database
from trunkline.store.tables import DIMENSIONS, SUMMARY_COUNTERS, USAGE_PERIODS, USAGE_SUMMARIES

_NAMES: Final = ("facet", "span", "start", *DIMENSIONS[1:], *SUMMARY_COUNTERS)

Tell = Callable[[str], None]


async def check_summaries(database: Database, start: int | None, end: int | None, tell: Tell) -> None:
    """Reckon every folded day and month anew that begins from `start` on and before `end`, in seconds since the epoch;
    what is wrong is told. Raises `GatewayError` (INTERNAL)."""
    periods = USAGE_PERIODS.c
    folded = select(periods.span, periods.start).where(periods.folded).order_by(periods.span, periods.start)
    async with database.reading() as connection:
        _, sums_from = await kept_from(connection)
        found = (await connection.execute(folded)).all()
    first = sums_from if start is None else max(sums_from, start)
    for span, begin in found:
        if first <= begin and (end is None or begin < end):
            await _check_period(database, Span(span), begin, tell)


async def _check_period(database: Database, span: Span, start: int, tell: Tell) -> None:
    periods, summaries = USAGE_PERIODS.c, USAGE_SUMMARIES.c
    still = select(periods.folded).where(periods.span == span, periods.start == start)
    async with database.snapshot() as connection:
        if not (await connection.execute(still)).scalar():
            # What came meanwhile is folded later.
            return
        if span is Span.DAY:
            for facet in Facet:
                await _check(connection, of_rollups(facet, Span.DAY, start), Span.DAY, facet, start, start + 1, tell)
                if facet in HOURLY:
                    hourly = of_rollups(facet, Span.HOUR, start)
                    await _check(connection, hourly, Span.HOUR, facet, start, start + DAY, tell)
        else:
            for facet in Facet:
                days = of_days(start, next_month(start)).where(summaries.facet == int(facet))
                await _check(connection, days, Span.MONTH, facet, start, start + 1, tell)


async def _check(
    connection: AsyncConnection, right: Any, span: Span, facet: Facet, start: int, end: int, tell: Tell
) -> None:
    """Compare what is stored from `start` on and before `end` with what it should be."""
    summaries = USAGE_SUMMARIES.c
    stored = select(*(summaries[name] for name in _NAMES)).where(
        summaries.facet == int(facet), summaries.span == int(span), summaries.start >= start, summaries.start < end
    )
    there = sorted(map(_plain, await connection.execute(stored)))
    if there != sorted(map(_plain, await connection.execute(right))):
        tell(f"the sums of the {span.name.lower()} {shown(start)} by {facet.name.lower()} are not those of its hours")


def _plain(row: Row[Any]) -> tuple[Any, ...]:
    size = len(_NAMES) - len(SUMMARY_COUNTERS)
    # PostgreSQL's sums are decimals, and nothing is as good as zero.
    return (*row[:size], *(int(count or 0) for count in row[size:]))
