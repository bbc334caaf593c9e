"""What was used is told over every wire, in the words of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from e2e.conftest import Running, running

from trunkline.v1 import usage_pb2
from trunkline.v1.usage_pb2 import GetEntryRequest, ListEntriesRequest, QueryUsageRequest
from trunkline.v1.usage_pb2_grpc import UsageServiceStub

PRICES = {"fake/echo": {"prices": [{"input": "1", "output": "2", "request": "0.5"}]}}


@pytest.fixture
async def billing(tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that records calls, and knows what they cost."""
    store = {"url": f"sqlite:///{tmp_path}/t.db"}
    async with running(store=store, ledger={"folder": str(tmp_path)}, catalog=PRICES) as one:
        yield one


async def chat(gateway: Running, base: str, **fields: Any) -> httpx.Response:
    """A call of Chat Completions."""
    body = {"model": "house-model", "messages": [{"role": "user", "content": "hello"}], **fields}
    async with httpx.AsyncClient() as http:
        return await http.post(f"{gateway.url}{base}/chat/completions", json=body)


async def recorded(gateway: Running, count: int) -> None:
    """Wait until the entries of `count` calls are in the database."""
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=f"{gateway.url}/trunkline/v1") as http:
        while len((await http.get("/ledger/entries")).json()["entries"]) < count:
            pass


async def test_over_grpc(billing: Running) -> None:
    """Sums, entries, one entry, and files."""
    said = await chat(billing, "/v1")
    await chat(billing, "/v1", model="no-such-model")
    await recorded(billing, 1)
    async with grpc.aio.insecure_channel(billing.grpc) as channel:
        usage = UsageServiceStub(channel)
        by_model = QueryUsageRequest(group_by=[usage_pb2.USAGE_DIMENSION_MODEL], latencies=True)
        (row,) = (await usage.QueryUsage(by_model)).rows
        assert (row.group.model, row.calls, row.errors, row.attempts) == ("house-model", 1, 0, 1)
        assert row.cost.request_nanos == 5 * 10**8
        assert row.cost.total_nanos == row.tokens.input_tokens * 1000 + row.tokens.output_tokens * 2000 + 5 * 10**8
        assert row.duration.count == 1
        (entry,) = (await usage.ListEntries(ListEntriesRequest(page_size=5))).entries
        assert entry.call_id == said.headers["x-request-id"]
        for name in (entry.id, entry.call_id):
            record = await usage.GetEntry(GetEntryRequest(id=name))
            assert (record.entry, record.cost) == (entry, entry.cost)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await usage.GetEntry(GetEntryRequest(id="req_none"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        csv = usage_pb2.ExportEntriesRequest(format=usage_pb2.EXPORT_FORMAT_CSV)
        data = b"".join([chunk.data async for chunk in usage.ExportEntries(csv)])
        assert data.decode().splitlines()[1].startswith(f"{entry.id},call,{entry.call_id},")


async def test_over_http(billing: Running) -> None:
    """By the native routes, with the fields in the query or in the body."""
    await chat(billing, "/v1")
    await recorded(billing, 1)
    async with httpx.AsyncClient(base_url=f"{billing.url}/trunkline/v1") as http:
        asked = (
            await http.get("/usage", params={"group_by": "USAGE_DIMENSION_MODEL", "bucket": "USAGE_BUCKET_HOUR"})
        ).json()
        posted = (await http.post("/usage:query", json={"groupBy": ["USAGE_DIMENSION_MODEL"], "bucket": 2})).json()
        assert asked["rows"] == posted["rows"]
        assert asked["rows"][0]["group"]["model"] == "house-model"
        (entry,) = (await http.get("/ledger/entries")).json()["entries"]
        record = (await http.get(f"/ledger/entries/{entry['callId']}")).json()
        assert record["entry"] == entry
        (line,) = (await http.get("/ledger/entries:export")).text.splitlines()
        assert '"data"' in line
        wrong = await http.get("/usage", params={"bucket": "USAGE_BUCKET_DAY", "start_time": "yesterday"})
        assert wrong.status_code == 400


@pytest.mark.parametrize("stream", [False, True])
async def test_a_generation(billing: Running, stream: bool) -> None:
    """OpenRouter's clients find it by the id that they were told, or by that of the call."""
    said = await chat(billing, "/api/v1", stream=stream)
    name = said.headers["x-generation-id"]
    assert name in said.text
    await recorded(billing, 1)
    async with httpx.AsyncClient(base_url=f"{billing.url}/api/v1") as http:
        for asked in (name, said.headers["x-request-id"]):
            found = (await http.get("/generation", params={"id": asked})).json()["data"]
            assert (found["id"], found["streamed"], found["finish_reason"]) == (name, stream, "stop")
            assert found["total_cost"] > 0.5
            assert found["provider_responses"][0]["status"] == 200
        for unknown in ("gen-1-00000000000000000000", "req_none"):
            assert (await http.get("/generation", params={"id": unknown})).status_code == 404
        assert (await http.get("/generation")).status_code == 400


async def test_activity(billing: Running) -> None:
    """Days that are over are told of, and no others are asked for."""
    await chat(billing, "/api/v1")
    await recorded(billing, 1)
    today = datetime.now(UTC)
    async with httpx.AsyncClient(base_url=f"{billing.url}/api/v1") as http:
        assert (await http.get("/activity")).json() == {"data": []}
        yesterday = f"{today - timedelta(days=1):%Y-%m-%d}"
        assert (await http.get("/activity", params={"date": yesterday})).json() == {"data": []}
        for wrong in (f"{today:%Y-%m-%d}", "2020-01-01", "soon"):
            assert (await http.get("/activity", params={"date": wrong})).status_code == 400
