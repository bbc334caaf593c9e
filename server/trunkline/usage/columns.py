"""The columns of an exported table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.dialects.wire import text_of
from trunkline.store.tables import COSTS, TOKENS
from trunkline.v1.chat_pb2 import FinishReason
from trunkline.v1.ledger_pb2 import LedgerEntry, LedgerEntryKind

Kind = Literal["text", "integer", "flag", "time"]
"""What a column holds; each but texts and flags may hold nothing."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _time(field: str) -> Callable[[LedgerEntry], datetime | None]:
    def read(entry: LedgerEntry) -> datetime | None:
        if not entry.HasField(field):  # type: ignore[arg-type]
            return None
        moment: Timestamp = getattr(entry, field)
        return _EPOCH + timedelta(seconds=moment.seconds, microseconds=moment.nanos // 1000)

    return read


def _own(field: str) -> Callable[[LedgerEntry], Any]:
    return lambda entry: getattr(entry, field)


def _of(part: str, field: str) -> Callable[[LedgerEntry], Any]:
    return lambda entry: getattr(getattr(entry, part), field)


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _kind(entry: LedgerEntry) -> str:
    return _word(LedgerEntryKind.Name(entry.kind), "LEDGER_ENTRY_KIND_")


def _finish(entry: LedgerEntry) -> str:
    return _word(FinishReason.Name(entry.finish_reason), "FINISH_REASON_") if entry.finish_reason else ""


def _first_event(entry: LedgerEntry) -> int | None:
    return entry.first_event_ms if entry.HasField("first_event_ms") else None


COLUMNS: Final[Mapping[str, tuple[Kind, Callable[[LedgerEntry], Any]]]] = {
    "id": ("text", _own("id")),
    "kind": ("text", _kind),
    "call_id": ("text", _own("call_id")),
    "corrects": ("text", _own("corrects")),
    "start_time": ("time", _time("start_time")),
    "end_time": ("time", _time("end_time")),
    "correct_time": ("time", _time("correct_time")),
    **{name: ("text", _of("owner", name)) for name in ("organization_id", "team_id", "user_id", "key_id", "caller")},
    **{name: ("text", _own(name)) for name in ("surface", "operation", "model", "provider", "served_model")},
    "service_tier": ("text", _own("service_tier")),
    "upstream_id": ("text", _own("upstream_id")),
    "outcome": ("text", _own("outcome")),
    "finish_reason": ("text", _finish),
    "streamed": ("flag", _own("streamed")),
    "attempts": ("integer", lambda entry: len(entry.attempts)),
    **{name: ("integer", _of("usage", name)) for name in TOKENS},
    "usage_estimated": ("flag", _own("usage_estimated")),
    **{name: ("integer", _of("cost", name)) for name in COSTS},
    "price_version": ("text", _own("price_version")),
    "first_event_ms": ("integer", _first_event),
    "duration_ms": ("integer", _own("duration_ms")),
    "tags": ("text", lambda entry: ",".join(entry.tags)),
    "metadata": ("text", lambda entry: text_of(dict(sorted(entry.metadata.items()))) if entry.metadata else ""),
}
"""The columns by their names, in order, and what each holds of an entry."""
