"""The way through a plan: whom to ask next, and when."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, Generic, NamedTuple

from trunkline.core.plan import Candidate, Leg, Plan, Policy, R
from trunkline.errors import GatewayError, internal
from trunkline.v1 import errors_pb2

_LONGEST_PAUSE: Final = 8.0
"""The most seconds between two rounds, before they are shortened by chance."""

_WORTH_WAITING: Final = 1.0
"""Seconds that are waited for a target while another model could be asked at once."""

_FINAL: Final = frozenset({errors_pb2.ERROR_REASON_CANCELLED, errors_pb2.ERROR_REASON_INTERNAL})
"""What no other model changes."""


class Step(NamedTuple, Generic[R]):
    """Whom to ask next, after how many seconds, and by which policy."""

    candidate: Candidate[R]
    delay: float
    policy: Policy


class Walk(Generic[R]):
    """Leads a call through its plan.

    In each leg every candidate is asked once before any is asked again. Another round follows a pause, which grows from
    round to round and is never shorter than a provider asked for. A leg is left where no attempt is left, where none
    can begin in time, or where its failure is one that only another model may not have. Where all are left alone for
    their faults, one of them is asked all the same, as often as it lets itself be: so a fault that is over is noticed.
    """

    def __init__(
        self, plan: Plan[R], started: float, deadline: float | None, jitter: Callable[[], float] = random.random
    ) -> None:
        self._legs: Sequence[Leg[R]] = plan.legs
        self._deadline = math.inf if deadline is None else deadline
        self._jitter = jitter
        self._error: GatewayError | None = None
        self._able: Callable[[Candidate[R]], bool] = _anybody
        self._fresh: Iterator[Candidate[R]] = iter(())
        self._again: list[tuple[Candidate[R], float]] = []
        self._shut: list[Step[R]] = []
        self._tried = False
        self._at = -1
        self._leg: Leg[R] = plan.legs[0]
        self._next_leg(started)

    def next(self, now: float) -> Step[R]:
        """Whom to ask next. Raises the last `GatewayError` where there is nobody."""
        while True:
            leg = self._leg
            if self._error is not None and now >= min(self._until, self._deadline):
                self._fresh = iter(())
            for candidate in self._fresh:
                wait = candidate.target.pulse.wait(now)
                if wait <= 0:
                    return Step(candidate, 0.0, leg.policy)
                self._blocked(candidate, wait)
                if not self._tried:
                    self._shut.append(Step(candidate, 0.0, leg.policy))
                # A fault may last: those who ask meanwhile are better told so at once.
                if wait <= _LONGEST_PAUSE or _is_limited(candidate):
                    self._again.append((candidate, now + wait))
            step = self._retry(leg, now)
            if step is not None:
                return step
            if self._at + 1 == len(self._legs):
                for step in self._shut:
                    if step.candidate.target.pulse.last_resort(now):
                        self._shut = []
                        return step
                raise self._error or internal("A plan holds no candidate.")
            self._next_leg(now)

    def blocked(self, step: Step[R], now: float) -> bool:
        """Whether the pause before `step` was not enough, as its candidate got into trouble meanwhile, or another call
        tries it. Then it is not asked now, and that costs no attempt."""
        candidate = step.candidate
        wait = candidate.target.pulse.wait(now)
        if wait <= 0:
            return False
        self._blocked(candidate, wait)
        self._left += 1
        self._again.append((candidate, now + wait))
        return True

    def resume(self, able: Callable[[Candidate[R]], bool], now: float) -> None:
        """An answer broke off after its beginning: ask only those from now on who are `able` to go on with it. The time
        in which it was written does not count against the route's."""
        self._able = able
        self._until = math.inf if self._leg.policy.timeout is None else now + self._leg.policy.timeout
        self._fresh = filter(able, self._fresh)
        self._again = [(candidate, ready) for candidate, ready in self._again if able(candidate)]

    def failed(self, candidate: Candidate[R], error: GatewayError, now: float) -> None:
        """`candidate` failed. Raises `error` where nobody else is to be asked."""
        self._error = error
        self._tried, self._shut = True, []
        more = self._at + 1 < len(self._legs)
        if error.reason in _FINAL:
            raise error
        if not error.row.fall_back:
            if not more:
                raise error
            self._fresh = iter(())
            self._again.clear()
        elif error.row.retry:
            wait = 0.0 if error.retry_after is None else error.retry_after.total_seconds()
            self._again.append((candidate, now + max(wait, candidate.target.pulse.wait(now))))

    def rest(self) -> list[Candidate[R]]:
        """Who was not asked yet in this leg, in order."""
        rest = list(self._fresh)
        self._fresh = iter(rest)
        return rest

    def take(self, candidate: Candidate[R]) -> None:
        """`candidate` is asked out of turn."""
        self._fresh = iter([one for one in self._fresh if one is not candidate])

    def _next_leg(self, now: float) -> None:
        self._at += 1
        leg = self._leg = self._legs[self._at]
        self._fresh = filter(self._able, leg.candidates)
        self._again = []
        self._left = leg.policy.retries
        self._round = 0
        self._until = math.inf if leg.policy.timeout is None else now + leg.policy.timeout

    def _retry(self, leg: Leg[R], now: float) -> Step[R] | None:
        """The candidate that may be asked again the soonest, where it is soon enough."""
        if not self._again or not self._left:
            return None
        place = min(range(len(self._again)), key=lambda index: self._again[index][1])
        candidate, ready = self._again[place]
        pause = min(leg.policy.backoff * 2.0**self._round, _LONGEST_PAUSE) * (0.5 + self._jitter() / 2)
        # Many may wait for the same moment: chance parts them.
        begin = max(ready, now) + pause
        more = self._at + 1 < len(self._legs)
        if begin >= min(self._until, self._deadline) or (more and begin - now > _WORTH_WAITING):
            return None
        del self._again[place]
        self._left -= 1
        self._round += 1
        return Step(candidate, begin - now, leg.policy)

    def _blocked(self, candidate: Candidate[R], wait: float) -> None:
        """Note why nobody was asked, in case nobody will be."""
        if self._error is not None:
            return
        target, error = candidate.target, candidate.target.pulse.why()
        limited = _is_limited(candidate)
        reason = errors_pb2.ERROR_REASON_RATE_LIMITED if limited else errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
        why = "is at its rate limit" if limited else "has failed too often of late"
        last = "" if error is None or limited else f" Its last error: {error.message}"
        self._error = GatewayError(
            reason,
            f"The target `{target.id}` {why}; it is asked again in {math.ceil(wait)} seconds.{last}",
            retry_after=timedelta(seconds=wait),
            provider=target.provider.name,
        )


def _anybody(_: Candidate[Any]) -> bool:
    return True


def _is_limited(candidate: Candidate[Any]) -> bool:
    error = candidate.target.pulse.why()
    return error is not None and error.reason == errors_pb2.ERROR_REASON_RATE_LIMITED
