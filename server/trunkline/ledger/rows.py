"""From entries to the rows that they are found and counted by."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import String, Table

from trunkline.store.tables import COSTS, COUNTERS, DIMENSIONS, LATENCY_BUCKETS, LEDGER_ENTRIES, TOKENS, USAGE_ROLLUPS
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

Row = dict[str, Any]
"""A row by the names of its columns."""

_HOUR: Final = 3600
_MICROS: Final = 1_000_000


def _sizes(table: Table) -> dict[str, int]:
    """The most characters of each column of text."""
    return {
        column.name: column.type.length
        for column in table.columns
        if isinstance(column.type, String) and column.type.length is not None
    }


_ENTRY_SIZES: Final = _sizes(LEDGER_ENTRIES)
_TAG_SIZE: Final = _sizes(USAGE_ROLLUPS)["tag"]

_BOUNDS: Final = tuple(2 ** (bucket / 2) for bucket in range(LATENCY_BUCKETS - 1))
"""The most milliseconds of each bucket of a histogram but the last."""

_PLACES: Final = {name: place for place, name in enumerate(COUNTERS)}
_TOKENS: Final = tuple((_PLACES[name], name) for name in TOKENS)
_COSTS: Final = tuple((_PLACES[name], name) for name in COSTS)
_CALLS, _CORRECTIONS, _ESTIMATED, _UNPRICED, _ATTEMPTS, _TOOK, _BEGAN, _BEGAN_AFTER, _DURATIONS, _FIRST_EVENTS = (
    _PLACES[name]
    for name in (
        "calls",
        "corrections",
        "estimated",
        "unpriced",
        "attempts",
        "duration_ms",
        "first_events",
        "first_event_ms",
        "duration_00",
        "first_event_00",
    )
)
_NOTHING: Final = (0,) * len(COUNTERS)
_whose: Final = itemgetter(*DIMENSIONS[2:])


def micros(time: Timestamp) -> int:
    """Microseconds since the epoch."""
    return time.seconds * _MICROS + time.nanos // 1000


def entry_row(entry: LedgerEntry, body: bytes) -> Row:
    """The row of `ledger_entries`. `body` is the entry as it was written."""
    owner, usage = entry.owner, entry.usage
    return {
        "id": _text(entry.id, "id"),
        "kind": entry.kind,
        "call_id": _text(entry.call_id, "call_id"),
        "corrects": _text(entry.corrects, "corrects") or None,
        "started_at": micros(entry.start_time),
        "ended_at": micros(entry.end_time),
        "organization_id": _text(owner.organization_id, "organization_id"),
        "team_id": _text(owner.team_id, "team_id"),
        "user_id": _text(owner.user_id, "user_id"),
        "key_id": _text(owner.key_id, "key_id"),
        "model": _text(entry.model, "model"),
        "provider": _text(entry.provider, "provider"),
        "served_model": _text(entry.served_model, "served_model"),
        "surface": _text(entry.surface, "surface"),
        "operation": _text(entry.operation, "operation"),
        "outcome": _text(entry.outcome, "outcome"),
        "streamed": entry.streamed,
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_input_tokens": usage.cache_write_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_output_tokens": usage.reasoning_output_tokens,
        "usage_estimated": entry.usage_estimated,
        "total_nanos": entry.cost.total_nanos,
        "price_version": _text(entry.price_version, "price_version"),
        "first_event_ms": entry.first_event_ms if entry.HasField("first_event_ms") else None,
        "duration_ms": entry.duration_ms,
        "body": body,
    }


def unpriced(entry: LedgerEntry) -> bool:
    """Whether a provider was asked for something that has no price."""
    return entry.kind == ledger_pb2.LEDGER_ENTRY_KIND_CALL and bool(entry.attempts) and not entry.price_version


def tags_of(entry: LedgerEntry) -> set[str]:
    """The tags of an entry as sums have them: cut to size, two may be one."""
    return {cut_tag(tag) for tag in entry.tags}


def cut_tag(tag: str) -> str:
    """A tag as sums have it."""
    return _cut(tag, _TAG_SIZE)


def rollup_id(dimensions: Iterable[object]) -> str:
    """The id of the row of `usage_rollups` that has these `DIMENSIONS`."""
    # No text holds a zero byte.
    return blake2b("\0".join(map(str, dimensions)).encode(), digest_size=16).hexdigest()


class Rollups:
    """Sums of entries as `usage_rollups` has them."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Any, ...], list[int]] = {}

    def add(self, entry: LedgerEntry, row: Row) -> None:
        """Count an entry, whose row is `row`."""
        hour = row["ended_at"] // _MICROS // _HOUR * _HOUR
        whose = _whose(row)
        places = counted(entry, row)
        for tag in {"", *tags_of(entry)} if entry.tags else ("",):
            sums = self._sums.get((hour, tag, *whose))
            if sums is None:
                sums = self._sums[hour, tag, *whose] = list(_NOTHING)
            for place, count in places:
                sums[place] += count

    def rows(self) -> list[Row]:
        """The rows to add, in the order of their ids: who adds to several at once must not wait in a circle."""
        return sorted(self._rows(), key=lambda row: row["id"])

    def _rows(self) -> Iterator[Row]:
        for dimensions, sums in self._sums.items():
            yield {
                "id": rollup_id(dimensions),
                **dict(zip(DIMENSIONS, dimensions, strict=True)),
                **dict(zip(COUNTERS, sums, strict=True)),
            }


def counted(entry: LedgerEntry, row: Row) -> list[tuple[int, int]]:
    """The places in `COUNTERS` that an entry, whose row is `row`, adds to, and what."""
    cost = entry.cost
    counts = [(place, row[name]) for place, name in _TOKENS if row[name]]
    counts += [(place, nanos) for place, name in _COSTS if (nanos := getattr(cost, name))]
    if entry.kind == ledger_pb2.LEDGER_ENTRY_KIND_CORRECTION:
        counts.append((_CORRECTIONS, 1))
        return counts
    duration, first = row["duration_ms"], row["first_event_ms"]
    counts += (
        (_CALLS, 1),
        (_ESTIMATED, int(entry.usage_estimated)),
        (_UNPRICED, int(unpriced(entry))),
        (_ATTEMPTS, len(entry.attempts)),
        (_TOOK, duration),
        (_DURATIONS + bisect_left(_BOUNDS, duration), 1),
    )
    if first is not None:
        counts += (
            (_BEGAN, 1),
            (_BEGAN_AFTER, first),
            (_FIRST_EVENTS + bisect_left(_BOUNDS, first), 1),
        )
    return counts


def _text(text: str, column: str) -> str:
    if "\0" in text:
        return _cut(text, _ENTRY_SIZES[column])
    return text[: _ENTRY_SIZES[column]]


def _cut(text: str, size: int) -> str:
    """`text` as any database takes it: PostgreSQL has no zero byte in a text."""
    return (text.replace("\0", "\ufffd") if "\0" in text else text)[:size]
