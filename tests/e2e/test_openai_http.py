"""OpenAI's surface as raw HTTP, held to OpenAI's own description."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e.conftest import KEY, Running, Start
from fakes.sim_server import SimServer
from jsonschema import Draft202012Validator

from trunkline.dialects.wire import dumps

SPEC = json.loads((Path(__file__).parents[1] / "spec" / "openai_chat.json").read_text())


def _as_json_schema(value: Any) -> Any:
    """OpenAPI 3.0's `nullable` as JSON Schema has it."""
    if isinstance(value, list):
        return [_as_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {key: _as_json_schema(item) for key, item in value.items() if key != "nullable"}
    return {"anyOf": [schema, {"type": "null"}]} if value.get("nullable") is True else schema


SCHEMAS = _as_json_schema(SPEC)


def assert_valid(name: str, value: Any) -> None:
    """`value` is what OpenAI's schema `name` describes."""
    schema = {"$ref": f"#/components/schemas/{name}", **SCHEMAS}
    errors = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]

    assert errors == []


def chat(model: str, **fields: Any) -> dict[str, Any]:
    """A request with one message."""
    return {"model": model, "messages": [{"role": "user", "content": "Hello there"}], **fields}


async def post(gateway: Running, body: Any, *, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    """Send one request."""
    content = body if isinstance(body, bytes) else dumps(body)
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(gateway.url + path, content=content, headers=headers)


def chunks_of(text: str) -> list[dict[str, Any]]:
    """The chunks of a whole stream."""
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]

    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
SCRIPTS = [
    chat("sim/echo"),
    chat("fake/echo"),
    chat("fake:echo"),
    chat("house-model"),
    chat("fake/echo", n=3),
    chat("fake/echo", logprobs=True, top_logprobs=2),
    chat("fake/tool", tools=[WEATHER]),
    chat("fake/reasoning"),
    chat("fake/refusal"),
    chat("fake/json", response_format={"type": "json_object"}),
    chat("fake/echo", max_completion_tokens=1),
]


@pytest.mark.parametrize("request_", SCRIPTS, ids=lambda body: str(sorted(body.items()))[:60])
async def test_answers_are_what_openai_describes(gateway: Running, request_: dict[str, Any]) -> None:
    """Every unary answer validates, and so does every chunk of the same answer streamed, which says the same."""
    unary = await post(gateway, request_)
    streamed = await post(gateway, {**request_, "stream": True, "stream_options": {"include_usage": True}})
    body, chunks = unary.json(), chunks_of(streamed.text)

    assert unary.status_code == streamed.status_code == 200
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert_valid("CreateChatCompletionResponse", body)
    for chunk in chunks:
        assert_valid("CreateChatCompletionStreamResponse", chunk)
        assert chunk["id"] == chunks[0]["id"]
        assert all("finish_reason" in choice for choice in chunk["choices"])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == body["usage"]
    assert all("usage" not in chunk for chunk in chunks[:-1])
    for choice in body["choices"]:
        own = [c for chunk in chunks for c in chunk["choices"] if c["index"] == choice["index"]]
        assert own[0]["delta"]["role"] == "assistant"
        text = "".join(one["delta"].get("content") or "" for one in own)
        assert text == (choice["message"]["content"] or "")
        assert own[-1]["finish_reason"] == choice["finish_reason"]


async def test_usage_is_streamed_only_where_asked_for(gateway: Running) -> None:
    """Without `include_usage` no chunk has usage and the last one has a finish reason."""
    chunks = chunks_of((await post(gateway, chat("fake/echo", stream=True))).text)

    assert all("usage" not in chunk for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_models_are_listed_as_openai_describes(gateway: Running) -> None:
    """The list, its entries and both paths, of which OpenRouter's tells more; a name with slashes is one name."""
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        listed = (await client.get("/v1/models")).json()
        alias = (await client.get("/api/v1/models")).json()
        one = await client.get("/v1/models/house-model")
        direct = await client.get("/v1/models/fake/fault/cut")
        unknown = await client.get("/v1/models/nothing")

    assert_valid("ListModelsResponse", listed)
    assert_valid("Model", one.json())
    assert {model["id"] for model in listed["data"]} == {"house-model", "second-helps"}
    assert all(entry.items() <= more.items() for entry, more in zip(listed["data"], alias["data"], strict=True))
    assert direct.json()["id"] == "fake/fault/cut"
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "model_not_found"


async def test_the_path_of_openrouter_answers_too(gateway: Running) -> None:
    """`/api/v1` is an alias of `/v1`."""
    answer = await post(gateway, chat("fake/echo"), path="/api/v1/chat/completions")

    assert answer.json()["choices"][0]["message"]["content"] == "Hello there"


FULL = {
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 1000,
    "metadata": {"b": "1", "a": "2"},
    "modalities": ["text"],
    "moderation": {"x": 1},
    "n": 1,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "Hi"},
    "presence_penalty": -0.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"ttl": "1h"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "x": 1}},
    "safety_identifier": "s",
    "seed": 2**60,
    "service_tier": "flex",
    "stop": ["never"],
    "store": True,
    "temperature": 0.7,
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "tools": [WEATHER],
    "top_logprobs": 3,
    "top_p": 0.9,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
    "my_own": {"z": 123456789012345678901234567890, "a": [None, 1.5], "nested": {"y": 1, "x": 2}},
}


async def test_every_field_reaches_an_openai_upstream_unchanged(gateway: Running) -> None:
    """Each field of OpenAI's description, and one that nobody knows, key order and big integers included."""
    properties = set()
    for schema in ("CreateChatCompletionRequest", "CreateModelResponseProperties", "ModelResponseProperties"):
        found = SPEC["components"]["schemas"].get(schema, {})
        for part in [found, *found.get("allOf", [])]:
            properties |= part.get("properties", {}).keys()
    replaced = {"model", "messages", "max_tokens", "stream", "stream_options", "functions", "function_call"}
    answer = await post(gateway, chat("fake/request", **FULL))
    sent = json.loads(gateway.upstream.requests[-1].body)

    assert answer.status_code == 200, answer.text
    assert properties <= FULL.keys() | replaced
    for name, value in FULL.items():
        upstream = "max_tokens" if name == "max_completion_tokens" else name
        assert json.dumps(sent[upstream]) == json.dumps(value), name


ERRORS = {
    "fake/fault/rate-limit": (429, "rate_limit_exceeded"),
    "fake/fault/quota": (429, "insufficient_quota"),
    "fake/fault/error-500": (502, "provider_error"),
    "fake/fault/overloaded-503": (503, "provider_unavailable"),
    "fake/fault/unauthorized": (502, "provider_unauthenticated"),
    "fake/fault/not-found": (404, "model_not_found"),
    "fake/fault/context-length": (400, "context_length_exceeded"),
    "fake/fault/content-filter": (400, "content_filter"),
    "fake/fault/invalid-request": (400, "unsupported_parameter"),
    "fake/fault/html-error": (502, "provider_error"),
    "fake/fault/empty": (502, "provider_error"),
    "fake/fault/truncated-json": (502, "provider_error"),
    "dead/echo": (503, "provider_unavailable"),
    "nobody/echo": (404, "model_not_found"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("model", ERRORS)
async def test_errors_before_the_answer_have_a_status(gateway: Running, model: str, stream: bool) -> None:
    """A failure before the first event is a real HTTP status with OpenAI's error object, streamed or not."""
    if model == "fake/fault/truncated-json" and stream:
        model = "fake/fault/empty"
    status, code = ERRORS[model]
    answer = await post(gateway, chat(model, stream=stream))

    assert answer.status_code == status, answer.text
    assert_valid("ErrorResponse", answer.json())
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-request-id"]
    if status == 429 and code == "rate_limit_exceeded":
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("fault", ["cut", "cut-clean", "error-in-stream", "malformed-line"])
async def test_a_broken_stream_never_looks_finished(gateway: Running, fault: str) -> None:
    """After the first event an error is an object in the stream; no `[DONE]`, no finish reason."""
    answer = await post(gateway, chat(f"fake/fault/{fault}:delay=0.01", stream=True))
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]

    assert answer.status_code == 200
    assert "[DONE]" not in events
    assert_valid("ErrorResponse", json.loads(events[-1]))
    assert all(c["finish_reason"] is None for event in events[:-1] for c in json.loads(event)["choices"])


@pytest.mark.parametrize("fault", ["duplicate-usage", "split-utf8", "slow-drip:delay=0", "wrong-content-type"])
async def test_an_odd_stream_that_is_whole_is_whole(gateway: Running, fault: str) -> None:
    """What is only odd about a stream does not reach the caller."""
    answer = await post(gateway, chat(f"fake/fault/{fault}", stream=True, stream_options={"include_usage": True}))
    chunks = chunks_of(answer.text)

    assert sum("usage" in chunk for chunk in chunks) == 1


async def test_another_target_answers_where_the_first_fails(gateway: Running) -> None:
    """The targets of a name are tried in order, and the answer says who gave it."""
    answer = await post(gateway, chat("second-helps"))

    assert answer.status_code == 200
    assert answer.headers["x-trunkline-provider"] == "fake"
    assert len(gateway.upstream.requests) == 2


async def test_silence_is_filled_with_comments(start: Start) -> None:
    """A stream whose provider is silent gets comment lines, before its first event and after it."""
    async with (
        start(http={"address": "127.0.0.1:0", "keep_alive": 0.05}) as gateway,
        httpx.AsyncClient(timeout=30) as client,
    ):
        for model in ("fake/fault/hang", "fake/fault/stall"):
            async with client.stream(
                "POST", f"{gateway.url}/v1/chat/completions", json=chat(model, stream=True)
            ) as answer:
                comments = 0
                async for line in answer.aiter_lines():
                    comments += line == ": keep-alive"
                    if comments == 3:
                        break

            assert answer.status_code == 200
            await gateway.upstream.replies_reach(0)


async def test_a_client_that_leaves_stops_the_upstream(gateway: Running) -> None:
    """Closing the connection, before the headers or in the middle of a stream, ends the provider's work at once."""
    async with httpx.AsyncClient(timeout=30) as client:
        hanging = asyncio.create_task(client.post(f"{gateway.url}/v1/chat/completions", json=chat("fake/fault/hang")))
        await gateway.upstream.replies_reach(1)
        hanging.cancel()
        await gateway.upstream.replies_reach(0)
        async with client.stream(
            "POST", f"{gateway.url}/v1/chat/completions", json=chat("fake/fault/stall", stream=True)
        ) as answer:
            await anext(answer.aiter_lines())

            assert gateway.upstream.open_replies == 1
        await gateway.upstream.replies_reach(0)


async def test_the_callers_deadline_is_kept(gateway: Running) -> None:
    """`x-trunkline-timeout` ends a call whose provider is silent."""
    answer = await post(gateway, chat("fake/fault/hang"), **{"x-trunkline-timeout": "0.05"})
    wrong = await post(gateway, chat("fake/echo"), **{"x-trunkline-timeout": "soon"})

    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "timeout"
    assert wrong.status_code == 400
    assert wrong.json()["error"]["param"] == "x-trunkline-timeout"


async def test_keys_are_asked_for(start: Start) -> None:
    """With keys configured a caller needs one, under any of the three headers that clients use."""
    async with start(keys=[{"name": "team", "key": KEY}]) as gateway:
        without = await post(gateway, chat("fake/echo"))
        wrong = await post(gateway, chat("fake/echo"), authorization="Bearer sk-wrong-key-0123456789")
        headers = [{"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}, {"x-goog-api-key": KEY}]
        right = [await post(gateway, chat("fake/echo"), **header) for header in headers]

    assert [without.status_code, wrong.status_code] == [401, 401]
    assert without.json()["error"]["code"] == wrong.json()["error"]["code"] == "invalid_api_key"
    assert "sk-wrong-key-0123456789" not in wrong.text
    assert [answer.status_code for answer in right] == [200, 200, 200]


async def test_the_gateways_key_goes_upstream_and_nowhere_else(gateway: Running) -> None:
    """The caller's headers are his own; the provider sees the configured key."""
    await post(gateway, chat("fake/echo"), authorization="Bearer of-the-caller", traceparent="bad\u0000"[:3])

    assert gateway.upstream.requests[-1].headers["authorization"] == "Bearer sk-upstream"


async def test_a_request_id_is_kept_or_made(gateway: Running) -> None:
    """A sane `x-request-id` comes back; anything else is replaced."""
    kept = await post(gateway, chat("fake/echo"), **{"x-request-id": "my-id-1"})
    made = await post(gateway, chat("fake/echo"), **{"x-request-id": "x" * 500})

    assert kept.headers["x-request-id"] == "my-id-1"
    assert made.headers["x-request-id"].startswith("req_")


async def test_what_a_provider_cannot_take_is_told(start: Start) -> None:
    """A field that the target has no word for is named in the answer's headers; strict callers are refused instead."""
    async with SimServer() as upstream:
        anthropic = {"kind": "anthropic", "base_url": upstream.url, "api_key": "k"}
        async with start(providers={"other": anthropic}, models={}) as gateway:
            body = chat("other/claude-sonnet-4-5", logit_bias={"1": 1}, seed=7, my_own={"x": 1})
            told = await post(gateway, body)
            refused = await post(gateway, body, **{"x-trunkline-strict": "true"})

    assert set(told.headers["x-trunkline-dropped"].split(", ")) >= {"logit_bias", "seed", "my_own"}
    assert len(upstream.requests) == 1
    assert b"my_own" not in upstream.requests[0].body
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unsupported_parameter"
