"""Counts that fade: what was counted some minutes ago weighs little."""

from __future__ import annotations

import math
from typing import Final

_HALF_LIFE: Final = 90.0
"""Seconds in which a count loses half of its weight: what is older than five minutes is a tenth of it."""

OLD: Final = 300.0
"""Seconds after which a value tells nothing any more unless newer ones stand beside it."""

_LEAST: Final = 1e-3
_STEP: Final = 1.15
_BUCKETS: Final = 128
"""Buckets by size, each 15 % wider than the one before: from a thousandth to some sixty thousand."""
_LOG_STEP: Final = math.log(_STEP)
_MOST_EXPONENT: Final = 512.0


class Fading:
    """A histogram of values. Instead of each count being made less as time goes by, each new one is made more."""

    __slots__ = ("_buckets", "_known", "_last", "_since", "_total")

    def __init__(self) -> None:
        self._buckets: dict[int, float] = {}
        self._since = 0.0
        self._total = 0.0
        self._known: dict[float, float] = {}
        self._last = -math.inf

    def add(self, value: float, now: float) -> None:
        """Count `value`."""
        if not self._total:
            self._since = now
        exponent = (now - self._since) / _HALF_LIFE
        if exponent > _MOST_EXPONENT:
            shrink = 2.0**-exponent
            self._buckets = {index: left for index, was in self._buckets.items() if (left := was * shrink) > 1e-12}
            self._total = sum(self._buckets.values())
            self._since, exponent = now, 0.0
        weight = 2.0**exponent
        index = 0 if value <= _LEAST else min(int(math.log(value / _LEAST) / _LOG_STEP) + 1, _BUCKETS)
        self._buckets[index] = self._buckets.get(index, 0.0) + weight
        self._total += weight
        self._last = now
        self._known.clear()

    def weight(self, now: float) -> float:
        """How many values there are, each by what is left of it."""
        return self._total * 2.0 ** -((now - self._since) / _HALF_LIFE) if self._total else 0.0

    def quantile(self, share: float) -> float | None:
        """The value that `share` of the values do not exceed, to within 15 %; None where there is none."""
        if not self._total:
            return None
        known = self._known.get(share)
        if known is not None:
            return known  # to fade changes no quantile
        left = share * self._total
        index = 0
        for index in sorted(self._buckets):
            left -= self._buckets[index]
            if left <= 0:
                break
        value = self._known[share] = _LEAST if index == 0 else _LEAST * _STEP ** (index - 0.5)
        return value

    def is_stale(self, now: float) -> bool:
        """Whether there is no value, or the last one is so old that it tells nothing of the present."""
        return now - self._last > OLD

    def __bool__(self) -> bool:
        return self._total > 0
