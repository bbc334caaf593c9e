"""The attempts of one call, one after the other and, where the route says so, two at a time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from trunkline.call import Attempt, Call
from trunkline.core.hedge import Hedge, race
from trunkline.core.patience import Patience
from trunkline.core.plan import Candidate, Plan, Policy, R
from trunkline.core.walk import Step, Walk
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

_T = TypeVar("_T")

_LATE = "The provider did not answer before the caller's deadline."
_SLOW = "The provider took longer than the {what} of {seconds:g} seconds that its route allows."


class Attempts(Generic[R]):
    """Leads `call` through `plan`, and writes into its record what becomes of it."""

    def __init__(self, plan: Plan[R], call: Call) -> None:
        self.call = call
        self._walk: Walk[R] = Walk(plan, time.monotonic(), call.deadline)
        self._answered: Candidate[R] | None = None

    @property
    def answered(self) -> Candidate[R]:
        """Who answered."""
        if self._answered is None:
            raise AssertionError("nobody answered yet")
        return self._answered

    async def ask(self, ask: Callable[[Candidate[R], Attempt], Coroutine[Any, Any, _T]], *, once: bool = False) -> _T:
        """What the first candidate says that does not fail in a way in which another may do better.

        With `once` only the first one is asked.
        """
        while True:
            step = await self.step()
            try:
                candidate, attempt, answer = await self._asked(step, ask)
            except GatewayError as error:
                if once:
                    raise
                self.failed(step.candidate, error)
            else:
                self.won(candidate, attempt)
                return answer

    async def step(self) -> Step[R]:
        """Whom to ask now. Raises `GatewayError` where there is nobody."""
        while True:
            step = self._walk.next(time.monotonic())
            if not step.delay:
                return step
            await asyncio.sleep(step.delay)
            if not self._walk.blocked(step, time.monotonic()):
                return step

    def resume(self, able: Callable[[Candidate[R]], bool]) -> None:
        """Ask only those from now on who are `able` to go on with what was begun."""
        self._walk.resume(able, time.monotonic())

    def failed(self, candidate: Candidate[R], error: GatewayError) -> None:
        """`candidate` failed. Raises `error` where nobody else is to be asked."""
        self._walk.failed(candidate, error, time.monotonic())

    def spare(self, hedge: Hedge) -> Candidate[R] | None:
        """Who is to be asked beside the one who is asked now, where there is one and `hedge` allows it."""
        now = time.monotonic()
        for candidate in self._walk.rest():
            if candidate.target.pulse.wait(now) <= 0:
                if not hedge.take():
                    return None
                self._walk.take(candidate)
                return candidate
        return None

    def begin(self, candidate: Candidate[R]) -> Attempt:
        """An attempt at `candidate`."""
        target = candidate.target
        attempt = Attempt(self.call, target.provider.name, target.model, target.key, time.monotonic())
        self.call.attempts.append(attempt)
        target.pulse.began(attempt)
        return attempt

    def end(self, candidate: Candidate[R], attempt: Attempt, *, whole: bool = False) -> None:
        """The attempt is over; `whole` where it answered to its end."""
        attempt.ended = time.monotonic()
        attempt.whole = whole
        candidate.target.pulse.ended(attempt)

    def won(self, candidate: Candidate[R], attempt: Attempt) -> None:
        """The attempt is the one that answered the call."""
        self.call.answered = attempt
        self._answered = candidate
        if self.call.first_event is None:
            self.call.first_event = attempt.first_event

    async def _asked(
        self, step: Step[R], ask: Callable[[Candidate[R], Attempt], Coroutine[Any, Any, _T]]
    ) -> tuple[Candidate[R], Attempt, _T]:
        policy = step.policy
        hedge = policy.hedge
        delay = None if hedge is None else hedge.after(step.candidate.target.pulse.slow())
        if hedge is None or delay is None:
            return await self._one(step.candidate, policy, ask)

        def second() -> Coroutine[Any, Any, tuple[Candidate[R], Attempt, _T]] | None:
            spare = self.spare(hedge)
            return None if spare is None else self._one(spare, policy, ask)

        return await race(self._one(step.candidate, policy, ask), second, delay, _nothing)

    async def _one(
        self,
        candidate: Candidate[R],
        policy: Policy,
        ask: Callable[[Candidate[R], Attempt], Coroutine[Any, Any, _T]],
    ) -> tuple[Candidate[R], Attempt, _T]:
        attempt = self.begin(candidate)
        due, late = bound(attempt, policy)
        whole = False
        try:
            answer = await wait(ask(candidate, attempt), due, late)
            attempt.first_event = time.monotonic()
            whole = True
        except GatewayError as error:
            attempt.error = error
            raise
        finally:
            self.end(candidate, attempt, whole=whole)
        return candidate, attempt, answer


async def wait(awaitable: Awaitable[_T], due: float, late: Callable[[], GatewayError]) -> _T:
    """The result of `awaitable`, which is waited for until `due`."""
    if due == math.inf:
        return await awaitable
    patience = Patience()
    try:
        return await patience.wait(awaitable, due, late)
    finally:
        patience.close()


def bound(attempt: Attempt, policy: Policy) -> tuple[float, Callable[[], GatewayError]]:
    """Until when an attempt may go on as a whole, and the error for one that takes longer."""
    deadline = attempt.call.deadline
    total = None if policy.total is None else attempt.started + policy.total
    if total is not None and (deadline is None or total < deadline):
        return total, lambda: too_slow(attempt, "total", policy.total or 0.0)
    return (math.inf if deadline is None else deadline), lambda: _timeout(attempt, _LATE)


def too_slow(attempt: Attempt, what: str, seconds: float) -> GatewayError:
    """The error of an attempt that took longer than its route allows."""
    return _timeout(attempt, _SLOW.format(what=what, seconds=seconds))


def _timeout(attempt: Attempt, message: str) -> GatewayError:
    return GatewayError(errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT, message, provider=attempt.provider)


async def _nothing(_: object) -> None:
    """What a unary answer that came too late leaves behind."""
