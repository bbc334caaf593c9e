"""Prices that were wrong: what calls cost is reckoned anew, and the difference recorded beside what was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.catalog.price import Price
from trunkline.ledger.calendar import MICROS
from trunkline.ledger.ids import Ids
from trunkline.ledger.insertion import Insertion
from trunkline.store.database import Database, unbroken
from trunkline.store.tables import COSTS, LEDGER_ENTRIES
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import Cost, LedgerAttempt, LedgerEntry

PriceOf = Callable[[str, str, datetime, str], Price | None]
"""A provider, a model as it names it, when, the class of service -> the price list that was in force, if any was."""

_AT_ONCE: Final = 500
"""Calls in one transaction."""

_LOCK: Final = 0x7265_7261_7465  # `rerate`
"""PostgreSQL's advisory lock of whoever rates anew: two at once would both record the same difference."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = LEDGER_ENTRIES.c


@dataclass(slots=True)
class Rerated:
    """What came of it: how many calls were looked at, how many got a correction, and what these come to, in
    nano-dollars. `unpriced` calls have a part that still has no price, which is left as it was."""

    calls: int = 0
    corrected: int = 0
    nanos: int = 0
    unpriced: int = 0
    by_model: dict[str, int] = field(default_factory=dict)


class Rerating:
    """Rates calls anew by `price_of`. Doing it again changes nothing; stopping in the middle, neither."""

    def __init__(self, database: Database, price_of: PriceOf) -> None:
        self._database = database
        self._price_of = price_of
        self._insertion = Insertion(database)
        self._new_id = Ids()

    async def run(self, start: int, end: int, models: Iterable[str] = (), *, dry: bool = False) -> Rerated:
        """Rate the calls that ended from `start` on and before `end`, in seconds since the epoch: those that asked for
        one of `models`, or were answered by it, or all. With `dry` nothing is recorded.

        Raises `GatewayError` (INTERNAL).
        """
        done = Rerated()
        names = list(models)
        after: tuple[int, str] | None = (start * MICROS, "")
        while after is not None:
            after = await self._some(after, end * MICROS, names, done, dry=dry)
        return done

    @unbroken
    async def _some(
        self, after: tuple[int, str], end: int, models: list[str], done: Rerated, *, dry: bool
    ) -> tuple[int, str] | None:
        """Rate some calls, all of them or none; the last one, where there may be more."""
        async with self._database.writing() as connection:
            await self._hold(connection)
            found = await connection.execute(_calls(after, end, models))
            calls = [LedgerEntry.FromString(row.body) for row in found]
            before = await _corrections(connection, [call.id for call in calls])
            made = []
            for call in calls:
                done.calls += 1
                correction = self._correction(call, before.get(call.id, []), done)
                if correction is not None:
                    made.append((correction, correction.SerializeToString()))
                    total = correction.cost.total_nanos
                    done.corrected += 1
                    done.nanos += total
                    done.by_model[call.model] = done.by_model.get(call.model, 0) + total
            if made and not dry:
                await self._insertion.insert_within(connection, made)
        if len(calls) < _AT_ONCE:
            return None
        return calls[-1].end_time.ToMicroseconds(), calls[-1].id

    async def _hold(self, connection: AsyncConnection) -> None:
        """Keep every other who rates out, up to the end of the transaction."""
        if self._database.postgres:
            await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        else:
            # The driver would begin at the first change only.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _correction(self, call: LedgerEntry, corrections: list[LedgerEntry], done: Rerated) -> LedgerEntry | None:
        """What is to be added to what a call cost; None where nothing is."""
        # A call that was abandoned has an estimate, and no attempt that it could be reckoned from.
        if not call.attempts:
            return None
        right = Cost()
        versions: list[str] = []
        unpriced = False
        for attempt in call.attempts:
            if not attempt.HasField("usage"):
                continue
            price = self._price(call, attempt)
            if price is None:
                unpriced = True
                _add(right, attempt.cost)
                continue
            _add(right, _cost(price, attempt))
            if price.version not in versions:
                versions.append(price.version)
        done.unpriced += unpriced
        for one in (call, *corrections):
            _add(right, one.cost, -1)
        if not any(getattr(right, name) for name in COSTS):
            return None
        return self._entry(call, right, ", ".join(versions))

    def _price(self, call: LedgerEntry, attempt: LedgerAttempt) -> Price | None:
        # As the call was rated at first: by when it came.
        at = _EPOCH + timedelta(seconds=call.start_time.seconds, microseconds=call.start_time.nanos // 1000)
        return self._price_of(attempt.provider, attempt.model, at, call.service_tier)

    def _entry(self, call: LedgerEntry, difference: Cost, version: str) -> LedgerEntry:
        entry = LedgerEntry()
        entry.CopyFrom(call)
        for name in ("attempts", "usage", "usage_estimated", "first_event_ms", "duration_ms", "upstream_id"):
            entry.ClearField(name)
        entry.id = self._new_id()
        entry.kind = ledger_pb2.LEDGER_ENTRY_KIND_CORRECTION
        entry.corrects = call.id
        entry.correct_time.FromNanoseconds(time.time_ns())
        entry.cost.CopyFrom(difference)
        entry.price_version = version
        return entry


def _calls(after: tuple[int, str], end: int, models: list[str]) -> Any:
    ended, name = after
    later = or_(_COLUMNS.ended_at > ended, and_(_COLUMNS.ended_at == ended, _COLUMNS.id > name))
    asked = (
        select(_COLUMNS.body)
        .where(_COLUMNS.ended_at >= ended, _COLUMNS.ended_at < end, later)
        .where(_COLUMNS.kind == int(ledger_pb2.LEDGER_ENTRY_KIND_CALL))
        .order_by(_COLUMNS.ended_at, _COLUMNS.id)
        .limit(_AT_ONCE)
    )
    return asked.where(or_(_COLUMNS.model.in_(models), _COLUMNS.served_model.in_(models))) if models else asked


async def _corrections(connection: AsyncConnection, ids: list[str]) -> dict[str, list[LedgerEntry]]:
    """The corrections that there are of calls."""
    found: dict[str, list[LedgerEntry]] = {}
    for row in await connection.execute(select(_COLUMNS.body).where(_COLUMNS.corrects.in_(ids))):
        entry = LedgerEntry.FromString(row.body)
        found.setdefault(entry.corrects, []).append(entry)
    return found


def _cost(price: Price, attempt: LedgerAttempt) -> Cost:
    cost = price.cost(attempt.usage)
    return Cost(
        input_nanos=cost.input,
        cached_input_nanos=cost.cached_input,
        cache_write_input_nanos=cost.cache_write,
        output_nanos=cost.output,
        reasoning_output_nanos=cost.reasoning,
        request_nanos=cost.request,
        total_nanos=cost.total,
    )


def _add(into: Cost, one: Cost, times: int = 1) -> None:
    for name in COSTS:
        setattr(into, name, getattr(into, name) + times * getattr(one, name))
