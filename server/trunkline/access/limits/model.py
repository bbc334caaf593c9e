"""What limits are made of: units, windows, limits, claims on them, and the answers to claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

import msgspec

MOST: Final = 2**53 - 1
"""The largest amount a counter holds, since Valkey's scripts reckon in doubles: 9 million dollars in nano-dollars."""

GRAIN: Final = 60
"""Into how many buckets a rolling window is divided: what was let in counts up to a sixtieth longer than it must."""

SECOND: Final = 1_000_000
"""The clock counts microseconds since the epoch."""

_DAY: Final = 86_400 * SECOND


class Unit(StrEnum):
    """What is counted. Calls and streams are counted while they run; money is in nano-dollars."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    CALLS = "calls"
    STREAMS = "streams"
    MONEY = "money"


HELD_UNITS: Final = frozenset({Unit.CALLS, Unit.STREAMS})
"""The units that a running call holds."""


class Window(msgspec.Struct, frozen=True):
    """For how long an amount counts. Make one by `rolling`, or take one of the constants.

    Time is cut into buckets, `width` microseconds wide; an amount counts in the bucket in which it was let in and in
    the `lasts` buckets after it. A calendar window is thus one bucket, and a rolling window `lasts` of them, plus the
    one that is not over yet: for its sake a rolling limit is never passed in any interval of its length. `code` tells
    windows apart in the names of counters.
    """

    code: str
    kind: Literal["held", "even", "month", "total"]
    width: int = 0
    lasts: int = 0

    @property
    def text(self) -> str:
        """How people say it after an amount, such as "a minute"."""
        return _TEXTS.get(self.code) or _span(int(self.code[1:]))

    def bucket(self, now: int) -> int:
        """The bucket that the time `now` is in."""
        if self.kind == "even":
            return now // self.width
        return _month(now) if self.kind == "month" else 0

    def start(self, bucket: int) -> int | None:
        """When a bucket begins; None where time changes nothing."""
        if self.kind == "even":
            return bucket * self.width
        return _month_start(bucket) if self.kind == "month" else None

    def end(self, bucket: int) -> int | None:
        """When what is in a bucket stops counting; None where time changes nothing."""
        return self.start(bucket + self.lasts + 1)


def rolling(seconds: int) -> Window:
    """Any interval of so many seconds."""
    if seconds < 1:
        raise ValueError(f"A rolling window of {seconds} seconds: it must be at least one.")
    width = -(-seconds * SECOND // GRAIN)
    return Window(f"r{seconds}", "even", width, -(-seconds * SECOND // width))


HELD: Final = Window("held", "held")
"""As long as the call runs."""

CALENDAR_DAY: Final = Window("day", "even", _DAY)
CALENDAR_MONTH: Final = Window("month", "month")
TOTAL: Final = Window("total", "total")
"""For ever."""

_TEXTS: Final = {"held": "at once", "day": "a day (UTC)", "month": "a month (UTC)", "total": "in all"}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` of a unit in a window.

    `id` names the counter, together with the window: limits of one id and window share what is used, whatever their
    `most`. `owner` and `scope` are for messages: whose limit it is, such as "key", and for what, such as a model. Made
    once and used for many calls.
    """

    id: str
    unit: Unit
    most: int
    window: Window
    owner: str = "key"
    scope: str = ""
    counter: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.most <= MOST:
            raise ValueError(f"The limit {self.id} of {self.most}: it must be from 0 to {MOST}.")
        if (self.unit in HELD_UNITS) != (self.window.kind == "held"):
            raise ValueError(f"The limit {self.id}: {self.unit} cannot be counted {self.window.text}.")
        object.__setattr__(self, "counter", f"{self.id}:{self.window.code}")


class Claim(msgspec.Struct, frozen=True):
    """So much of a limit is asked for. A claim of nothing asks whether the limit has been passed."""

    limit: Limit
    amount: int

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= MOST:
            raise ValueError(f"A claim of {self.amount} on {self.limit.id}: it must be from 0 to {MOST}.")
        if self.amount != 1 and self.limit.window.kind == "held":
            raise ValueError(f"A claim of {self.amount} on {self.limit.id}: a call holds one slot.")


class Standing(msgspec.Struct, frozen=True):
    """How a limit stands. `reset` is in how many seconds nothing of it is used any more; None where time alone does not
    bring that.
    """

    limit: Limit
    used: int
    reset: float | None

    @property
    def remaining(self) -> int:
        """How much is left; never negative, though more may have been used than reserved."""
        return max(0, self.limit.most - self.used)


class Granted(msgspec.Struct, frozen=True):
    """All claims were booked. `standings` has each limit in the order of the claims, after the booking."""

    standings: tuple[Standing, ...]


class Refused(msgspec.Struct, frozen=True):
    """Nothing was booked, since `limit` has only `remaining` left of the `amount` asked for.

    `retry_after` is in how many seconds the same claim on it fits if nothing else is let in; None where time alone does
    not bring that: a slot must come free, the claim is larger than the limit, or the limit is a total. Where several
    limits refuse, the one that takes longest is told.
    """

    limit: Limit
    amount: int
    remaining: int
    retry_after: float | None
    standings: tuple[Standing, ...]


def refused(claims: Sequence[Claim], standings: tuple[Standing, ...], waits: Sequence[int | None]) -> Refused:
    """The refusal of claims of which at least one does not fit; `waits` are microseconds, for those that do not."""
    failing = [
        (wait, claim, standing)
        for wait, claim, standing in zip(waits, claims, standings, strict=True)
        if standing.used + claim.amount > claim.limit.most
    ]
    wait, claim, standing = max(failing, key=_finality)
    return Refused(claim.limit, claim.amount, standing.remaining, None if wait is None else wait / SECOND, standings)


def distinct(claims: Sequence[Claim]) -> None:
    """Raises `ValueError` where two claims are on the same counter."""
    if len({claim.limit.counter for claim in claims}) < len(claims):
        raise ValueError("Two claims of one reservation are on the same counter.")


def _finality(failing: tuple[int | None, Claim, Standing]) -> tuple[int, int]:
    """A limit that no waiting helps is the most final, a slot that may come free any moment the least."""
    wait, claim, _ = failing
    if wait is not None:
        return 1, wait
    return (0, 0) if claim.limit.window.kind == "held" and claim.limit.most else (2, 0)


def _span(seconds: int) -> str:
    names = {86_400: "day", 3_600: "hour", 60: "minute", 1: "second"}
    size = next(size for size in names if seconds % size == 0)
    name = names[size]
    count = seconds // size
    article = "an" if name == "hour" else "a"
    return f"{article} {name}" if count == 1 else f"in {count} {name}s"


def _month(now: int) -> int:
    """Months since March of the year 0, by Howard Hinnant's `civil_from_days`; the script of Valkey does the same."""
    days = now // _DAY + 719_468
    era, day = divmod(days, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    return (era * 400 + year) * 12 + (5 * (day - (365 * year + year // 4 - year // 100)) + 2) // 153


def _month_start(month: int) -> int:
    year, march = divmod(month, 12)
    days = year * 365 + year // 4 - year // 100 + year // 400 + (153 * march + 2) // 5
    return (days - 719_468) * _DAY
