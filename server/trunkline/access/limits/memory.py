"""Limits in the memory of one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from trunkline.access.limits.counter import Counter, Slots, Sum
from trunkline.access.limits.model import SECOND, Claim, Granted, Limit, Refused, Standing, Unit, distinct, refused

Clock = Callable[[], int]
"""Microseconds since the epoch."""

RETENTION: Final = 7 * 86_400.0
"""For how many seconds a reservation can be settled, from when it was made or last renewed."""


def wall_clock() -> int:
    """The time of the machine."""
    return time.time_ns() // 1000


class MemoryLimiter:
    """A `Limiter` of one process. Nothing in it waits, so each method is one step.

    A counter that nothing is used of is dropped in time, and so is a reservation that nobody settles.
    """

    def __init__(self, clock: Clock = wall_clock, retention: float = RETENTION) -> None:
        self._clock = clock
        self._retention = round(retention * SECOND)
        self._counters: dict[str, Counter] = {}
        self._open: dict[str, _Reservation] = {}
        self._restored: set[str] = set()
        self._new = 0
        self.generation = ""
        self.since = clock() / SECOND

    @property
    def counters(self) -> int:
        """How many counters are kept."""
        return len(self._counters)

    async def reserve(self, id: str, claims: Sequence[Claim], lease: float) -> Granted | Refused:  # noqa: A002
        """See `Limiter`."""
        return self.reserve_now(id, claims, lease)

    async def settle(self, id: str, actual: Mapping[Unit, int]) -> bool:  # noqa: A002
        """See `Limiter`."""
        return self.settle_now(id, actual)

    async def renew(self, ids: Iterable[str], lease: float) -> list[str]:
        """See `Limiter`."""
        return self.renew_now(ids, lease)

    async def peek(self, limits: Sequence[Limit]) -> list[Standing]:
        """See `Limiter`."""
        now = self._clock()
        counters = [self._counters.get(limit.counter) or _counter(limit) for limit in limits]
        for counter in counters:
            counter.advance(now)
        return [counter.standing(limit, now) for counter, limit in zip(counters, limits, strict=True)]

    async def book(self, limit: Limit, amount: int, at: float | None = None) -> None:
        """See `Limiter`."""
        self.book_now(limit, amount, at)

    async def forget(self, limits: Sequence[Limit]) -> None:
        """See `Limiter`."""
        for limit in limits:
            self._counters.pop(limit.counter, None)
            self._restored.discard(limit.counter)

    async def restored(self, limits: Sequence[Limit]) -> list[bool]:
        """See `Restorable`."""
        return [limit.counter in self._restored for limit in limits]

    async def restore(self, limit: Limit, used: Sequence[tuple[float, int]]) -> None:
        """See `Restorable`."""
        if limit.counter not in self._restored:
            self._restored.add(limit.counter)
            for at, amount in used:
                self.book_now(limit, amount, at)

    async def close(self) -> None:
        """See `Limiter`."""

    def reserve_now(self, id: str, claims: Sequence[Claim], lease: float) -> Granted | Refused:  # noqa: A002
        """`reserve`, at once."""
        distinct(claims)
        now = self._clock()
        if self._new:
            self._sweep(now)
        known = self._counters
        counters = []
        fits = True
        for claim in claims:
            limit = claim.limit
            counter = known.get(limit.counter) or self._counter(limit)
            if counter.advance(now) + claim.amount > limit.most:
                fits = False
            counters.append(counter)
        if id not in self._open:
            if not fits:
                over = [counter.used + c.amount - c.limit.most for counter, c in zip(counters, claims, strict=True)]
                waits = [counter.wait(now, more) for counter, more in zip(counters, over, strict=True)]
                return refused(claims, _standings(counters, claims, now), waits)
            until = now + round(lease * SECOND)
            buckets = [counter.take(id, claim.amount, until) for counter, claim in zip(counters, claims, strict=True)]
            self._open[id] = _Reservation(claims, buckets, now + self._retention)
            self._expire(now)
        return Granted(_standings(counters, claims, now))

    def settle_now(self, id: str, actual: Mapping[Unit, int]) -> bool:  # noqa: A002
        """`settle`, at once."""
        reservation = self._open.pop(id, None)
        if reservation is None:
            return False
        now = self._clock()
        known = self._counters
        for claim, bucket in zip(reservation.claims, reservation.buckets, strict=True):
            limit, reserved = claim.limit, claim.amount
            counter = known.get(limit.counter) or self._counter(limit)
            counter.advance(now)
            counter.settle(id, bucket, reserved, actual.get(limit.unit, reserved))
        return True

    def renew_now(self, ids: Iterable[str], lease: float) -> list[str]:
        """`renew`, at once."""
        now = self._clock()
        until = now + round(lease * SECOND)
        unknown = []
        for id in ids:  # noqa: A001
            reservation = self._open.pop(id, None)
            if reservation is None:
                unknown.append(id)
                continue
            self._open[id] = reservation._replace(forgotten=now + self._retention)
            for claim in reservation.claims:
                counter = self._counter(claim.limit)
                if isinstance(counter, Slots):
                    counter.take(id, 1, until)
        return unknown

    def book_now(self, limit: Limit, amount: int, at: float | None = None) -> None:
        """`book`, at once."""
        counter = self._counter(limit)
        if not isinstance(counter, Sum):
            raise ValueError(f"The limit {limit.id}: {limit.unit} are held and cannot be booked.")
        now = self._clock()
        counter.advance(now)
        counter.add(limit.window.bucket(now if at is None else round(at * SECOND)), amount)

    def _counter(self, limit: Limit) -> Counter:
        found = self._counters.get(limit.counter)
        if found is None:
            self._new += 1
            found = self._counters[limit.counter] = _counter(limit)
        return found

    def _sweep(self, now: int) -> None:
        """Look at those that were not looked at for longest, two for each new one: so the empty ones go in time."""
        for name in list(islice(self._counters, 2 * self._new)):
            counter = self._counters.pop(name)
            if counter.advance(now):
                self._counters[name] = counter
        self._new = 0

    def _expire(self, now: int) -> None:
        """Forget the oldest reservation if its time has come: at most one comes for each that goes."""
        oldest = next(iter(self._open))
        if self._open[oldest].forgotten <= now:
            del self._open[oldest]


class _Reservation(NamedTuple):
    """An open call: what it claimed, in which buckets that was booked, and when it is forgotten."""

    claims: Sequence[Claim]
    buckets: list[int]
    forgotten: int


def _counter(limit: Limit) -> Counter:
    return Slots() if limit.window.kind == "held" else Sum(limit.window)


def _standings(counters: list[Counter], claims: Sequence[Claim], now: int) -> tuple[Standing, ...]:
    return tuple([counter.standing(claim.limit, now) for counter, claim in zip(counters, claims, strict=True)])
