"""Entries to record."""

from __future__ import annotations

import time
from itertools import count

from trunkline.ledger.ids import Ids
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

HOUR = 3600 * 10**9
BEGIN = 1_760_000_400 * 10**9
"""A full hour, in nanoseconds since the epoch."""

new_id = Ids()
_numbers = count()


def opened(*, at: int | None = None, **fields: object) -> LedgerEntry:
    """What is known of a call when it comes, with an estimate of what it will use."""
    number = next(_numbers)
    entry = LedgerEntry(
        id=new_id(),
        kind=ledger_pb2.LEDGER_ENTRY_KIND_CALL,
        call_id=f"req_{number:024x}",
        surface="openai",
        operation="chat",
        model=f"best-{number % 2}",
        price_version="2026-11-01",
        usage_estimated=True,
    )
    entry.start_time.FromNanoseconds(time.time_ns() if at is None else at)
    entry.owner.key_id = f"key_{number % 3}"
    entry.owner.team_id = "team_1"
    entry.usage.input_tokens = 100
    entry.usage.output_tokens = 1000
    entry.cost.input_nanos = 100
    entry.cost.output_nanos = 2000
    entry.cost.total_nanos = 2100
    entry.MergeFrom(LedgerEntry(**fields))  # type: ignore[arg-type]
    return entry


def closed(entry: LedgerEntry | None = None, *, duration_ms: int = 250, **fields: object) -> LedgerEntry:
    """The call when it has ended."""
    if entry is None:
        entry = opened()
    ended = LedgerEntry()
    ended.CopyFrom(entry)
    ended.outcome = "ok"
    ended.usage_estimated = False
    ended.provider = "openai"
    ended.served_model = "gpt-5"
    ended.duration_ms = duration_ms
    ended.first_event_ms = duration_ms // 2
    ended.end_time.FromNanoseconds(entry.start_time.ToNanoseconds() + duration_ms * 10**6)
    ended.usage.output_tokens = 20
    ended.cost.output_nanos = 40
    ended.cost.total_nanos = 140
    attempt = ended.attempts.add(provider="openai", model="gpt-5", status=200, outcome="ok")
    attempt.start_time.CopyFrom(ended.start_time)
    attempt.end_time.CopyFrom(ended.end_time)
    attempt.usage.CopyFrom(ended.usage)
    attempt.cost.CopyFrom(ended.cost)
    ended.MergeFrom(LedgerEntry(**fields))  # type: ignore[arg-type]
    return ended
