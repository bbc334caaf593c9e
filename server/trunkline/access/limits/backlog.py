"""What Valkey has to be told when it answers again: which calls run, which ended, and what was used without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import uuid4

from trunkline.access.limits.model import SECOND, Claim, Limit, Unit
from trunkline.access.limits.valkey import ValkeyLimiter

NOTHING: Final[Mapping[Unit, int]] = dict.fromkeys(Unit, 0)
"""What a call used that was not let in."""

_AT_ONCE: Final = 100


class Running(NamedTuple):
    """A call of this replica that runs, let in at `at` by the replica's clock.

    `local` where it was let in without Valkey; `doubtful` where it is not known whether Valkey has booked it.
    """

    claims: Sequence[Claim]
    lease: float
    at: int
    local: bool = False
    doubtful: bool = False


class Ended(NamedTuple):
    """A call that ended and what it used; without `call`, one that was not let in but may be booked.

    `asked` where Valkey has been asked to settle it, and may have done so. `at` is when it ended, by the replica's
    clock.
    """

    call: Running | None
    actual: Mapping[Unit, int]
    asked: bool = False
    at: int = 0


class Backlog:
    """The calls that run here, and what Valkey does not know of them and of others.

    All of it can be told twice and is booked once. What calls used that began and ended without Valkey is summed up, so
    the length of an outage does not matter.
    """

    def __init__(self, shared: ValkeyLimiter) -> None:
        self._shared = shared
        self.running: dict[str, Running] = {}
        self._ended: dict[str, Ended] = {}
        self._used: dict[tuple[str, int], tuple[Limit, int]] = {}
        self._debts: dict[str, tuple[Claim, float]] = {}

    def end(self, id: str, ended: Ended) -> bool:  # noqa: A002
        """Note an end that Valkey has to be told; False where it was noted before."""
        return self._ended.setdefault(id, ended) is ended

    def use(self, call: Running, actual: Mapping[Unit, int]) -> None:
        """Note what a call used that Valkey does not know."""
        for limit, reserved in ((claim.limit, claim.amount) for claim in call.claims):
            amount = actual.get(limit.unit, reserved)
            if amount and limit.window.kind != "held":
                key = limit.counter, limit.window.bucket(call.at)
                self._used[key] = limit, self._used.get(key, (limit, 0))[1] + amount

    def lose(self, before: int) -> None:
        """Forget what ended before a time, since somebody else tells of it."""
        self._ended = {name: ended for name, ended in self._ended.items() if ended.at >= before}
        self._used.clear()
        self._debts.clear()

    async def tell(self, emptied: bool) -> None:
        """Tell Valkey everything, until there is nothing more; `emptied` where it has lost all it knew.

        Raises `UnavailableError`; then nothing is lost, and all can be told again.
        """
        await _each(list(self.running), self._tell_running)
        while self._ended or self._used or self._debts:
            await _each(list(self._ended), lambda name: self._tell_ended(name, emptied))
            for (_, bucket), (limit, amount) in self._used.items():
                start = limit.window.start(bucket)
                self._debts[uuid4().hex] = Claim(limit, amount), 0.0 if start is None else start / SECOND
            self._used.clear()
            await _each(list(self._debts), self._tell_debt)

    async def _tell_running(self, id: str) -> None:  # noqa: A002
        call = self.running.get(id)
        if call is None:
            return
        # Whoever settles it from here on, settles it in Valkey.
        self.running[id] = call._replace(local=False, doubtful=True)
        await self._shared.adopt(id, call.claims, call.lease, call.at / SECOND)
        # Its lease may have ended meanwhile.
        await self._shared.renew([id], call.lease)
        if id in self.running:
            self.running[id] = call._replace(local=False, doubtful=False)

    async def _tell_ended(self, id: str, emptied: bool) -> None:  # noqa: A002
        ended = self._ended.get(id)
        if ended is None:
            return
        call, actual, asked, _ = ended
        if call is not None and (call.doubtful or emptied or not asked):
            await self._shared.adopt(id, call.claims, 0, call.at / SECOND)
        await self._shared.settle(id, actual)
        self._ended.pop(id, None)

    async def _tell_debt(self, id: str) -> None:  # noqa: A002
        debt = self._debts.get(id)
        if debt is not None:
            claim, at = debt
            await self._shared.adopt(id, (claim,), 0, at)
            self._debts.pop(id, None)


async def _each(ids: list[str], tell: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Tell of many, some at once. Raises the first error, after the others of its group are done."""
    for start in range(0, len(ids), _AT_ONCE):
        told = await asyncio.gather(*[tell(id) for id in ids[start : start + _AT_ONCE]], return_exceptions=True)  # noqa: A001
        for error in told:
            if isinstance(error, BaseException):
                raise error
