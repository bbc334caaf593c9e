"""Entries of many kinds, and the plainest reckoning of what they come to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ledger.entries import BEGIN, HOUR, closed, new_id, opened

from trunkline.ledger.insertion import Insertion
from trunkline.store.database import Database
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

START = (BEGIN + 21 * 24 * HOUR) // 1000
"""Microseconds since the epoch: two days before a month begins."""

SPAN = 34 * 24 * HOUR // 1000
"""How long it goes on."""

Group = Callable[[LedgerEntry], Sequence[str]]
"""An entry -> the groups that it counts under."""


def history(count: int, seed: int = 1) -> list[LedgerEntry]:
    """Calls of 34 days, at any moment of them, some of which were corrected."""
    chance = random.Random(seed)  # noqa: S311
    entries = []
    for _ in range(count):
        at = (START + chance.randrange(SPAN)) * 1000
        if chance.random() < 0.2:
            # At the border of an hour, a day, a month.
            at -= at % (HOUR * chance.choice([1, 24]))
        entry = closed(opened(at=at), duration_ms=chance.choice([0, 1, 3, 250, 90_000, 5_000_000]))
        user = chance.randrange(4)
        entry.owner.key_id = f"key_{user}{chance.randrange(2)}"
        entry.owner.user_id = f"user_{user}"
        entry.owner.team_id = f"team_{user % 2}"
        entry.owner.organization_id = "acme"
        entry.model = chance.choice(["fast", "good"])
        entry.served_model = chance.choice(["gpt-5", "claude-5"])
        entry.provider = chance.choice(["openai", "anthropic"])
        entry.surface = chance.choice(["openai", "grpc"])
        entry.outcome = chance.choice(["ok", "ok", "rate_limited", "cancelled"])
        entry.tags.extend(chance.sample(["blue", "red", "green"], chance.randrange(3)))
        entry.metadata["app"] = chance.choice(["shop", "desk"])
        entry.usage.input_tokens = chance.randrange(10**6)
        entry.cost.input_nanos = chance.randrange(10**12)
        entry.cost.total_nanos = entry.cost.input_nanos + entry.cost.output_nanos
        if chance.random() < 0.1:
            entry.price_version = ""
        entries.append(entry)
        if chance.random() < 0.1:
            entries.append(correction(entry, chance.randrange(-1000, 1000)))
    return entries


def correction(entry: LedgerEntry, nanos: int) -> LedgerEntry:
    """An entry that corrects another by `nanos`."""
    one = LedgerEntry()
    one.CopyFrom(entry)
    one.id, one.corrects, one.kind = new_id(), entry.id, ledger_pb2.LEDGER_ENTRY_KIND_CORRECTION
    for field in ("usage", "cost", "attempts"):
        one.ClearField(field)  # type: ignore[arg-type]
    one.cost.output_nanos = one.cost.total_nanos = nanos
    return one


async def insert(database: Database, entries: Sequence[LedgerEntry]) -> None:
    """Put entries into the database, as they are shipped."""
    for start in range(0, len(entries), 500):
        batch = [(entry, entry.SerializeToString()) for entry in entries[start : start + 500]]
        await Insertion(database).insert(batch)


def ended(entry: LedgerEntry) -> int:
    """When a call ended, in microseconds since the epoch."""
    return entry.end_time.ToMicroseconds()


def reckoned(entries: Iterable[LedgerEntry], group: Group) -> dict[Any, tuple[int, int, int, int, int]]:
    """Group -> calls, errors, corrections, input tokens, nano-dollars."""
    sums: dict[Any, list[int]] = {}
    for entry in entries:
        call = entry.kind == ledger_pb2.LEDGER_ENTRY_KIND_CALL
        counts = (call, call and entry.outcome != "ok", not call, entry.usage.input_tokens, entry.cost.total_nanos)
        for key in group(entry):
            there = sums.setdefault(key, [0] * 5)
            for place, count in enumerate(counts):
                there[place] += int(count)
    return {key: tuple(counts) for key, counts in sums.items()}  # type: ignore[misc]
