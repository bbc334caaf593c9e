"""One counter in memory: a sum over buckets of time, or the slots that running calls hold.

`advance` comes before all else of one moment.
"""

from __future__ import annotations

from trunkline.access.limits.model import MOST, SECOND, Limit, Standing, Window


class Sum:
    """What was let in, by bucket. A clock that is set back stands still here."""

    __slots__ = ("_amounts", "_current", "_end", "_lasts", "_newest", "_turn", "_window", "used")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._lasts = window.lasts
        self._amounts: dict[int, int] = {}
        self._current = -1
        self._turn: int | None = 0
        self._newest = -1
        self._end: int | None = None
        self.used = 0

    def advance(self, now: int) -> int:
        """Leave out what does not count any more; what is used then."""
        if self._turn is None or now < self._turn:
            return self.used
        window = self._window
        self._current = window.bucket(now)
        self._turn = window.start(self._current + 1)
        first = self._current - self._lasts
        for bucket in [bucket for bucket in self._amounts if bucket < first]:
            self.used -= self._amounts.pop(bucket)
        return self.used

    def take(self, id: str, amount: int, until: int) -> int:  # noqa: A002
        """Book an amount now; the bucket it is in."""
        current = self._current
        if current == self._newest and amount <= MOST - self.used:
            self.used += amount
            self._amounts[current] += amount
        else:
            self.add(current, amount)
        return current

    def settle(self, id: str, bucket: int, reserved: int, actual: int) -> None:  # noqa: A002
        """Put what was used in place of what was reserved: what is more counts from now on in a rolling window."""
        more = actual - reserved
        if more:
            self.add(self._current if more > 0 and self._lasts else bucket, more)

    def add(self, bucket: int, amount: int) -> None:
        """Add to a bucket, which does not fall below zero, nor the sum rise above `MOST`; nothing to one that does not
        count any more.
        """
        # Written out, as each call does this for each of its limits, twice: `min` and `max` would cost as much again.
        current = self._current
        if bucket > current:
            bucket = current
        elif bucket < current - self._lasts:
            return
        before = self._amounts.get(bucket, 0)
        if amount < -before:
            amount = -before
        if amount > MOST - self.used:
            amount = MOST - self.used
        if amount == 0:
            return
        self.used += amount
        if self.used == 0:
            self._amounts.clear()
            self._newest = -1
            return
        self._amounts[bucket] = before + amount
        if bucket > self._newest:
            self._newest = bucket
            self._end = self._window.end(bucket)

    def standing(self, limit: Limit, now: int) -> Standing:
        """How the limit stands."""
        if not self.used:
            return Standing(limit, 0, 0.0)
        return Standing(limit, self.used, None if self._end is None else (self._end - now) / SECOND)

    def wait(self, now: int, over: int) -> int | None:
        """In how many microseconds `over` less is used."""
        for bucket in sorted(self._amounts):
            over -= self._amounts[bucket]
            if over <= 0:
                end = self._window.end(bucket)
                return None if end is None else end - now
        return None


class Slots:
    """The calls that run, each until its lease ends."""

    __slots__ = ("_calls", "_soonest")

    def __init__(self) -> None:
        self._calls: dict[str, int] = {}
        self._soonest = 0

    @property
    def used(self) -> int:
        """How many run, as of the last `advance`."""
        return len(self._calls)

    def advance(self, now: int) -> int:
        """Free the slots whose leases have ended; how many calls run then."""
        if self._calls and now >= self._soonest:
            for id in [id for id, until in self._calls.items() if until <= now]:  # noqa: A001
                del self._calls[id]
            self._soonest = min(self._calls.values(), default=0)
        return len(self._calls)

    def take(self, id: str, amount: int, until: int) -> int:  # noqa: A002
        """Hold a slot, or go on holding it."""
        self._soonest = min(self._soonest, until) if self._calls else until
        self._calls[id] = until
        return 0

    def settle(self, id: str, bucket: int, reserved: int, actual: int) -> None:  # noqa: A002
        """Free a slot."""
        self._calls.pop(id, None)

    def standing(self, limit: Limit, now: int) -> Standing:
        """How the limit stands."""
        used = len(self._calls)
        return Standing(limit, used, None if used else 0.0)

    def wait(self, now: int, over: int) -> int | None:
        """None: when a call ends is not known."""
        return None


Counter = Sum | Slots
