"""How targets do: live statistics that fade, rate limits, and circuit breakers."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from trunkline.call import Attempt
from trunkline.errors import GatewayError
from trunkline.routing.fading import OLD, Fading
from trunkline.v1 import errors_pb2

_FAULTS: Final = frozenset(
    {
        errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
        errors_pb2.ERROR_REASON_PROVIDER_FAILED,
        errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
        errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
        errors_pb2.ERROR_REASON_QUOTA_EXCEEDED,
    }
)
"""What is the target's fault, rather than the request's."""

_KEY_FAULTS: Final = frozenset(
    {errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED, errors_pb2.ERROR_REASON_QUOTA_EXCEEDED}
)
"""What is the fault of the key, and so of every model that is asked with it."""

_FIRST_LIMIT: Final = 1.0
_LONGEST_LIMIT: Final = 60.0
"""Seconds that a target is left alone after a rate limit that does not tell its reset."""

_OUTAGE: Final = 30.0
"""Seconds for which a fault counts as an outage."""

_PROBE: Final = 5.0
"""Seconds for which one call alone tries a target that was left alone, unless it begins to answer before."""

_RESORT: Final = 1.0
"""Seconds between two calls that ask a target which is left alone, as nobody else is left."""

_PATIENT: Final = 10.0
"""Seconds after which a target is at fault that did not answer, though it was the caller who had no more time; fewer
where it is known to begin its answers in a third of that."""

_MOST: Final = 20_000
"""The most targets whose health is known: callers name models as they like."""

_TOKENS_TO_TELL: Final = 8
"""The fewest tokens of an answer whose speed is counted."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a target is left alone: after `failures` faults in a row, or where half of at least twice as many calls of
    the last minutes failed. For `cooldown` seconds, twice as long after each probe that fails, at most `longest`."""

    failures: int = 5
    cooldown: float = 15.0
    longest: float = 300.0


class KeyHealth:
    """Until when a key of a provider is left alone, for all its models."""

    __slots__ = ("error", "out_since", "out_until", "rounds")

    def __init__(self) -> None:
        self.out_since = -math.inf
        self.out_until = -math.inf
        self.rounds = 0
        self.error: GatewayError | None = None


class Health:
    """How one target does; its `Pulse`. Times are `time.monotonic()` seconds.

    What began before the target was left alone is old news when it ends: it is counted, but neither lengthens the
    pause nor ends it.
    """

    def __init__(self, breaker: Breaker, key: KeyHealth | None = None) -> None:
        self.breaker = breaker
        self._key = key
        self._calls = Fading()
        self._faults = Fading()
        self._first = Fading()
        self._whole = Fading()
        self._speed = Fading()
        self._streak = 0
        self._opens = 0
        self._open_since = -math.inf
        self._open_until = -math.inf
        self._probe: Attempt | None = None
        self._limits = 0
        self._limited_since = -math.inf
        self._limited_until = -math.inf
        self._limit: GatewayError | None = None
        self._resorted = -math.inf
        self._fault_at = -math.inf
        self._fault: GatewayError | None = None
        self.median: float | None = None
        """What `latency` tells of half of the calls, until `median_until`."""
        self.median_until = -math.inf
        self.in_flight = 0
        self.faulty = False
        """Whether it ever failed; only then is `error_rate` worth a look."""
        self.uneasy = key is not None
        """Whether it failed or was limited since it answered, or shares a key; only then is `suffers` worth one."""

    def wait(self, now: float) -> float:
        """Seconds until the target may be asked; zero where it may be now."""
        until = max(self._limited_until, self._open_until)
        if self._key is not None and self._key.out_until > until:
            until = self._key.out_until
        if until > now:
            return until - now
        probe = self._probe
        return 0.0 if probe is None or probe.first_event is not None else max(probe.started + _PROBE - now, 0.0)

    def why(self) -> GatewayError | None:
        """The error for which the target is left alone."""
        until, error = self._limited_until, self._limit
        if self._open_until > until:
            until, error = self._open_until, self._fault
        if self._key is not None and self._key.out_until > until:
            error = self._key.error
        return error

    def last_resort(self, now: float) -> bool:
        """Whether it may be asked though it is left alone, as nobody else is left to ask: once in a second, and not
        before the end of a rate limit."""
        if self._is_limited(now) or now - self._resorted < _RESORT:
            return False
        self._resorted = now
        return True

    def began(self, attempt: Attempt) -> None:
        """It is asked."""
        self.in_flight += 1
        if self._opens:
            self._probe = attempt

    def ended(self, attempt: Attempt) -> None:
        """It answered, failed, or was left."""
        now = attempt.ended if attempt.ended is not None else time.monotonic()
        self.in_flight -= 1
        if attempt is self._probe:
            self._probe = None
        error = attempt.error
        if attempt.held:
            return  # nothing was sent
        if error is None:
            if attempt.whole:
                self._answered(attempt, now)
        elif error.reason == errors_pb2.ERROR_REASON_RATE_LIMITED:
            self._limited(attempt, error, now)
        elif error.reason in _FAULTS:
            if not self._hurried(attempt, now):
                self._failed(attempt, error, now)
        elif attempt.status is not None:
            self._well(attempt, now)  # it answered, if only that the request is a bad one

    def slow(self) -> float | None:
        """Seconds in which nineteen of twenty calls have begun to be answered; None where too few were made."""
        now = time.monotonic()
        return self._first.quantile(0.95) if self._first.weight(now) >= 20 else None

    def latency(self, share: float = 0.5) -> float | None:
        """Seconds to the first token, or to the answer where none was streamed, for `share` of the calls."""
        now = time.monotonic()
        if share == 0.5 and now < self.median_until:
            return self.median
        times = self._whole if self._first.is_stale(now) else self._first
        return None if times.is_stale(now) else times.quantile(share)

    def throughput(self, share: float = 0.5) -> float | None:
        """Tokens in a second, which all but `share` of the calls fell short of: 0.9 is what nine of ten reach."""
        return None if self._speed.is_stale(time.monotonic()) else self._speed.quantile(1 - share)

    def error_rate(self, now: float) -> float:
        """The share of the calls of the last minutes that failed."""
        if not self._faults:
            return 0.0
        # Less than one call counts as one: what failed once and was not asked since is forgiven in time.
        return self._faults.weight(now) / max(self._calls.weight(now), 1.0)

    def suffers(self, now: float) -> bool:
        """Whether it failed in the last half minute, and has not answered since, or is left alone."""
        return self.wait(now) > 0 or (self._streak > 0 and now - self._fault_at < _OUTAGE)

    def state(self, now: float) -> str:
        """`closed`, `open` or `half_open`, as a circuit breaker is, or `limited`."""
        if self._is_limited(now):
            return "limited"
        if self._open_until > now or (self._key is not None and self._key.out_until > now):
            return "open"
        return "half_open" if self._opens else "closed"

    def _is_limited(self, now: float) -> bool:
        key = self._key
        if key is not None and key.out_until > now and key.error is not None:
            return key.error.reason == errors_pb2.ERROR_REASON_RATE_LIMITED or self._limited_until > now
        return self._limited_until > now

    def _hurried(self, attempt: Attempt, now: float) -> bool:
        """Whether the caller had no more time, and had little from the beginning: that says nothing of the target."""
        deadline = attempt.call.deadline
        if deadline is None or now < deadline:
            return False
        if attempt.first_event is not None:
            return True
        slow = self.slow()
        return now - attempt.started < (_PATIENT if slow is None else min(3 * slow, _PATIENT))

    def _answered(self, attempt: Attempt, now: float) -> None:
        self._well(attempt, now)
        if attempt.first_event is None:
            return
        first = attempt.first_event - attempt.started
        streamed = attempt.call.operation == "stream_chat"
        (self._first if streamed else self._whole).add(first, now)
        if streamed or self._first.is_stale(now):
            times = self._first if streamed else self._whole
            self.median, self.median_until = times.quantile(0.5), now + OLD
        usage = attempt.usage
        tokens = usage.output_tokens if usage is not None else 0
        took = now - (attempt.first_event if streamed else attempt.started)
        if tokens >= _TOKENS_TO_TELL and took > 0:
            self._speed.add(tokens / took, now)

    def _well(self, attempt: Attempt, now: float) -> None:
        self._calls.add(1.0, now)
        if attempt.started >= self._open_since:
            self._streak = self._opens = self._limits = 0
            self._open_since = self._open_until = -math.inf
            self._fault = None
            self.uneasy = self._key is not None or self._limited_until > now
        if self._key is not None and attempt.started >= self._key.out_since:
            self._key.rounds = 0

    def _limited(self, attempt: Attempt, error: GatewayError, now: float) -> None:
        self._calls.add(1.0, now)
        self.uneasy = True
        asked = error.retry_after
        if asked is not None:
            until = now + asked.total_seconds()
        elif attempt.started >= self._limited_since:
            until = now + min(_FIRST_LIMIT * 2.0**self._limits, _LONGEST_LIMIT)
            self._limits = min(self._limits + 1, 16)
        else:
            return
        self._limited_since = now
        if until >= self._limited_until:
            self._limited_until, self._limit = until, error
        key = self._key
        if key is not None and asked is not None and until > key.out_until:
            # Limits are often those of the key; the others can answer for all its models meanwhile.
            key.out_since, key.out_until, key.error = now, until, error

    def _failed(self, attempt: Attempt, error: GatewayError, now: float) -> None:
        self._calls.add(1.0, now)
        self._faults.add(1.0, now)
        self.faulty = self.uneasy = True
        breaker, key = self.breaker, self._key
        asked = _seconds(error.retry_after)
        if key is not None and error.reason in _KEY_FAULTS and attempt.started >= key.out_since:
            pause = min(breaker.cooldown * 2.0**key.rounds, breaker.longest)
            key.rounds = min(key.rounds + 1, 16)
            key.out_since, key.out_until, key.error = now, now + max(pause, asked), error
        if attempt.started < self._open_since:
            return
        self._fault_at = now
        self._streak += 1
        often = self._calls.weight(now) >= 2 * breaker.failures and self.error_rate(now) >= 0.5
        if self._opens or self._streak >= breaker.failures or often:
            pause = min(breaker.cooldown * 2.0**self._opens, breaker.longest)
            self._opens = min(self._opens + 1, 16)
            self._open_since, self._open_until, self._fault = now, now + max(pause, asked), error


class Board:
    """The health of every target, by its id. It outlives a reload of the configuration."""

    def __init__(self, breaker: Breaker | None = None) -> None:
        self._breaker = breaker or Breaker()
        self._targets: OrderedDict[str, Health] = OrderedDict()
        self._keys: dict[str, KeyHealth] = {}

    @property
    def breaker(self) -> Breaker:
        """When targets are left alone; a new one holds for all at once."""
        return self._breaker

    @breaker.setter
    def breaker(self, breaker: Breaker) -> None:
        self._breaker = breaker
        for health in self._targets.values():
            health.breaker = breaker

    def health(self, provider: str, key: str, model: str) -> Health:
        """The health of one target. `key` tells which of the provider's keys, empty where it has but one."""
        name = f"{provider}#{key}/{model}"
        found = self._targets.get(name)
        if found is None:
            shared = self._keys.setdefault(f"{provider}#{key}", KeyHealth()) if key else None
            found = self._targets[name] = Health(self._breaker, shared)
            if len(self._targets) > _MOST:
                self._targets.popitem(last=False)
        else:
            self._targets.move_to_end(name)
        return found


def _seconds(delay: timedelta | None) -> float:
    return 0.0 if delay is None else delay.total_seconds()
