"""Entries are listed each once, the newest first, and written whole."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from google.protobuf import json_format
from usage.history import START, ended, history, insert

from trunkline.call import Call, Caller
from trunkline.errors import GatewayError
from trunkline.ledger.ids import Ids, id_at
from trunkline.store.database import Database
from trunkline.usage import pages
from trunkline.usage.usage import Usage
from trunkline.v1 import usage_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry
from trunkline.v1.usage_pb2 import ExportEntriesRequest, GetEntryRequest, ListEntriesRequest, UsageFilter

ADMIN = Call(id="req_1", surface="grpc", owner=Caller("root", admin=True))


async def listed(usage: Usage, call: Call = ADMIN, **fields: Any) -> list[LedgerEntry]:
    """All pages."""
    entries: list[LedgerEntry] = []
    token = ""
    while True:
        page = await usage.list_entries(ListEntriesRequest(page_token=token, **fields), call)
        entries.extend(page.entries)
        token = page.next_page_token
        if not token:
            return entries


def newest(entries: list[LedgerEntry]) -> list[LedgerEntry]:
    """Entries in the order in which they are listed."""
    return sorted(entries, key=lambda entry: (ended(entry), entry.id), reverse=True)


@pytest.mark.parametrize("scanned", [3, 50_000])
async def test_pages(database: Database, usage: Usage, monkeypatch: pytest.MonkeyPatch, scanned: int) -> None:
    """Every entry that is asked for is on one page, however few are looked at for a page."""
    monkeypatch.setattr(pages, "_SCANNED", scanned)
    entries = history(60)
    for entry in entries[::3]:
        entry.end_time.seconds, entry.end_time.nanos = entries[0].end_time.seconds, 0
    await insert(database, entries)
    assert await listed(usage, page_size=7) == newest(entries)
    wanted = UsageFilter(key_ids=["key_00", "key_31"], outcomes=["ok"], tags=["red", "blue"], metadata={"app": "shop"})
    expected = [
        entry
        for entry in newest(entries)
        if entry.owner.key_id in wanted.key_ids
        and entry.outcome == "ok"
        and {"red", "blue"} & set(entry.tags)
        and entry.metadata["app"] == "shop"
    ]
    assert await listed(usage, page_size=2, filter=wanted) == expected


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_what_a_key_sees(database: Database, usage: Usage) -> None:
    """Its own entries, without the labels of the gateway's keys; another's are as if they were not there."""
    entries = history(40)
    for entry in entries:
        for attempt in entry.attempts:
            attempt.key_label = "second"
    await insert(database, entries)
    own = next(entry for entry in entries if entry.owner.key_id == "key_00")
    other = next(entry for entry in entries if entry.owner.key_id == "key_10")
    call = Call(id="req_2", surface="grpc", owner=Caller("me", key_id="key_00"))
    seen = await listed(usage, call)
    assert {entry.owner.key_id for entry in seen} == {"key_00"}
    assert not any(attempt.key_label for entry in seen for attempt in entry.attempts)
    assert (await usage.get_entry(GetEntryRequest(id=own.id), call)).entry.id == own.id
    for name in (other.id, other.call_id):
        with pytest.raises(GatewayError, match="There is no entry"):
            await usage.get_entry(GetEntryRequest(id=name), call)
    assert (await usage.get_entry(GetEntryRequest(id=other.id), ADMIN)).entry == other


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
@pytest.mark.parametrize("token", ["x", "MTIz", "LTEuYQ", "////", "MTIzLgA"])
async def test_a_token_that_is_none(usage: Usage, token: str) -> None:
    """It is refused."""
    with pytest.raises(GatewayError) as caught:
        await usage.list_entries(ListEntriesRequest(page_token=token), ADMIN)
    assert caught.value.param == "page_token"


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_wrong_requests(usage: Usage) -> None:
    """The field is named."""
    with pytest.raises(GatewayError, match="below zero"):
        await usage.list_entries(ListEntriesRequest(page_size=-1), ADMIN)
    for name in ("", "a\0"):
        with pytest.raises(GatewayError, match="no id"):
            await usage.get_entry(GetEntryRequest(id=name), ADMIN)
    with pytest.raises(GatewayError) as caught:
        _ = [chunk async for chunk in usage.export_entries(ExportEntriesRequest(format=9), ADMIN)]  # type: ignore[arg-type]
    assert caught.value.param == "format"


async def test_an_export_is_whole(database: Database, usage: Usage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every entry once, as it is, the oldest first, however many are read at once."""
    monkeypatch.setattr(pages, "MOST", 7)
    entries = history(40)
    for entry in entries[::2]:
        entry.end_time.CopyFrom(entries[0].end_time)
    await insert(database, entries)
    request = ExportEntriesRequest(format=usage_pb2.EXPORT_FORMAT_JSON_LINES)
    data = b"".join([chunk.data async for batch in usage.export_entries(request, ADMIN) for chunk in batch])
    written = [json_format.ParseDict(json.loads(line), LedgerEntry()) for line in data.splitlines()]
    assert written == newest(entries)[::-1]


async def test_calls_of_a_second(database: Database, usage: Usage) -> None:
    """They are found by when they came."""
    second = START // 10**6
    entries = history(5)
    for number, entry in enumerate(entries[:3]):
        entry.start_time.seconds, entry.start_time.nanos = second, 999_999_999 * (number % 2)
        entry.id = f"{id_at(second + number)[:10]}{number:016}"
    await insert(database, entries)
    found = await usage.begun(second, {})
    assert sorted(entry.id for entry in found) == sorted(entry.id for entry in entries[:3] if not entry.corrects)
    assert await usage.begun(second, {"key_id": "none"}) == []


def test_ids_tell_the_time() -> None:
    """What is made at a time is not before the first id of it."""
    before = int(time.time())
    made = Ids()()
    assert id_at(before) <= made < id_at(before + 60)
