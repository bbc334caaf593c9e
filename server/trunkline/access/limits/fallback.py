"""Limits in Valkey, and what becomes of them while it is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, Literal, TypeVar

from trunkline.access.limits.backlog import NOTHING, Backlog, Ended, Running
from trunkline.access.limits.limiter import UnavailableError
from trunkline.access.limits.memory import Clock, MemoryLimiter, wall_clock
from trunkline.access.limits.model import SECOND, Claim, Granted, Limit, Refused, Standing, Unit
from trunkline.access.limits.valkey import ValkeyLimiter
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

Policy = Literal["refuse", "local"]
"""What is done with new calls in an outage: all are refused, or each replica lets in its share of each limit."""

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_REMEMBERED: Final = 50_000

_log = logging.getLogger("trunkline")

_Answer = TypeVar("_Answer")


@dataclass
class _Outage:
    """A time in which Valkey does not answer, and the counters of that time."""

    limiter: MemoryLimiter
    began: float = field(default_factory=time.monotonic)
    counters: set[str] = field(default_factory=set)


class FallbackLimiter:
    """A `Limiter` in Valkey that goes on without it.

    The first call that gets no answer begins an outage: from then on no call waits for Valkey, which one task asks
    again, at least every second. New calls are refused with `GatewayError` (UNAVAILABLE), or by `policy` let in against
    the `replicas`th part of each limit, at least one, less the same part of what was used when Valkey last told of it.
    When it is back it is told, once each, what was used and settled meanwhile, and which calls run.

    Where Valkey is found empty, at the start or after an outage, the first replica that finds it so awaits `rebuild`
    before it lets calls in, again and again until that succeeds. It, or whoever calls `restore`, must tell of all calls
    that ended before `since`; those that run or ended later are told of here. `peek`, `book` and `forget` raise
    `UnavailableError` in an outage.
    """

    def __init__(
        self,
        shared: ValkeyLimiter,
        policy: Policy = "refuse",
        replicas: int = 1,
        *,
        rebuild: Callable[[], Awaitable[None]] | None = None,
        clock: Clock = wall_clock,
    ) -> None:
        self._shared = shared
        self._policy = policy
        self._replicas = replicas
        self._rebuild = rebuild
        self._clock = clock
        self._backlog = Backlog(shared)
        self._generation: str | None = None
        self._must_rebuild = False
        self._outage: _Outage | None = None
        self._known: dict[str, tuple[int, int | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> bool:
        """Whether Valkey answered when it was last asked."""
        return self._outage is None

    async def start(self) -> None:
        """Meet Valkey, before the first call. Where it is away, an outage begins."""
        try:
            await self._meet()
        except UnavailableError as error:
            self._lose(error)

    async def reserve(self, id: str, claims: Sequence[Claim], lease: float) -> Granted | Refused:  # noqa: A002
        """See `Limiter`. Raises `GatewayError` (UNAVAILABLE) in an outage, by policy."""
        at = self._clock()
        if self._outage is not None:
            return self._reserve_here(self._outage, id, Running(claims, lease, at, local=True))
        try:
            answer = await self._shared.reserve(id, claims, lease)
        except UnavailableError as error:
            return self._reserve_here(self._lose(error), id, Running(claims, lease, at, local=True, doubtful=True))
        except asyncio.CancelledError:
            # It may be booked, and nobody is left to settle it.
            self._spawn(self._end(id, Ended(None, NOTHING)))
            raise
        if isinstance(answer, Granted):
            self._backlog.running[id] = Running(claims, lease, at)
        if self._policy == "local":
            self._remember(answer.standings, at)
        return answer

    async def settle(self, id: str, actual: Mapping[Unit, int]) -> bool:  # noqa: A002
        """See `Limiter`. In an outage it is noted, and True."""
        call = self._backlog.running.pop(id, None)
        if self._outage is not None:
            self._outage.limiter.settle_now(id, actual)
        if call is None or not call.local:
            return await self._end(id, Ended(call, actual, at=self._clock()))
        self._backlog.use(call, actual)
        if call.doubtful:
            self._backlog.end(id, Ended(None, NOTHING))
        return True

    async def renew(self, ids: Iterable[str], lease: float) -> list[str]:
        """See `Limiter`. In an outage all are taken to be known."""
        ids = list(ids)
        if self._outage is not None:
            self._outage.limiter.renew_now(ids, lease)
            return []
        try:
            # Of those that run here Valkey has been told, or is about to be.
            return [one for one in await self._shared.renew(ids, lease) if one not in self._backlog.running]
        except UnavailableError as error:
            self._lose(error)
            return []

    async def peek(self, limits: Sequence[Limit]) -> list[Standing]:
        """See `Limiter`."""
        return await self._asked(lambda: self._shared.peek(limits))

    async def book(self, limit: Limit, amount: int, at: float | None = None) -> None:
        """See `Limiter`."""
        await self._asked(lambda: self._shared.book(limit, amount, at))

    async def forget(self, limits: Sequence[Limit]) -> None:
        """See `Limiter`."""
        await self._asked(lambda: self._shared.forget(limits))

    @property
    def generation(self) -> str | None:
        """See `Restorable`."""
        return self._generation

    @property
    def since(self) -> float:
        """See `Restorable`."""
        return self._shared.since

    async def restored(self, limits: Sequence[Limit]) -> list[bool]:
        """See `Restorable`."""
        return await self._asked(lambda: self._shared.restored(limits))

    async def restore(self, limit: Limit, used: Sequence[tuple[float, int]]) -> None:
        """See `Restorable`."""
        await self._asked(lambda: self._shared.restore(limit, used))

    async def close(self) -> None:
        """See `Limiter`. What Valkey could not be told stays untold."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._shared.close()

    async def _end(self, id: str, ended: Ended) -> bool:  # noqa: A002
        if self._outage is None:
            ended = ended._replace(asked=True)
            try:
                return await self._shared.settle(id, ended.actual)
            except UnavailableError as error:
                self._lose(error)
            except asyncio.CancelledError:
                self._spawn(self._end(id, ended))
                raise
        return self._backlog.end(id, ended)

    async def _asked(self, ask: Callable[[], Coroutine[Any, Any, _Answer]]) -> _Answer:
        if self._outage is not None:
            raise UnavailableError("Valkey is away")
        try:
            return await ask()
        except UnavailableError as error:
            self._lose(error)
            raise

    def _reserve_here(self, outage: _Outage, id: str, call: Running) -> Granted | Refused:  # noqa: A002
        answer = None
        if self._policy == "local":
            shares = [Claim(self._share(outage, claim.limit, call.at), claim.amount) for claim in call.claims]
            answer = outage.limiter.reserve_now(id, shares, call.lease)
        if isinstance(answer, Granted):
            self._backlog.running[id] = call
            return answer
        if call.doubtful:
            self._backlog.end(id, Ended(None, NOTHING, asked=True))
        if answer is None:
            raise GatewayError(
                errors_pb2.ERROR_REASON_UNAVAILABLE,
                "The gateway's limits cannot be checked, since Valkey is away. Try again in a moment.",
                retry_after=timedelta(seconds=_LONGEST_PAUSE),
            )
        return answer

    def _share(self, outage: _Outage, limit: Limit, now: int) -> Limit:
        """This replica's part of a limit; of what is known to be used, its part is used."""
        share = replace(limit, most=min(limit.most, max(1, limit.most // self._replicas)))
        if limit.counter not in outage.counters:
            outage.counters.add(limit.counter)
            used, until = self._known.get(limit.counter, (0, None))
            if used and (until is None or now < until):
                outage.limiter.book_now(share, -(-used // self._replicas))
        return share

    def _remember(self, standings: Iterable[Standing], now: int) -> None:
        """Note what is used, and until when it may be, of the counters that were seen last."""
        for standing in standings:
            if standing.used and standing.limit.window.kind != "held":
                until = None if standing.reset is None else now + round(standing.reset * SECOND)
                counter = standing.limit.counter
                self._known.pop(counter, None)
                self._known[counter] = standing.used, until
                if len(self._known) > _REMEMBERED:
                    del self._known[next(iter(self._known))]

    def _lose(self, error: UnavailableError) -> _Outage:
        """Begin an outage, unless there is one."""
        if self._outage is None:
            done = {
                "refuse": "calls are refused",
                "local": f"each of {self._replicas} replicas lets in its share of each limit",
            }
            _log.error("Valkey is away (%s). Until it is back, %s.", error, done[self._policy])
            self._outage = _Outage(MemoryLimiter(self._clock))
            self._spawn(self._recover(self._outage))
        return self._outage

    async def _recover(self, outage: _Outage) -> None:
        pause = _FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                await self._meet()
            except UnavailableError:
                continue
            except Exception:  # noqa: BLE001 - whatever it is: until the counters are whole, the outage goes on
                _log.exception("The counters in Valkey could not be rebuilt.")
                continue
            break
        self._outage = None
        _log.warning(
            "Valkey is back, after %.1f s. It has been told what was used meanwhile.",
            time.monotonic() - outage.began,
        )
        try:
            # Calls that were let in here while it was told.
            await self._backlog.tell(emptied=False)
        except UnavailableError as error:
            self._lose(error)

    async def _meet(self) -> None:
        """Find out whether Valkey has what it had, and tell it what it has not."""
        generation, first = await self._shared.meet()
        self._shared.generation = generation
        emptied = self._generation not in (None, generation)
        if emptied:
            _log.error("Valkey has lost its counters.")
        self._must_rebuild |= first
        if self._rebuild is not None:
            if emptied:
                self._backlog.lose(round(self._shared.since * SECOND))
            if self._must_rebuild:
                await self._rebuild()
        self._must_rebuild = False
        await self._backlog.tell(emptied)
        self._generation = generation

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
