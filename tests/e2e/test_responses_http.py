"""Responses and Conversations over plain HTTP: what is refused, and how; headers; streams that are silent or left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from e2e.conftest import KEY, Running, Start

HELLO = {"model": "fake/echo", "input": "Hello"}


@pytest.fixture
async def http(gateway: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that asks nobody for a key."""
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        yield client


def told(answer: httpx.Response) -> dict[str, Any]:
    """OpenAI's error object."""
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()["error"]
    assert error.keys() >= {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "Hello"}, "model"),
        ({"model": "fake/echo"}, "input"),
        ({**HELLO, "input": 5}, "input"),
        ({**HELLO, "input": []}, "input"),
        ({**HELLO, "input": [5]}, "input[0]"),
        ({**HELLO, "input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({**HELLO, "input": [{"role": "nobody", "content": "x"}]}, "input[0].role"),
        ({**HELLO, "input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({**HELLO, "temperature": "hot"}, "temperature"),
        ({**HELLO, "tools": [{"type": "function"}]}, "tools[0].name"),
        ({**HELLO, "tool_choice": "never"}, "tool_choice"),
        ({**HELLO, "metadata": {"a": 1}}, "metadata"),
        ({**HELLO, "store": "yes"}, "store"),
        ({**HELLO, "background": True, "store": False}, "store"),
        ({**HELLO, "conversation": {}}, "conversation.id"),
        ({**HELLO, "previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id"),
        ({**HELLO, "previous_response_id": "resp_1"}, "previous_response_id"),
        ({**HELLO, "text": {"format": {"type": "json_schema"}}}, "text.format.name"),
    ],
)
async def test_a_bad_request_names_the_field(http: httpx.AsyncClient, body: dict[str, Any], param: str) -> None:
    """At both bases."""
    for base in ("/v1", "/api/v1"):
        answer = await http.post(f"{base}/responses", json=body)
        assert answer.status_code == 400
        error = told(answer)
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
        assert error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"model": NaN}'])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/input_tokens", "/v1/responses/compact"])
async def test_a_body_that_is_no_object(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    """It is refused in OpenAI's shape."""
    answer = await http.post(path, content=body)
    assert answer.status_code == 400
    told(answer)


async def test_what_nobody_knows_is_taken(http: httpx.AsyncClient) -> None:
    """Fields and headers that clients add never cause a refusal, nor do empty ones."""
    more = {"verbosity": "low", "client_metadata": {"a": 1}, "text": {}, "tools": [], "include": [], "session_id": "s"}
    answer = await http.post(
        "/v1/responses",
        json={**HELLO, **more, "instructions": None, "reasoning": None, "stream": False, "prompt_cache_key": "k"},
        headers={"x-codex-window-id": "w", "openai-beta": "responses=v9"},
    )
    assert answer.status_code == 200
    assert "client_metadata" in answer.headers["x-trunkline-dropped"]


async def test_an_unknown_model(http: httpx.AsyncClient) -> None:
    """It is not found, and the names that come near are told."""
    answer = await http.post("/v1/responses", json={**HELLO, "model": "house-modle"})
    assert answer.status_code == 404
    assert told(answer)["code"] == "model_not_found"
    assert "house-model" in told(answer)["message"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_response(http: httpx.AsyncClient, method: str) -> None:
    """It is not found, which is not said of a model."""
    answer = await http.request(method, "/v1/responses/resp_gone")
    assert answer.status_code == 404
    assert told(answer)["code"] is None
    assert "resp_gone" in told(answer)["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/responses", "POST"),
        ("PUT", "/v1/responses/resp_1", "DELETE, GET, HEAD"),
        ("DELETE", "/v1/responses/resp_1/cancel", "POST"),
        ("POST", "/api/v1/responses/resp_1/input_items", "GET, HEAD"),
        ("GET", "/v1/conversations", "POST"),
        ("PUT", "/v1/conversations/conv_1", "DELETE, GET, HEAD, POST"),
        ("PATCH", "/v1/conversations/conv_1/items/msg_1", "DELETE, GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_taken(http: httpx.AsyncClient, method: str, path: str, allowed: str) -> None:
    """The error says which are."""
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert told(answer)["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/v1/responses/a/b", "/v1/conversations/a/b", "/v1/conversations/a/items/b/c"])
async def test_a_path_that_is_not_there(http: httpx.AsyncClient, path: str) -> None:
    """It is refused at once, in OpenAI's shape."""
    answer = await http.get(path)
    assert answer.status_code == 404
    assert told(answer)["code"] == "unknown_url"


async def test_a_wrong_key(start: Start) -> None:
    """Every path asks for it, however it is presented."""
    async with (
        start(keys=[{"name": "caller", "key": KEY}]) as house,
        httpx.AsyncClient(base_url=house.url) as http,
    ):
        for method, path in (("POST", "/v1/responses"), ("GET", "/v1/responses/r"), ("GET", "/v1/conversations/c")):
            for headers in ({}, {"authorization": "Bearer sk-wrong"}, {"x-api-key": "sk-wrong"}):
                answer = await http.request(method, path, json=HELLO, headers=headers)
                assert answer.status_code == 401
                assert told(answer)["code"] == "invalid_api_key"
                assert "sk-wrong" not in answer.text
        answer = await http.post("/v1/responses", json=HELLO, headers={"x-api-key": KEY})
        assert answer.status_code == 200


async def test_a_body_that_is_too_large(start: Start) -> None:
    """It is refused by its status."""
    async with start(http={"max_body_bytes": 1000}) as house, httpx.AsyncClient(base_url=house.url) as http:
        answer = await http.post("/v1/responses", json={**HELLO, "input": "x" * 2000})
        assert answer.status_code == 413
        assert told(answer)["code"] == "request_too_large"


async def test_what_is_too_large_to_be_kept(start: Start) -> None:
    """It is answered where it need not be kept, and the error says so where it must."""
    async with (
        start(responses={"max_stored_bytes": 2000}) as house,
        httpx.AsyncClient(base_url=house.url) as http,
    ):
        long = {**HELLO, "input": "x" * 4000}
        answer = await http.post("/v1/responses", json=long)
        assert answer.status_code == 413
        assert "store: false" in told(answer)["message"]
        assert (await http.post("/v1/responses", json={**long, "store": False})).status_code == 200
        streamed = await http.post("/v1/responses", json={**long, "stream": True})
        assert "response.completed" not in streamed.text
        assert "response.failed" in streamed.text


async def test_the_headers_of_an_answer(http: httpx.AsyncClient) -> None:
    """Those that OpenAI's clients read, unary and streamed, and of an error."""
    unary = await http.post("/v1/responses", json=HELLO, headers={"x-request-id": "mine"})
    streamed = await http.post("/v1/responses", json={**HELLO, "stream": True})
    error = await http.get("/v1/responses/resp_gone")
    assert unary.headers["x-request-id"] == "mine"
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.headers["x-trunkline-provider"] == unary.headers["x-trunkline-provider"] == "fake"
    for answer in (unary, streamed):
        assert int(answer.headers["openai-processing-ms"]) >= 0
        assert answer.headers["openai-version"] == "2020-10-01"
    assert error.headers["x-request-id"]
    assert error.headers["x-should-retry"] == "false"


async def test_a_rate_limit_tells_when_to_come_back(http: httpx.AsyncClient) -> None:
    """Before the first event it is a status, streamed or not."""
    for stream in (False, True):
        body = {**HELLO, "model": "fake/fault/rate-limit", "stream": stream}
        answer = await http.post("/v1/responses", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert told(answer)["code"] == "rate_limit_exceeded"


async def test_a_silent_stream_shows_that_it_lives(start: Start) -> None:
    """A comment goes out while the model thinks; an error after it is told in the stream, with the gateway's id."""
    async with start(http={"keep_alive": 0.05}) as house, httpx.AsyncClient(base_url=house.url) as http:
        body = {**HELLO, "model": "fake/fault/error-500:wait=0.3", "stream": True}
        answer = await http.post("/v1/responses", json=body)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]

    assert answer.status_code == 200
    assert ": keep-alive" in answer.text
    assert [event["type"] for event in events] == ["error", "response.failed"]
    assert events[-1]["response"]["id"].startswith("resp_")
    assert events[-1]["response"]["created_at"] > 1_700_000_000


async def test_a_stream_that_was_left(gateway: Running, http: httpx.AsyncClient) -> None:
    """The provider is left when the client goes, unless the response runs in the background."""
    body = {**HELLO, "model": "fake/fault/stall", "stream": True}
    async with http.stream("POST", "/v1/responses", json=body) as answer:
        await anext(answer.aiter_lines())
    async with asyncio.timeout(30):
        await gateway.upstream.replies_reach(0)

    body = {**HELLO, "model": "fake/long", "stream": True, "background": True}
    async with http.stream("POST", "/v1/responses", json=body) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                response_id = json.loads(line[6:])["response"]["id"]
                break
    async with asyncio.timeout(30):
        while (await http.get(f"/v1/responses/{response_id}")).json()["status"] != "completed":
            pass


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("POST", "/v1/conversations", {"metadata": {"a": 1}}, "metadata"),
        ("POST", "/v1/conversations", {"items": "x"}, "items"),
        ("POST", "/v1/conversations", {"items": [1]}, "items[0]"),
        ("POST", "/v1/conversations", {"items": [{"role": "user", "content": "x"}] * 21}, "items"),
    ],
)
async def test_a_bad_conversation_names_the_field(
    http: httpx.AsyncClient, method: str, path: str, body: dict[str, Any], param: str
) -> None:
    """In OpenAI's shape."""
    answer = await http.request(method, path, json=body)
    assert (answer.status_code, told(answer)["param"]) == (400, param)


async def test_a_conversation_needs_no_body(http: httpx.AsyncClient) -> None:
    """It may begin with nothing."""
    made = (await http.post("/v1/conversations")).json()
    assert made["object"] == "conversation"
    listed = (await http.get(f"/v1/conversations/{made['id']}/items")).json()
    assert listed == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "order=up", "after=msg_gone"])
async def test_a_page_that_cannot_be(http: httpx.AsyncClient, query: str) -> None:
    """The error names what is wrong with the question."""
    made = (await http.post("/v1/conversations")).json()
    answer = await http.get(f"/v1/conversations/{made['id']}/items?{query}")
    assert (answer.status_code, told(answer)["param"]) == (400, query.partition("=")[0])


async def test_a_stream_that_cannot_be_resumed(http: httpx.AsyncClient) -> None:
    """A response that did not run in the background has no stream to come back to; a place is a number."""
    name = (await http.post("/v1/responses", json=HELLO)).json()["id"]
    answer = await http.get(f"/v1/responses/{name}?stream=true")
    assert (answer.status_code, told(answer)["param"]) == (400, "stream")
    name = (await http.post("/v1/responses", json={**HELLO, "background": True})).json()["id"]
    answer = await http.get(f"/v1/responses/{name}?stream=true&starting_after=x")
    assert (answer.status_code, told(answer)["param"]) == (400, "starting_after")
