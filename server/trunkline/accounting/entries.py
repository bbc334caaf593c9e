"""The ledger's entry of a call."""

from __future__ import annotations

import time
from typing import Any

from trunkline.accounting.bill import Bill, Estimate
from trunkline.call import Attempt, Call
from trunkline.core.plan import Plan
from trunkline.core.sums import add_usage
from trunkline.v1 import ledger_pb2
from trunkline.v1.chat_pb2 import Usage
from trunkline.v1.ledger_pb2 import Cost, LedgerEntry

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

_MOST_NANOS = 2**63 - 1
"""What a cost holds: a provider may say that it used any number, and the call is to be recorded all the same."""


def opened(call: Call, entry_id: str, size: Estimate) -> LedgerEntry:
    """The entry of a call that begins: should the gateway die, its estimate is what it used."""
    entry = _begun(call, entry_id)
    entry.usage.input_tokens = size.tokens
    entry.usage_estimated = True
    if size.nanos is not None:
        cost = entry.cost
        cost.input_nanos = size.nanos - size.written
        cost.output_nanos = size.written
        cost.total_nanos = size.nanos
    return entry


def closed(call: Call, entry_id: str, plan: Plan[Any], begun: LedgerEntry | None = None) -> LedgerEntry:
    """The entry of a call that ended, made of the one that it began with where there is one."""
    if begun is None:
        entry = _begun(call, entry_id)
    else:
        entry = begun
        entry.ClearField("usage")
        entry.ClearField("usage_estimated")
        entry.ClearField("cost")
    now = time.monotonic()
    _moment(entry.end_time, call, now)
    bill = Bill(call, plan)
    for attempt in call.attempts:
        _add(entry, attempt, call, bill)
    last = call.last
    if last is not None:
        entry.provider = last.provider
        if last.upstream_id:
            entry.upstream_id = _text(last.upstream_id)
    entry.model = call.model
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


def cost_of(entry: LedgerEntry) -> Cost | None:
    """What a call cost that ended; None where something that it used has no price."""
    priced = all(one.HasField("cost") for one in entry.attempts if one.HasField("usage"))
    return entry.cost if priced and entry.price_version else None


def _begun(call: Call, entry_id: str) -> LedgerEntry:
    """What is known of a call from its beginning, and does not change."""
    # Filled in place: half of what it takes by keywords.
    entry = LedgerEntry()
    entry.id = entry_id
    entry.kind = ledger_pb2.LEDGER_ENTRY_KIND_CALL
    entry.call_id = call.id
    _moment(entry.start_time, call, call.started)
    entry.surface = call.surface
    entry.operation = call.operation
    caller = call.owner
    owner = entry.owner
    owner.key_id = caller.recorded_as
    owner.user_id = caller.user_id
    owner.team_id = caller.team_id
    owner.organization_id = caller.organization_id
    owner.caller = caller.name
    entry.model = call.model
    if call.operation == "stream_chat":
        entry.streamed = True
    if call.metadata:
        entry.metadata.update(call.metadata)
    if caller.tags:
        entry.tags.extend(caller.tags)
    return entry


def _add(entry: LedgerEntry, attempt: Attempt, call: Call, bill: Bill) -> None:
    said = entry.attempts.add()
    said.provider = attempt.provider
    said.model = attempt.model
    said.outcome = attempt.outcome
    if attempt.key:
        said.key_label = attempt.key
    if attempt.upstream_id:
        said.upstream_id = _text(attempt.upstream_id)
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


def _text(text: str) -> str:
    """What a provider's header says: its stray bytes are no text, which protobuf refuses."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _moment(into: Any, call: Call, at: float) -> None:
    """Write a time of `time.monotonic()` as one of the clock on the wall."""
    seconds = call.start_time + (at - call.started)
    into.seconds, into.nanos = int(seconds), int(seconds % 1 * 1e9)


def _sum_usage(total: Usage, one: Usage) -> None:
    if not one.extras and not total.ByteSize():
        total.CopyFrom(one)
        return
    add_usage(total, one)


def _sum_cost(total: Cost, one: Cost) -> None:
    if not total.ByteSize():
        total.CopyFrom(one)
        return
    for name in _COSTS:
        value = getattr(one, name)
        if value:
            setattr(total, name, min(getattr(total, name) + value, _MOST_NANOS))
