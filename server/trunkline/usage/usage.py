"""`UsageService`: what was used and what it cost, for whoever may know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from trunkline.call import Call
from trunkline.errors import invalid_request, not_found
from trunkline.ledger.calendar import MICROS
from trunkline.store.database import Database
from trunkline.store.tables import COSTS, LATENCY_BUCKETS, TOKENS
from trunkline.usage import pages
from trunkline.usage.filters import Filter, filter_of
from trunkline.usage.latency import summary_of
from trunkline.usage.pages import Entries
from trunkline.usage.question import Bucket, Question, check_range, moment_of, question_of
from trunkline.usage.sums import Key, Sums, sums_of
from trunkline.usage.view import View, view_of
from trunkline.usage.writers import writer_of
from trunkline.v1.ledger_pb2 import LedgerEntry
from trunkline.v1.usage_pb2 import (
    ExportChunk,
    ExportEntriesRequest,
    GetEntryRequest,
    LedgerRecord,
    ListEntriesRequest,
    ListEntriesResponse,
    QueryUsageRequest,
    QueryUsageResponse,
    UsageRow,
)

_CHUNK: Final = 256 * 1024
"""The most bytes of a chunk: well below what a gRPC client takes in one message."""

_COUNTS: Final = ("calls", "errors", "estimated", "unpriced", "attempts", "corrections")


class Usage:
    """Answers from one database. Each method takes the request of one RPC and its call, whose owner sees what he may,
    and raises `GatewayError`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries = Entries(database)

    async def query_usage(self, request: QueryUsageRequest, call: Call) -> QueryUsageResponse:
        """Sums of calls, tokens and money."""
        return await self.sums(request, view_of(call.owner))

    async def sums(self, request: QueryUsageRequest, view: View) -> QueryUsageResponse:
        """As `query_usage`, for whoever may see `view`."""
        question = question_of(request, view)
        sums, start = await sums_of(self._database, question)
        response = QueryUsageResponse()
        response.start_time.FromMicroseconds(start)
        response.end_time.FromMicroseconds(question.end)
        places = {name: place for place, name in enumerate(sums.names)}
        total = places["total_nanos"]
        rows = sorted(sums.rows.items(), key=lambda row: (row[0][0], -row[1][total], row[0]))
        response.rows.extend(_row(key, counts, sums, question) for key, counts in rows)
        return response

    async def list_entries(self, request: ListEntriesRequest, call: Call) -> ListEntriesResponse:
        """A page of entries, the newest first."""
        start, end, wanted = _which(request, view_of(call.owner))
        if request.page_size < 0:
            raise invalid_request("`page_size` is below zero.", "page_size")
        size = min(request.page_size or pages.USUAL, pages.MOST)
        after = pages.place_of(request.page_token) if request.page_token else None
        entries, last = await self._entries.page(wanted, start, end, size, after)
        response = ListEntriesResponse(next_page_token=last.token if last is not None else "")
        response.entries.extend(_shown(entry, call) for entry in entries)
        return response

    async def get_entry(self, request: GetEntryRequest, call: Call) -> LedgerRecord:
        """One entry, and its corrections."""
        record = await self.record(request.id, view_of(call.owner))
        if record is None:
            raise not_found(f"There is no entry and no call `{request.id[:128]}`.", "id")
        _shown(record.entry, call)
        for correction in record.corrections:
            _shown(correction, call)
        return record

    async def record(self, name: str, view: View) -> LedgerRecord | None:
        """An entry by its id or by that of its call, for whoever may see `view`; None where there is none."""
        if not name or "\0" in name:
            raise invalid_request("`id` is no id.", "id")
        return await self._entries.record(name[:128], Filter({column: {only} for column, only in view.items()}))

    async def begun(self, second: int, view: View) -> list[LedgerEntry]:
        """The calls that came in a second, in seconds since the epoch, for whoever may see `view`."""
        return await self._entries.begun(second, Filter({column: {only} for column, only in view.items()}))

    async def export_entries(
        self, request: ExportEntriesRequest, call: Call
    ) -> AsyncGenerator[list[ExportChunk], None]:
        """A file of entries, chunk by chunk."""
        start, end, wanted = _which(request, view_of(call.owner))
        writer = writer_of(request.format)
        async with aclosing(self._entries.all(wanted, start, end)) as batches:
            async for batch in batches:
                shown = [_shown(entry, call) for entry in batch]
                # Thousands of entries take longer than running streams should wait.
                chunks = _chunks(await asyncio.to_thread(writer.write, shown))
                if chunks:
                    yield chunks
        yield _chunks(await asyncio.to_thread(writer.end))


def _which(request: ListEntriesRequest | ExportEntriesRequest, view: View) -> tuple[int, int, Filter]:
    start = moment_of(request.start_time, "start_time") if request.HasField("start_time") else 0
    end = moment_of(request.end_time, "end_time") if request.HasField("end_time") else pages.now()
    check_range(start, end)
    return start, end, filter_of(request.filter, view)


def _shown(entry: LedgerEntry, call: Call) -> LedgerEntry:
    """An entry as the caller may see it: which of the gateway's own keys was used is for admins."""
    if not call.owner.admin:
        for attempt in entry.attempts:
            attempt.ClearField("key_label")
    return entry


def _chunks(data: bytes) -> list[ExportChunk]:
    return [ExportChunk(data=data[start : start + _CHUNK]) for start in range(0, len(data), _CHUNK)]


def _row(key: Key, counts: list[int], sums: Sums, question: Question) -> UsageRow:
    count = dict(zip(sums.names, counts, strict=True))
    row = UsageRow(**{name: count[name] for name in _COUNTS})  # type: ignore[arg-type]
    begin, *values = key
    if question.bucket is not Bucket.WHOLE:
        row.start_time.FromMicroseconds(begin * MICROS)
    row.group.SetInParent()
    for name, value in zip(question.groups, values, strict=True):
        setattr(row.group, name, value)
    row.tokens.SetInParent()
    for name in TOKENS:
        setattr(row.tokens, name, count[name])
    row.cost.SetInParent()
    for name in COSTS:
        setattr(row.cost, name, count[name])
    if question.latencies:
        row.duration.CopyFrom(summary_of(_histogram(count, "duration"), count["duration_ms"]))
        row.first_event.CopyFrom(summary_of(_histogram(count, "first_event"), count["first_event_ms"]))
    return row


def _histogram(count: dict[str, int], name: str) -> list[int]:
    return [count[f"{name}_{bucket:02}"] for bucket in range(LATENCY_BUCKETS)]
