"""The ledger's entry of a call."""

from __future__ import annotations

import time
from typing import Any

from trunkline.accounting.bill import Bill, Estimate
from trunkline.call import Attempt, Call
from trunkline.core.plan import Plan
from trunkline.v1 import ledger_pb2
from trunkline.v1.chat_pb2 import Usage
from trunkline.v1.ledger_pb2 import Cost, LedgerEntry

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)
_COSTS = (
    "input_nanos",
    "cached_input_nanos",
    "cache_write_input_nanos",
    "output_nanos",
    "reasoning_output_nanos",
    "media_nanos",
    "request_nanos",
    "total_nanos",
)


def opened(call: Call, entry_id: str, size: Estimate) -> LedgerEntry:
    """The entry of a call that begins: should the gateway die, its estimate is what it used."""
    entry = LedgerEntry(id=entry_id, kind=ledger_pb2.LEDGER_ENTRY_KIND_CALL)
    _begin(entry, call)
    entry.usage.input_tokens = size.tokens
    entry.usage_estimated = True
    if size.nanos is not None:
        entry.cost.input_nanos = size.nanos - size.written
        entry.cost.output_nanos = size.written
        entry.cost.total_nanos = size.nanos
    return entry


def closed(call: Call, entry_id: str, plan: Plan[Any]) -> LedgerEntry:
    """The entry of a call that ended."""
    entry = LedgerEntry(id=entry_id, kind=ledger_pb2.LEDGER_ENTRY_KIND_CALL)
    _begin(entry, call)
    now = time.monotonic()
    _moment(entry.end_time, call, now)
    bill = Bill(call, plan)
    for attempt in call.attempts:
        _add(entry, attempt, call, bill)
    last = call.last
    if last is not None:
        entry.provider, entry.upstream_id = last.provider, last.upstream_id
    entry.served_model = call.served_model
    entry.service_tier = call.service_tier
    entry.price_version = ", ".join(bill.versions)
    entry.outcome = call.outcome
    if call.finish is not None:
        entry.finish_reason = call.finish
    if call.first_event is not None:
        entry.first_event_ms = round((call.first_event - call.started) * 1000)
    entry.duration_ms = round((now - call.started) * 1000)
    return entry


def _begin(entry: LedgerEntry, call: Call) -> None:
    entry.call_id = call.id
    _moment(entry.start_time, call, call.started)
    entry.surface = call.surface
    entry.operation = call.operation
    owner = call.owner
    entry.owner.key_id = owner.recorded_as
    entry.owner.user_id = owner.user_id
    entry.owner.team_id = owner.team_id
    entry.owner.organization_id = owner.organization_id
    entry.owner.caller = owner.name
    entry.model = call.model
    entry.streamed = call.operation == "stream_chat"
    if call.metadata:
        entry.metadata.update(call.metadata)
    if owner.tags:
        entry.tags.extend(owner.tags)


def _add(entry: LedgerEntry, attempt: Attempt, call: Call, bill: Bill) -> None:
    said = entry.attempts.add(
        provider=attempt.provider,
        model=attempt.model,
        key_label=attempt.key,
        outcome=attempt.outcome,
        upstream_id=attempt.upstream_id,
    )
    _moment(said.start_time, call, attempt.started)
    if attempt.ended is not None:
        _moment(said.end_time, call, attempt.ended)
    if attempt.status is not None:
        said.status = attempt.status
    usage = bill.usage(attempt)
    if usage is None:
        return
    said.usage.CopyFrom(usage)
    _sum_usage(entry.usage, usage)
    if attempt.estimated:
        said.usage_estimated = entry.usage_estimated = True
    cost = bill.cost(attempt, usage)
    if cost is not None:
        said.cost.CopyFrom(cost)
        _sum_cost(entry.cost, cost)


def _moment(into: Any, call: Call, at: float) -> None:
    """Write a time of `time.monotonic()` as one of the clock on the wall."""
    seconds = call.start_time + (at - call.started)
    into.seconds, into.nanos = int(seconds), int(seconds % 1 * 1e9)


def _sum_usage(total: Usage, one: Usage) -> None:
    for name in _COUNTS:
        if one.HasField(name):  # type: ignore[arg-type]
            setattr(total, name, getattr(total, name) + getattr(one, name))


def _sum_cost(total: Cost, one: Cost) -> None:
    for name in _COSTS:
        value = getattr(one, name)
        if value:
            setattr(total, name, getattr(total, name) + value)
