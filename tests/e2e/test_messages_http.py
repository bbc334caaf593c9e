"""Anthropic's surface on the wire: its paths, versions, betas, errors, counts and models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import pytest
from e2e.conftest import KEY, Running, Start, running
from fakes import anthropic_server, cohere_server
from fakes.anthropic_server import AnthropicServer
from fakes.cohere_server import CohereServer

ASKED: dict[str, Any] = {
    "model": "fake/echo",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello there"}],
}


@pytest.fixture
async def upstream() -> AsyncIterator[AnthropicServer]:
    """Anthropic itself."""
    async with AnthropicServer() as server:
        yield server


@pytest.fixture
async def house(upstream: AnthropicServer) -> AsyncIterator[Running]:
    """A gateway in front of it."""
    provider = {"kind": "anthropic", "base_url": upstream.url, "api_key": anthropic_server.KEY}
    async with running(providers={"claude": provider}, models={}) as one:
        yield one


async def post(house: Running, path: str, body: Any, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=house.url) as http:
        return await http.post(
            path, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages",
        "/v1/messages?beta=true",
        "/messages",
        "/v1/v1/messages",
        "/api/v1/messages",
        "/anthropic/v1/messages",
    ],
)
async def test_every_base_that_clients_build(gateway: Running, path: str) -> None:
    """With the version in the base URL, without it, or with it twice."""
    reply = await post(gateway, path, ASKED, anthropic_version="2023-06-01")

    assert reply.status_code == 200
    assert reply.json()["content"] == [{"type": "text", "text": "Hello there"}]
    assert reply.headers["request-id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
async def test_keys_come_in_any_header(start: Start, header: str) -> None:
    """The key's header tells nothing about the caller."""
    async with start(keys=[{"name": "team", "key": KEY}]) as gateway:
        value = f"Bearer {KEY}" if header == "authorization" else KEY
        let_in = await post(gateway, "/v1/messages", ASKED, **{header: value})
        refused = await post(gateway, "/v1/messages", ASKED)

    assert let_in.status_code == 200
    assert refused.status_code == 401
    assert refused.json()["error"]["type"] == "authentication_error"


async def test_betas_and_versions(house: Running, upstream: AnthropicServer) -> None:
    """The betas of the caller's header reach Anthropic, once each; any version is borne."""
    body = {**ASKED, "model": "claude/claude-opus-4-6"}
    reply = await post(
        house,
        "/v1/messages",
        body,
        anthropic_version="2026-10-21",
        anthropic_beta="a-2025-01-01, b-2025-01-01,a-2025-01-01",
    )

    assert reply.status_code == 200
    assert upstream.requests[-1].headers["anthropic-beta"] == "a-2025-01-01,b-2025-01-01"
    assert "anthropic_beta" not in upstream.requests[-1].body


async def test_other_providers_are_told_of_no_beta(gateway: Running) -> None:
    """What only Anthropic understands is in the loss report."""
    reply = await post(gateway, "/v1/messages", ASKED, anthropic_beta="a-2025-01-01")

    assert reply.headers["x-trunkline-dropped"] == "anthropic_beta"
    assert b"anthropic_beta" not in gateway.upstream.requests[-1].body


async def test_threads_are_refused_as_anthropic_does(gateway: Running) -> None:
    """Anthropic's SDKs then go on without."""
    reply = await post(gateway, "/v1/messages", {**ASKED, "thread": {"type": "create"}})

    assert reply.status_code == 400
    assert reply.json()["error"]["details"] == {"error_code": "thread_unsupported_request"}


async def test_errors_have_anthropics_envelope(gateway: Running) -> None:
    """Statuses, types and the id of the request."""
    wrong = await post(gateway, "/v1/messages", {**ASKED, "temperature": "hot"})
    unknown = await post(gateway, "/v1/messages", {**ASKED, "model": "nobody/none"})
    busy = await post(gateway, "/v1/messages", {**ASKED, "model": "fake/fault/overloaded-503"})
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        broken = await http.post("/v1/messages", content=b"{")
        lost = await http.get("/v1/messages/nothing")
        method = await http.get("/v1/messages")

    replies = (wrong, unknown, busy, broken, lost, method)
    assert [reply.status_code for reply in replies] == [400, 404, 529, 400, 404, 405]
    kinds = [reply.json()["error"]["type"] for reply in replies]
    bad = "invalid_request_error"
    assert kinds == [bad, "not_found_error", "overloaded_error", bad, "not_found_error", bad]
    assert all(reply.json()["type"] == "error" for reply in replies)
    assert wrong.json()["request_id"] == wrong.headers["request-id"]
    assert "temperature" in wrong.json()["error"]["message"]


async def test_tokens_are_counted_by_the_provider_or_else_estimated(gateway: Running) -> None:
    """An estimate is told to be one."""
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="none") as client:
        counted = await client.messages.count_tokens(model="fake/echo", messages=ASKED["messages"])
    reply = await post(gateway, "/v1/messages/count_tokens", {"model": "fake/echo", "messages": ASKED["messages"]})

    assert counted.input_tokens > 0
    assert reply.headers["x-trunkline-estimated"] == "input_tokens"


async def test_the_start_of_a_stream_tells_what_was_read(gateway: Running) -> None:
    """Clients show it; of a provider that tells it at the end, it is estimated, and the end is true."""
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="none") as client:
        stream = await client.messages.create(**ASKED, stream=True)
        events = [event async for event in stream]

    assert events[0].type == "message_start"
    assert events[0].message.usage.input_tokens > 0
    assert events[-2].type == "message_delta"
    assert events[-2].usage.input_tokens == 3
    assert events[-1].type == "message_stop"


async def test_silence_is_a_ping(start: Start) -> None:
    """A model that thinks does not look like a connection that hangs."""
    async with (
        start(http={"keep_alive": 0.05}) as gateway,
        httpx.AsyncClient(base_url=gateway.url) as http,
        http.stream("POST", "/v1/messages", json={**ASKED, "model": "fake/fault/stall", "stream": True}) as reply,
    ):
        async for line in reply.aiter_lines():
            if line.startswith("data:") and json.loads(line[5:])["type"] == "ping":
                break


async def test_models_in_the_callers_shape(gateway: Running) -> None:
    """The version in the header tells Anthropic's clients from OpenAI's; pages go both ways."""
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="none") as client:
        listed = [model.id async for model in client.models.list(limit=1)]
        page = await client.models.list(before_id="second-helps", limit=1)
        one = await client.models.retrieve("house-model")
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        plain = await http.get("/v1/models")
        google = await http.get("/v1/models", headers={"x-goog-api-key": "none"})
        wrong = await http.get("/v1/models?limit=x", headers={"anthropic-version": "2023-06-01"})

    assert listed == ["house-model", "second-helps"]
    assert [model.id for model in page.data] == ["house-model"]
    assert (one.type, one.id) == ("model", "house-model")
    assert plain.json()["object"] == "list"
    assert google.json()["models"][0]["name"] == "models/house-model"
    assert wrong.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/complete", "/v1/files", "/v1/messages/batches"])
async def test_what_is_not_served_is_refused_in_anthropics_form(gateway: Running, path: str) -> None:
    """Anthropic's SDKs read it from there."""
    reply = await post(gateway, path, {}, anthropic_version="2023-06-01")

    assert reply.status_code == 404
    assert (reply.json()["type"], reply.json()["error"]["type"]) == ("error", "not_found_error")


async def test_every_answer_names_its_model(start: Start) -> None:
    """Also that of a provider which does not tell it, whole and as a stream."""
    async with CohereServer() as server:
        provider = {"kind": "cohere", "base_url": server.url, "api_key": cohere_server.KEY}
        model = "command-a-03-2025"
        async with start(providers={"cohere": provider}, models={}) as gateway:
            asked = {**ASKED, "model": f"cohere/{model}"}
            whole = await post(gateway, "/v1/messages", asked)
            stream = await post(gateway, "/v1/messages", {**asked, "stream": True})

    assert whole.json()["model"] == model
    begun = json.loads(stream.text.split("data: ")[1].split("\n")[0])
    assert begun["message"]["model"] == model
