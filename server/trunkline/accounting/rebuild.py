"""Counters that forgot what was used are told of it by the ledger, each before the first call that it is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from trunkline.access.limits.limiter import Restorable, UnavailableError
from trunkline.access.limits.model import SECOND, Limit
from trunkline.accounting.history import History
from trunkline.call import Caller
from trunkline.errors import GatewayError, unavailable
from trunkline.ledger.ledger import Ledger

_LAG: Final = 2.0
"""Seconds after which what other replicas recorded is in the database, unless that is away."""

_PATIENCE: Final = 10.0
"""Seconds that a call waits for the ledger."""

_AT_ONCE: Final = 8
"""Calls for which the ledger is read at the same time."""


class Restorer:
    """Restores the counters of `limiter` from `ledger`: those in memory after a restart, those in a Valkey that was
    found empty."""

    def __init__(self, limiter: Restorable, ledger: Ledger, history: History) -> None:
        self._limiter = limiter
        self._ledger = ledger
        self._history = history
        self._generation: str | None = None
        self._right: set[str] = set()
        self._restoring = asyncio.Semaphore(_AT_ONCE)

    def right(self, limits: Sequence[Limit]) -> bool:
        """Whether all of these are known to hold what was used."""
        if self._limiter.generation != self._generation:
            self._generation = self._limiter.generation
            self._right.clear()
        known = self._right
        return all(limit.counter in known for limit in limits)

    async def restore(self, limits: Sequence[Limit], owner: Caller) -> None:
        """Have the counters of `limits`, which are those of `owner`, hold what was used.

        Raises `GatewayError` (UNAVAILABLE) where the ledger cannot be asked. Where the counters themselves are away it
        does nothing: who asks them has to do without.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                async with self._restoring:
                    await self._restore(limits, owner)
        except UnavailableError:
            return
        except (TimeoutError, GatewayError) as error:
            raise unavailable(
                "The gateway's limits cannot be checked, since its ledger cannot be read. Try again in a moment."
            ) from error

    async def _restore(self, limits: Sequence[Limit], owner: Caller) -> None:
        unknown = [limit for limit in limits if limit.counter not in self._right]
        lost = [limit for limit in unknown if limit.window.kind != "held"]
        generation, since = self._limiter.generation, self._limiter.since
        there = await self._limiter.restored(lost) if lost else []
        if not all(there):
            await self._ledger.recovered()
            if generation:
                # Other replicas may have recorded what ended just before the counters were lost.
                await asyncio.sleep(max(0.0, since + _LAG - time.time()))
            await self._ledger.caught_up()
        for limit, restored in zip(lost, there, strict=True):
            if not restored:
                used = await self._history.used(limit, owner, round(since * SECOND) if generation else None)
                await self._limiter.restore(limit, used)
        if generation == self._limiter.generation:
            self._right.update(limit.counter for limit in unknown)
