"""Calls as a busy gateway records them, made fast: each is a template with its own ids and times."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from trunkline.ledger.calendar import DAY, HOUR, MICROS
from trunkline.ledger.ids import id_at
from trunkline.ledger.rows import Row, counted, entry_row, tags_of
from trunkline.store.tables import COUNTERS, DIMENSIONS, LATENCY_BUCKETS
from trunkline.v1 import chat_pb2, ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

KEYS: Final = 200
_MODELS_OF_KEY: Final = 3
_MODELS: Final = tuple(f"model-{number:02}" for number in range(12))
_PROVIDERS: Final = ("openai", "anthropic", "gemini", "groq")
_OUTCOMES: Final = ("ok",) * 30 + ("rate_limited", "cancelled")
_VARIANTS: Final = 8
"""Templates of each kind of call, which differ by what they used."""

_BOUNDS: Final = tuple(2 ** (bucket / 2) for bucket in range(LATENCY_BUCKETS - 1))
_PLACES: Final = {name: place for place, name in enumerate(COUNTERS)}
_DURATION: Final = _PLACES["duration_ms"]
_DURATIONS: Final = _PLACES["duration_00"]
_FIRSTS: Final = _PLACES["first_events"]
_FIRST: Final = _PLACES["first_event_ms"]
_FIRST_EVENTS: Final = _PLACES["first_event_00"]


@dataclass(frozen=True, slots=True)
class _Template:
    """What all calls of a sort have in common: the body before its own fields, the row, and what it counts."""

    body: bytes
    row: Row
    counts: list[tuple[int, int]]
    kinds: list[tuple[str, ...]]


class Calls:
    """`count` calls over `days` days up to `end`, a full day in seconds since the epoch. Equal seeds, equal calls."""

    def __init__(self, count: int, days: int, end: int, seed: int = 1) -> None:
        self._chance = random.Random(seed)  # noqa: S311
        self._templates = [self._template(key) for key in range(KEYS) for _ in range(_MODELS_OF_KEY * _VARIANTS)]
        # A few keys make most of the calls.
        self._weights = [
            1 / (1 + place // (_MODELS_OF_KEY * _VARIANTS)) ** 0.7 for place in range(len(self._templates))
        ]
        self._hours = range(end - days * DAY, end, HOUR)
        self._count = count
        self._made = 0

    def hours(self) -> Iterator[tuple[list[Row], list[Row]]]:
        """For each hour the rows of its entries and of its sums."""
        for place, hour in enumerate(self._hours):
            size = self._count * (place + 1) // len(self._hours) - self._made
            yield self._hour(hour, size)

    def _hour(self, hour: int, size: int) -> tuple[list[Row], list[Row]]:
        chance = self._chance
        rows: list[Row] = []
        sums: dict[tuple[Any, ...], list[int]] = {}
        moments = sorted(chance.randrange(hour * MICROS, (hour + HOUR) * MICROS) for _ in range(size))
        for ended, template in zip(moments, chance.choices(self._templates, self._weights, k=size), strict=True):
            duration = int(chance.lognormvariate(7, 1))
            first = duration // 3
            started = ended - duration * 1000
            self._made += 1
            own = LedgerEntry(
                id=f"{id_at(started // MICROS)[:10]}{self._made:016}",
                call_id=f"req_{self._made:024x}",
                duration_ms=duration,
                first_event_ms=first,
            )
            own.start_time.seconds, own.start_time.nanos = started // MICROS, started % MICROS * 1000
            own.end_time.seconds, own.end_time.nanos = ended // MICROS, ended % MICROS * 1000
            rows.append(
                {
                    **template.row,
                    "id": own.id,
                    "call_id": own.call_id,
                    "started_at": started,
                    "ended_at": ended,
                    "duration_ms": duration,
                    "first_event_ms": first,
                    # Messages that follow each other are merged as one.
                    "body": template.body + own.SerializeToString(),
                }
            )
            for kind in template.kinds:
                counts = sums.get(kind)
                if counts is None:
                    counts = sums[kind] = [0] * len(COUNTERS)
                for place, count in template.counts:
                    counts[place] += count
                counts[_DURATION] += duration
                counts[_DURATIONS + bisect_left(_BOUNDS, duration)] += 1
                counts[_FIRSTS] += 1
                counts[_FIRST] += first
                counts[_FIRST_EVENTS + bisect_left(_BOUNDS, first)] += 1
        return rows, [_summed(hour, kind, counts) for kind, counts in sums.items()]

    def _template(self, key: int) -> _Template:
        chance = self._chance
        model = (key + chance.randrange(_MODELS_OF_KEY)) % len(_MODELS)
        provider = _PROVIDERS[model % len(_PROVIDERS)]
        entry = LedgerEntry(
            kind=ledger_pb2.LEDGER_ENTRY_KIND_CALL,
            surface=("openai", "grpc")[key % 2],
            operation=chance.choice(("chat", "stream_chat")),
            model=_MODELS[model],
            provider=provider,
            served_model=f"{_MODELS[model]}-2026",
            price_version="2026-11-01",
            outcome=chance.choice(_OUTCOMES),
            finish_reason=chat_pb2.FINISH_REASON_STOP,
            metadata={"app": f"app-{key % 7}"},
            tags=[f"tag-{key % 10}"] if key % 2 else [],
        )
        owner = entry.owner
        owner.key_id, owner.user_id = f"key_{key:04}", f"user_{key // 4:03}"
        owner.team_id, owner.organization_id = f"team_{key // 20:02}", f"org_{key // 100}"
        usage, cost = entry.usage, entry.cost
        usage.input_tokens, usage.output_tokens = chance.randrange(20_000), chance.randrange(2_000)
        usage.cached_input_tokens = usage.input_tokens // 3
        cost.input_nanos = (usage.input_tokens - usage.cached_input_tokens) * 2_500
        cost.cached_input_nanos, cost.output_nanos = usage.cached_input_tokens * 250, usage.output_tokens * 10_000
        cost.total_nanos = cost.input_nanos + cost.cached_input_nanos + cost.output_nanos
        attempt = entry.attempts.add(provider=provider, model=entry.served_model, status=200, outcome="ok")
        attempt.usage.CopyFrom(usage)
        attempt.cost.CopyFrom(cost)
        body = entry.SerializeToString()
        row = entry_row(entry, body)
        whose = tuple(row[name] for name in DIMENSIONS[2:])
        # How long it took is each call's own.
        own = {_DURATION, _DURATIONS, _FIRSTS, _FIRST, _FIRST_EVENTS}
        counts = [(place, count) for place, count in counted(entry, row) if place not in own]
        return _Template(body, row, counts, [(tag, *whose) for tag in ("", *tags_of(entry))])


def _summed(hour: int, kind: tuple[str, ...], counts: list[int]) -> Row:
    dimensions = dict(zip(DIMENSIONS, (hour, *kind), strict=True))
    return {"id": "", **dimensions, **dict(zip(COUNTERS, counts, strict=True))}
