"""Which rows make up a span of time: as few as there are, and each moment once."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum
from typing import NamedTuple

from trunkline.ledger.calendar import DAY, day_of, month_of, next_month
from trunkline.usage.question import Bucket


class Source(Enum):
    """Where sums are read."""

    ROLLUPS = "rollups"
    HOURS = "hours"
    DAYS = "days"
    MONTHS = "months"


class Part(NamedTuple):
    """The rows of a source that begin at `start` or later and before `end`, in seconds since the epoch."""

    source: Source
    start: int
    end: int


class Folded(NamedTuple):
    """What is folded: every month of `months`, and every day but `open_days`."""

    months: Set[int]
    open_days: Set[int]


def parts_of(start: int, end: int, bucket: Bucket, folded: Folded, *, hourly: bool) -> list[Part]:
    """What makes up the whole hours from `start` up to `end`, so that no part reaches over the border of a bucket that
    is longer than its rows. `hourly` tells that there are rows for each hour of what is folded."""
    parts: list[Part] = []
    while start < end:
        day = day_of(start)
        source, until = Source.ROLLUPS, min(end, day + DAY)
        if bucket in (Bucket.WHOLE, Bucket.MONTH) and start in folded.months and next_month(start) <= end:
            source, until = Source.MONTHS, next_month(start)
        elif day not in folded.open_days:
            if bucket is not Bucket.HOUR and start == day and until == day + DAY:
                source = Source.DAYS
            elif hourly:
                source = Source.HOURS
        last = parts[-1] if parts else None
        if last is not None and last.source is source and not _between(last.start, start, bucket, source):
            parts[-1] = last._replace(end=until)
        else:
            parts.append(Part(source, start, until))
        start = until
    return parts


def _between(first: int, second: int, bucket: Bucket, source: Source) -> bool:
    """Whether the rows at two times, told as one, would be of two buckets."""
    match bucket:
        case Bucket.DAY:
            return source is not Source.DAYS and day_of(first) != day_of(second)
        case Bucket.MONTH:
            return source is not Source.MONTHS and month_of(first) != month_of(second)
    return False
