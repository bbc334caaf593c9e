"""Limits and the ledger as callers of every surface see them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from accounting.conftest import DOLLAR, OWNER
from fakes.scripted_provider import asking
from fakes.sim_server import SimServer
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy import select

from trunkline.access.limits.memory import MemoryLimiter
from trunkline.access.limits.model import HELD, TOTAL, Limit, Unit, rolling
from trunkline.accounting.accounts import Accounts
from trunkline.call import Caller
from trunkline.config.model import Config
from trunkline.core.entry import Entry
from trunkline.house import build
from trunkline.ledger.ledger import Ledger
from trunkline.rpc.server import RpcServer
from trunkline.services import SERVICES
from trunkline.store.database import Database, opened
from trunkline.store.engine import MEMORY
from trunkline.store.seal import Seal
from trunkline.store.stores import Stores
from trunkline.store.tables import LEDGER_ENTRIES
from trunkline.v1 import chat_pb2_grpc
from trunkline.v1.ledger_pb2 import LedgerEntry
from trunkline.web.server import WebServer

NONE = Limit("requests", Unit.REQUESTS, 0, rolling(60))
BROKE = Limit("money", Unit.MONEY, 0, TOTAL)
SAY = [{"role": "user", "content": "Hi"}]

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "house", "messages": SAY}),
    "completions": ("/v1/completions", {"model": "house", "prompt": "Hi"}),
    "embeddings": ("/v1/embeddings", {"model": "house", "input": "Hi"}),
    "responses": ("/v1/responses", {"model": "house", "input": "Hi", "store": False}),
    "anthropic": ("/v1/messages", {"model": "house", "messages": SAY, "max_tokens": 10}),
    "gemini": ("/v1beta/models/house:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}),
    "openrouter": ("/api/v1/chat/completions", {"model": "house", "messages": SAY}),
    "native": (
        "/trunkline/v1/chat",
        {"model": "house", "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hi"}]}]},
    ),
}


class Surfaces:
    """Both wires over accounts, in front of a fake provider."""

    def __init__(self, upstream: SimServer, accounts: Accounts, ledger: Ledger, database: Database) -> None:
        self.upstream = upstream
        self.accounts = accounts
        self.limits: list[Limit] = []
        self.http = ""
        self.grpc = ""
        self._ledger = ledger
        self._database = database

    async def entries(self) -> list[LedgerEntry]:
        """What is in the ledger, when all of it is shipped."""
        await self.accounts.left()
        await self._ledger.shipped()
        async with self._database.reading() as connection:
            rows = await connection.execute(select(LEDGER_ENTRIES.c.body).order_by(LEDGER_ENTRIES.c.id))
            return [LedgerEntry.FromString(body) for body in rows.scalars()]

    async def first_entry(self) -> LedgerEntry:
        """The entry of a call whose end nobody waited for, and the only one."""
        while True:
            entries = await self.entries()
            if entries:
                (one,) = entries
                return one


@asynccontextmanager
async def serving(folder: Path, model: str, *, priced: str = "fake/*") -> AsyncIterator[Surfaces]:
    async with SimServer() as upstream:
        config = Config.model_validate(
            {
                "http": {"address": "127.0.0.1:0"},
                "grpc": {"address": "127.0.0.1:0"},
                "providers": {"fake": {"kind": "openai-compatible", "base_url": upstream.url}},
                "models": {"house": {"targets": [f"fake/{model}"]}},
                "catalog": {priced: {"prices": [{"input": 1, "output": 2}]}},
                "store": {"url": MEMORY},
                "routing": {"retries": 0},
            }
        )
        database = await opened(MEMORY)
        ledger = await Ledger.start(folder, database, segment_bytes=1 << 20, keep_free=0)
        one: Surfaces
        accounts = Accounts(MemoryLimiter(), lambda caller: one.limits, ledger)
        one = Surfaces(upstream, accounts, ledger, database)
        house = await build(config, {}, meter=accounts)

        async def owner(key: str) -> Caller:
            return OWNER

        entry = Entry(house.gateway, owner, ())
        stores = Stores(database, Seal(None), 60, 1 << 20)
        web = WebServer(entry, config.http, SERVICES, stores, metrics=None, shutdown_grace=1)
        rpc = RpcServer(entry, config.grpc)
        one.http = f"http://127.0.0.1:{await web.start()}"
        one.grpc = f"127.0.0.1:{await rpc.start()}"
        yield one
        await web.stop()
        await rpc.stop(1)
        await house.close()
        await accounts.close()
        await database.close()


@pytest.fixture
async def surfaces(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Surfaces]:
    """What plays the script that the test names, or `echo`."""
    async with serving(tmp_path, getattr(request, "param", "echo")) as one:
        yield one


@pytest.fixture
async def unpriced(tmp_path: Path) -> AsyncIterator[Surfaces]:
    """As `surfaces`, where nothing that is asked has a price."""
    async with serving(tmp_path, "echo", priced="another") as one:
        yield one


@pytest.mark.parametrize("name", BODIES)
async def test_a_refusal_in_each_dialect(surfaces: Surfaces, name: str) -> None:
    """429, when to come back, how the limit stands, and the message where that dialect has it."""
    surfaces.limits.append(Limit("requests", Unit.REQUESTS, 1, rolling(60)))
    path, body = BODIES[name]
    async with httpx.AsyncClient(base_url=surfaces.http) as client:
        await client.post("/v1/chat/completions", json=BODIES["openai"][1])
        answer = await client.post(path, json=body)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 61
    assert answer.headers["x-ratelimit-limit-requests"] == "1"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    told = answer.json()
    message = told["message"] if name == "native" else told["error"]["message"]
    assert message.startswith("The key's limit of 1 request a minute is reached: 0 left. Try again in ")
    match name:
        case "openai" | "completions" | "embeddings" | "responses":
            assert told["error"]["code"] == "rate_limit_exceeded"
        case "anthropic":
            assert (told["type"], told["error"]["type"]) == ("error", "rate_limit_error")
        case "gemini":
            assert told["error"]["status"] == "RESOURCE_EXHAUSTED"
        case "openrouter":
            assert told["error"]["code"] == 429
        case "native":
            assert any(detail["@type"].endswith("RetryInfo") for detail in told["details"])
    assert len(surfaces.upstream.requests) == 1
    assert len(await surfaces.entries()) == 1


@pytest.mark.parametrize("name", BODIES)
async def test_no_money_left_in_each_dialect(surfaces: Surfaces, name: str) -> None:
    """It is told apart from being too fast: clients do not try again by themselves."""
    surfaces.limits.append(BROKE)
    path, body = BODIES[name]
    async with httpx.AsyncClient(base_url=surfaces.http) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code in {402, 403, 429}
    assert "The key's limit of $0.00 in all is too low for this call" in answer.text
    assert name == "native" or answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert surfaces.upstream.requests == []


async def test_a_refusal_over_grpc(surfaces: Surfaces) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo, and which quota it was."""
    surfaces.limits.append(Limit("requests", Unit.REQUESTS, 1, rolling(60)))
    async with grpc.aio.insecure_channel(surfaces.grpc) as channel:
        stub = chat_pb2_grpc.ChatServiceStub(channel)
        await stub.Chat(asking(model="house"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Chat(asking(model="house"))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers = dict(caught.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])  # type: ignore[arg-type]
    kinds = {detail.TypeName() for detail in status.details}
    assert "google.rpc.RetryInfo" in kinds
    assert "google.rpc.QuotaFailure" in kinds
    quota = error_details_pb2.QuotaFailure()
    assert any(detail.Unpack(quota) for detail in status.details)
    assert "limit of 1 request a minute" in quota.violations[0].description


@pytest.mark.parametrize("name", [name for name in BODIES if name != "embeddings"])
async def test_every_surface_is_recorded(surfaces: Surfaces, name: str) -> None:
    """Under its own name, with what the provider told."""
    path, body = BODIES[name]
    async with httpx.AsyncClient(base_url=surfaces.http) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 200
    (entry,) = await surfaces.entries()
    expected = {"completions": "openai", "openrouter": "openai"}.get(name, name)
    assert (entry.surface, entry.outcome) == (expected, "ok")
    assert entry.call_id == answer.headers["x-request-id"]
    assert entry.cost.total_nanos == entry.usage.input_tokens * 1_000 + entry.usage.output_tokens * 2_000 > 0
    assert not entry.usage_estimated


@pytest.mark.parametrize("surfaces", ["long:tokens=100000,delay=0.001"], indirect=True)
@pytest.mark.parametrize("name", ["openai", "completions", "responses", "anthropic", "gemini", "openrouter"])
async def test_a_client_that_goes_away_pays_for_what_came(surfaces: Surfaces, name: str) -> None:
    """By an estimate that is marked as such; its slot is free then, and the provider was stopped."""
    slot = Limit("streams", Unit.STREAMS, 1, HELD)
    surfaces.limits.append(slot)
    path, body = BODIES[name]
    body = {**body, "stream": True} | ({"max_tokens": 100_000} if name == "anthropic" else {})
    if name == "gemini":
        path, body = path.replace("generateContent", "streamGenerateContent?alt=sse"), BODIES[name][1]
    async with httpx.AsyncClient(base_url=surfaces.http) as client:
        async with client.stream("POST", path, json=body) as answer:
            assert answer.status_code == 200
            got = 0
            async for line in answer.aiter_lines():
                got += line.startswith("data: ")
                if got == 50:
                    break
        await surfaces.upstream.replies_reach(0)
        entry = await surfaces.first_entry()
    assert (entry.outcome, entry.usage_estimated) == ("cancelled", True)
    assert 10 < entry.usage.output_tokens < 100_000
    assert entry.cost.total_nanos == entry.usage.input_tokens * 1_000 + entry.usage.output_tokens * 2_000


@pytest.mark.parametrize("surfaces", ["long:tokens=100000,delay=0.001"], indirect=True)
async def test_a_client_of_grpc_that_goes_away_pays_for_what_came(surfaces: Surfaces) -> None:
    """As one over HTTP."""
    async with grpc.aio.insecure_channel(surfaces.grpc) as channel:
        stream = chat_pb2_grpc.ChatServiceStub(channel).StreamChat(asking(model="house"))
        for _ in range(20):
            await stream.read()
        stream.cancel()
        await surfaces.upstream.replies_reach(0)
    entry = await surfaces.first_entry()
    assert (entry.outcome, entry.usage_estimated) == ("cancelled", True)
    assert entry.usage.output_tokens > 5


@pytest.mark.parametrize("surfaces", ["fault/cut/long:tokens=50,delay=0,after=20"], indirect=True)
async def test_a_stream_that_broke_is_charged_for_what_came(surfaces: Surfaces) -> None:
    """Its caller is told that it failed, without an end."""
    async with httpx.AsyncClient(base_url=surfaces.http) as client:
        answer = await client.post("/v1/chat/completions", json={**BODIES["openai"][1], "stream": True})
    assert "[DONE]" not in answer.text
    assert '"error"' in answer.text
    (entry,) = await surfaces.entries()
    assert entry.outcome not in {"ok", "cancelled"}
    assert entry.usage_estimated
    assert 0 < entry.usage.output_tokens <= 50
    assert entry.cost.total_nanos >= DOLLAR // 10**6


async def test_every_call_has_its_price(surfaces: Surfaces) -> None:
    """The second one, for which less is looked up, as the first."""
    surfaces.limits.append(Limit("money", Unit.MONEY, 10**12, TOTAL))
    async with httpx.AsyncClient(base_url=surfaces.http) as client:
        for _ in range(3):
            assert (await client.post("/v1/chat/completions", json=BODIES["openai"][1])).status_code == 200
    entries = await surfaces.entries()
    assert len({entry.cost.total_nanos for entry in entries}) == 1
    assert all(entry.price_version for entry in entries)


async def test_done_is_told_once(surfaces: Surfaces) -> None:
    """A stream whose client saw `[DONE]` is in the ledger before the client can ask."""
    async with httpx.AsyncClient(base_url=surfaces.http) as client:
        answer = await client.post("/v1/chat/completions", json={**BODIES["openai"][1], "stream": True})
    lines = [line for line in answer.text.splitlines() if line]
    assert lines.count("data: [DONE]") == 1
    assert json.loads(lines[0].removeprefix("data: "))["model"]
    assert len(await surfaces.entries()) == 1


def _usages(text: str) -> list[dict[str, Any]]:
    """Every usage that a stream tells."""
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    told = [event.get("usage") or (event.get("response") or {}).get("usage") for event in events]
    return [usage for usage in told if usage]


def _dollars_of(usage: dict[str, Any]) -> float:
    """What the tokens of a usage cost at the configured prices."""
    read = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    return float((read + 2 * usage.get("completion_tokens", usage.get("output_tokens", 0))) / 1e6)


@pytest.mark.parametrize(
    ("name", "streamed"),
    [(name, streamed) for name in ("openai", "completions", "responses", "anthropic") for streamed in (False, True)]
    + [("embeddings", False)],
)
async def test_openrouters_usage_tells_the_cost(surfaces: Surfaces, name: str, streamed: bool) -> None:
    """The same that the ledger has, in whole answers and at the end of streams."""
    path, body = BODIES[name]
    body = {**body, "model": "fake/embed" if name == "embeddings" else "house"}
    async with httpx.AsyncClient(base_url=f"{surfaces.http}/api") as client:
        answer = await client.post(path, json={**body, **({"stream": True} if streamed else {})})
    assert answer.status_code == 200, answer.text
    usage = _usages(answer.text)[-1] if streamed else answer.json()["usage"]
    (entry,) = await surfaces.entries()
    assert usage["cost"] == entry.cost.total_nanos / DOLLAR == pytest.approx(_dollars_of(usage))
    assert usage["is_byok"] is False
    details = usage["cost_details"]
    parts = details["upstream_inference_prompt_cost"] + details["upstream_inference_completions_cost"]
    assert parts == pytest.approx(details["upstream_inference_cost"]) == pytest.approx(usage["cost"])


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["openai", "completions"])
async def test_the_cost_is_told_elsewhere_to_who_asks(surfaces: Surfaces, name: str, streamed: bool) -> None:
    """By OpenRouter's `usage.include`; and to nobody else."""
    path, body = BODIES[name]
    options = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
    async with httpx.AsyncClient(base_url=surfaces.http) as client:
        silent = await client.post(path, json={**body, **options})
        asked = await client.post(path, json={**body, "stream": streamed, "usage": {"include": True}})
    told = [_usages(one.text)[-1] if streamed else one.json()["usage"] for one in (silent, asked)]
    assert "cost" not in told[0]
    assert told[1]["cost"] == pytest.approx(_dollars_of(told[1]))


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_has_no_price_has_no_cost(unpriced: Surfaces, streamed: bool) -> None:
    """Rather than one of zero, which what is free has."""
    path, body = BODIES["openrouter"]
    async with httpx.AsyncClient(base_url=unpriced.http) as client:
        answer = await client.post(path, json={**body, "stream": streamed})
    usage = _usages(answer.text)[-1] if streamed else answer.json()["usage"]
    assert usage["prompt_tokens"]
    assert not {"cost", "cost_details", "is_byok"} & usage.keys()
