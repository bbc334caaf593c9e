"""What limits mean, kept the simple way: every event in a list, and no buckets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from trunkline.access.limits.model import SECOND, Claim, Granted, Limit, Refused, Standing, Unit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(now: int) -> datetime:
    """A time of the clock, exactly."""
    return EPOCH + timedelta(microseconds=now)


def period(limit: Limit, now: int) -> object:
    """What a calendar window is told by."""
    at = moment(now)
    match limit.window.code:
        case "day":
            return at.date()
        case "month":
            return at.year, at.month
        case _:
            return None


@dataclass
class Event:
    """An amount that was let in."""

    at: int
    limit: Limit
    amount: int


@dataclass
class Booking:
    """What an open call has reserved."""

    claims: Sequence[Claim]
    at: int
    until: int
    events: list[Event]


@dataclass
class Model:
    """All that was ever let in. Rolling windows may count a bit longer than they must, between `least` and `most`."""

    events: list[Event] = field(default_factory=list)
    periods: dict[tuple[str, object], int] = field(default_factory=dict)
    open: dict[str, Booking] = field(default_factory=dict)

    def least(self, limit: Limit, now: int) -> int:
        """What is used at least."""
        return self._used(limit, now, _seconds(limit) * SECOND)

    def most(self, limit: Limit, now: int) -> int:
        """What is used at most."""
        return self._used(limit, now, _longest(limit))

    def _used(self, limit: Limit, now: int, length: int) -> int:
        window = limit.window
        if window.kind == "held":
            return sum(
                booking.until > now and any(c.limit == limit for c in booking.claims) for booking in self.open.values()
            )
        if not window.lasts:
            return self.periods.get((limit.id, period(limit, now)), 0)
        return sum(event.amount for event in self.events if event.limit == limit and now - event.at < length)

    def ends(self) -> list[int]:
        """When something stops counting, at the earliest and at the latest, and a microsecond before."""
        leases = [booking.until for booking in self.open.values()]
        sums = [e.at + length for e in self.events for length in (_seconds(e.limit) * SECOND, _longest(e.limit))]
        return [end - step for end in leases + sums for step in (0, 1)]

    def waits(self, claim: Claim, now: int) -> tuple[float, float]:
        """In how many microseconds the claim fits, at the least and at the most."""
        limit, times = claim.limit, []
        for length in (_seconds(limit) * SECOND, _longest(limit)):
            over = self._used(limit, now, length) + claim.amount - limit.most
            time = 0.0
            for event in sorted(
                (e for e in self.events if e.limit == limit and now - e.at < length), key=lambda e: e.at
            ):
                if over <= 0:
                    break
                over -= event.amount
                time = event.at + length - now
            times.append(time)
        return times[0], times[1]

    def reserved(self, name: str, claims: Sequence[Claim], now: int, lease: float) -> None:
        """A call was let in."""
        events = [self._let_in(claim.limit, claim.amount, now) for claim in claims]
        self.open[name] = Booking(claims, now, now + round(lease * SECOND), events)

    def settled(self, name: str, actual: dict[Unit, int], now: int) -> bool:
        """A call ended."""
        booking = self.open.pop(name, None)
        if booking is None:
            return False
        for claim, event in zip(booking.claims, booking.events, strict=True):
            limit = claim.limit
            more = actual.get(limit.unit, claim.amount) - claim.amount
            if limit.window.kind == "held":
                continue
            if not limit.window.lasts:
                self._add(limit, more, booking.at)
            elif more > 0:
                self._let_in(limit, more, now)
            else:
                event.amount += more
        return True

    def renewed(self, names: Sequence[str], now: int, lease: float) -> list[str]:
        """Calls go on; those that are not known."""
        for name in names:
            if name in self.open:
                self.open[name].until = now + round(lease * SECOND)
        return [name for name in names if name not in self.open]

    def booked(self, limit: Limit, amount: int, at: int) -> None:
        """A counter was corrected."""
        self._let_in(limit, amount, at)

    def _let_in(self, limit: Limit, amount: int, at: int) -> Event:
        event = Event(at, limit, amount)
        if limit.window.lasts:
            self.events.append(event)
        elif limit.window.kind != "held":
            self._add(limit, amount, at)
        return event

    def _add(self, limit: Limit, amount: int, at: int) -> None:
        key = limit.id, period(limit, at)
        self.periods[key] = max(0, self.periods.get(key, 0) + amount)

    def check(self, answer: Granted | Refused, claims: Sequence[Claim], now: int) -> None:
        """Hold an answer to what was used before it."""
        if isinstance(answer, Granted):
            for claim in claims:
                assert self.least(claim.limit, now) + claim.amount <= claim.limit.most
            return
        claim = next(claim for claim in claims if claim.limit == answer.limit)
        assert answer.amount == claim.amount
        assert self.most(claim.limit, now) + claim.amount > claim.limit.most
        if answer.retry_after is None:
            assert claim.limit.window.kind in ("held", "total") or claim.amount > claim.limit.most
        elif claim.limit.window.lasts:
            least, most = self.waits(claim, now)
            assert least <= round(answer.retry_after * SECOND) <= most
        else:
            before, after = (now + round(answer.retry_after * SECOND) + step for step in (-1, 0))
            assert period(claim.limit, before) == period(claim.limit, now) != period(claim.limit, after)

    def check_standing(self, standing: Standing, now: int) -> None:
        """Hold what is told of a limit to what was let in."""
        limit = standing.limit
        assert self.least(limit, now) <= standing.used <= self.most(limit, now)
        assert standing.remaining == max(0, limit.most - standing.used)
        if standing.reset is None:
            assert limit.window.kind in ("held", "total")
        elif standing.reset:
            assert self.least(limit, now + round(standing.reset * SECOND)) == 0
        else:
            assert standing.used == 0


def _seconds(limit: Limit) -> int:
    return int(limit.window.code[1:]) if limit.window.lasts else 0


def _longest(limit: Limit) -> int:
    return (limit.window.lasts + 1) * limit.window.width
