"""The accounts of calls: limits before them, the ledger after them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Literal

from trunkline.access.limits.limiter import Limiter, UnavailableError
from trunkline.access.limits.model import HELD_UNITS, Limit, Refused, Standing, Unit
from trunkline.access.limits.refusal import refusal
from trunkline.accounting.bill import estimate
from trunkline.accounting.claims import claims_of, limit_headers
from trunkline.accounting.entries import closed, cost_of, opened
from trunkline.accounting.rebuild import Restorer
from trunkline.call import Call, Caller
from trunkline.core.plan import Plan
from trunkline.errors import GatewayError, unavailable
from trunkline.ledger.ledger import Ledger
from trunkline.v1 import errors_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

Unpriced = Literal["allow", "refuse_limited", "refuse"]
"""What becomes of calls of models without a price: all are let in, none of those whose caller has a limit of money, or
none."""

LEASE: Final = 90.0
"""Seconds for which a call holds its slots without a sign of life of this process."""
_HEARTBEAT: Final = 30.0

_NOTHING: Final[Mapping[Unit, int]] = {Unit.TOKENS: 0, Unit.MONEY: 0}
"""What a call used that did not begin."""

_log = logging.getLogger("trunkline")


class Accounts:
    """The `Meter` of a gateway. `limits_of` tells the limits of a caller; without `ledger` nothing is recorded, and
    without `restorer` counters that forgot what was used begin anew."""

    def __init__(
        self,
        limiter: Limiter,
        limits_of: Callable[[Caller], Sequence[Limit]],
        ledger: Ledger | None,
        unpriced: Unpriced = "refuse_limited",
        restorer: Restorer | None = None,
    ) -> None:
        self._limiter = limiter
        self._limits_of = limits_of
        self._ledger = ledger
        self._unpriced = unpriced
        self._restorer = restorer
        self._held: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._ids = 0

    async def peek(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        """How limits stand. Raises `GatewayError` (UNAVAILABLE) where that cannot be told."""
        try:
            return await self._limiter.peek(limits) if limits else ()
        except UnavailableError:
            raise unavailable("The gateway cannot tell now how limits stand. Try again later.") from None

    async def begin(self, call: Call, plan: Plan[Any]) -> Tab:
        """See `Meter.begin`."""
        ledger = None if call.operation == "count_tokens" else self._ledger
        if ledger is not None:
            ledger.journal.admit()
        limits = self._limits_of(call.owner)
        size = estimate(plan)
        if size.nanos is None:
            self._check_unpriced(call, limits)
        tab = Tab(self, call, plan, self._new_id())
        if limits:
            if self._restorer is not None and not self._restorer.right(limits):
                await self._restorer.restore(limits, call.owner)
            claims = claims_of(limits, call, plan, size)
            answer = await self._limiter.reserve(tab.id, claims, LEASE)
            call.limits = limit_headers(answer.standings)
            if isinstance(answer, Refused):
                raise refusal(answer)
            tab.reserved = True
            self._hold(tab.id)
        if ledger is not None:
            try:
                tab.begun = opened(call, tab.id, size)
                await ledger.journal.open(tab.begun)
            except Exception:
                # Whatever it is, the call does not begin, and nobody else would free what it holds.
                await self.release(tab, _NOTHING)
                raise
            except asyncio.CancelledError:
                # It is open, or about to be: whatever opens a call ends it.
                call.cancel()
                tab.recorded = True
                tab.leave()
                raise
            tab.recorded = True
        return tab

    async def check(self, call: Call) -> None:
        """See `Meter.check`."""
        limits = [limit for limit in self._limits_of(call.owner) if limit.unit not in HELD_UNITS and not limit.scope]
        if not limits:
            return
        try:
            standings = tuple(await self._limiter.peek(limits))
        except UnavailableError:
            return  # to reserve tells what is to be done without counters
        for standing in standings:
            if not standing.remaining:
                call.limits = limit_headers(standings)
                raise refusal(Refused(standing.limit, 1, 0, standing.reset, standings))

    async def close(self) -> None:
        """Wait for the calls whose callers did not, ship what was recorded, and stop."""
        await self.left()
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
        if self._ledger is not None:
            await self._ledger.close()
        await self._limiter.close()

    async def left(self) -> None:
        """Return when the calls are recorded whose callers do not wait for it."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def settle(self, tab: Tab) -> None:
        """Record what a call used, and count it."""
        # What is not known stays as it was reserved.
        used: Mapping[Unit, int] = {}
        try:
            entry = closed(tab.call, tab.id, tab.plan, tab.begun)
            used = _used(entry)
            tab.call.cost = cost_of(entry)
            if tab.recorded and self._ledger is not None:
                await self._ledger.journal.append(entry)
        finally:
            await self.release(tab, used)

    async def release(self, tab: Tab, used: Mapping[Unit, int]) -> None:
        """Count what a call used in place of what was reserved for it."""
        if not tab.reserved:
            return
        tab.reserved = False
        self._held.discard(tab.id)
        await self._limiter.settle(tab.id, used)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run what nobody waits for; `close` does."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a call's end could not be recorded: %s", error)

    def _check_unpriced(self, call: Call, limits: Sequence[Limit]) -> None:
        limited = any(limit.unit is Unit.MONEY for limit in limits)
        if self._unpriced == "refuse" or (self._unpriced == "refuse_limited" and limited):
            why = (
                "and the key has a limit of money"
                if self._unpriced != "refuse"
                else "and only priced ones may be asked"
            )
            raise GatewayError(
                errors_pb2.ERROR_REASON_UNSUPPORTED,
                f"The price of the model `{call.model[:128]}` is not known, {why}. Set its price under `catalog`.",
                param="model",
            )

    def _new_id(self) -> str:
        if self._ledger is not None:
            return self._ledger.new_id()
        self._ids += 1
        return f"call{self._ids}"

    def _hold(self, name: str) -> None:
        self._held.add(name)
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        """Say again and again which calls still run."""
        while True:
            await asyncio.sleep(_HEARTBEAT)
            if self._held:
                try:
                    await self._limiter.renew(list(self._held), LEASE)
                except Exception as error:  # noqa: BLE001 - the next beat may succeed, and a lease outlives two
                    _log.warning("the leases of running calls could not be prolonged: %s", error)


class Tab:
    """What one call has reserved; see `core.meter.Tab`."""

    __slots__ = ("_accounts", "begun", "call", "id", "plan", "recorded", "reserved")

    def __init__(self, accounts: Accounts, call: Call, plan: Plan[Any], name: str) -> None:
        self._accounts = accounts
        self.call = call
        self.plan = plan
        self.id = name
        self.begun: LedgerEntry | None = None
        self.reserved = False
        self.recorded = False

    async def end(self) -> None:
        """See `core.meter.Tab.end`."""
        await self._accounts.settle(self)

    def leave(self) -> None:
        """See `core.meter.Tab.leave`."""
        self._accounts.spawn(self._accounts.settle(self))


def _used(entry: LedgerEntry) -> dict[Unit, int]:
    usage = entry.usage
    return {Unit.TOKENS: usage.input_tokens + usage.output_tokens, Unit.MONEY: entry.cost.total_nanos}
