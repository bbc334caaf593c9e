"""Price lists and when each is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from trunkline.catalog.price import Price

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Period:
    """A price list and when it is in force: from `since`, in seconds since the epoch, and daily in `hours`, the seconds
    of the day (UTC) from and before which it is, where it is not for the whole day."""

    price: Price
    since: float = -inf
    hours: tuple[int, int] | None = None

    def holds(self, at: float) -> bool:
        """Whether the list is in force at `at`, in seconds since the epoch."""
        if at < self.since:
            return False
        if self.hours is None:
            return True
        start, end = self.hours
        second = at % _DAY
        return start <= second < end if start <= end else second >= start or second < end


@dataclass(frozen=True, slots=True)
class Schedule:
    """Periods, of which the last that holds counts."""

    periods: Sequence[Period]

    def at(self, moment: float) -> Price | None:
        """The list in force at `moment`, in seconds since the epoch; None where there is none."""
        for period in reversed(self.periods):
            if period.holds(moment):
                return period.price
        return None
