"""Hours, days and months in UTC, as seconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
MICROS: Final = 1_000_000
"""Microseconds in a second."""


def day_of(moment: int) -> int:
    """The beginning of the day that `moment` is in."""
    return moment - moment % DAY


def month_of(moment: int) -> int:
    """The beginning of the month that `moment` is in."""
    return int(datetime.fromtimestamp(moment, UTC).replace(day=1, hour=0, minute=0, second=0).timestamp())


def next_month(month: int) -> int:
    """The beginning of the month after the one that begins at `month`."""
    return month_of(month + 31 * DAY)


def shown(moment: float) -> str:
    """A time for people to read, such as `2026-11-30T12:00:00Z`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
