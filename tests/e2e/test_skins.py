"""The official OpenAI SDK below each mount, and what each router's clients look for there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from e2e.conftest import KEY, Running, Start

MESSAGES: Any = [{"role": "user", "content": "Hello there"}]
MOUNTS = {
    "openai": "/v1",
    "openrouter": "/api/v1",
    "tokenrouter": "/tr/v1",
    "routic": "/routic/v1",
    "routing_run": "/run/v1",
}
MOUNTED = pytest.mark.parametrize("name", MOUNTS)

OWN_FIELDS = {
    "openai": {"provider", "latency_ms", "routing_mode", "x_request_id"},
    "openrouter": {"provider"},
    "tokenrouter": {"provider", "latency_ms", "routing_mode", "x_request_id"},
    "routic": {"provider", "latency_ms", "routing_mode", "x_request_id"},
    "routing_run": {"provider", "latency_ms", "upstream_id"},
}
"""What an answer has beyond OpenAI's own fields."""

FAULTS: dict[str, tuple[dict[str, Any], dict[str, tuple[int, Any]]]] = {
    "a name that is no model's": (
        {"model": "nothing"},
        {
            "openai": (404, "model_not_found"),
            "openrouter": (400, 400),
            "tokenrouter": (400, "model_not_found"),
            "routic": (400, "invalid_model"),
            "routing_run": (400, "INVALID_MODEL"),
        },
    ),
    "nobody left": (
        {"model": "fake/echo", "extra_body": {"provider": {"only": ["nobody"]}}},
        {
            "openai": (404, "model_not_found"),
            "openrouter": (404, 404),
            "tokenrouter": (422, "model_not_found"),
            "routic": (404, "not_found"),
            "routing_run": (404, "NOT_FOUND"),
        },
    ),
    "a bad request": (
        {"model": "fake/echo", "extra_body": {"models": 7}},
        {
            "openai": (400, None),
            "openrouter": (400, 400),
            "tokenrouter": (400, None),
            "routic": (400, "invalid_request_error"),
            "routing_run": (400, "INVALID_REQUEST"),
        },
    ),
    "a wrong key": (
        {"model": "fake/echo", "extra_headers": {"authorization": "Bearer sk-wrong-0123456789"}},
        {
            "openai": (401, "invalid_api_key"),
            "openrouter": (401, 401),
            "tokenrouter": (401, "invalid_api_key"),
            "routic": (401, "invalid_api_key"),
            "routing_run": (401, "AUTHENTICATION_ERROR"),
        },
    ),
    "a provider's limit": (
        {"model": "fake/fault/rate-limit"},
        {
            "openai": (429, "rate_limit_exceeded"),
            "openrouter": (429, 429),
            "tokenrouter": (429, "rate_limit_exceeded"),
            "routic": (429, "rate_limit_exceeded"),
            "routing_run": (429, "RATE_LIMIT_ERROR"),
        },
    ),
    "no money": (
        {"model": "fake/fault/quota"},
        {
            "openai": (429, "insufficient_quota"),
            "openrouter": (402, 402),
            "tokenrouter": (403, "insufficient_quota"),
            "routic": (402, "insufficient_quota"),
            "routing_run": (502, "PROVIDER_ERROR"),
        },
    ),
    "a provider's failure": (
        {"model": "fake/fault/error-500"},
        {
            "openai": (502, "provider_error"),
            "openrouter": (502, 502),
            "tokenrouter": (502, "provider_error"),
            "routic": (502, "provider_error"),
            "routing_run": (502, "PROVIDER_ERROR"),
        },
    ),
    "a provider that is too slow": (
        {"model": "fake/fault/hang", "extra_headers": {"x-trunkline-timeout": "0.3"}},
        {
            "openai": (504, "timeout"),
            "openrouter": (504, 504),
            "tokenrouter": (504, "timeout"),
            "routic": (504, "timeout"),
            "routing_run": (504, "PROVIDER_TIMEOUT"),
        },
    ),
    "a conversation that is too long": (
        {"model": "fake/fault/context-length"},
        {
            "openai": (400, "context_length_exceeded"),
            "openrouter": (400, 400),
            "tokenrouter": (400, "context_length_exceeded"),
            "routic": (400, "context_length_exceeded"),
            "routing_run": (400, "CONTEXT_LENGTH_EXCEEDED"),
        },
    ),
}
"""What is asked -> for each router the status, and the code, which the SDK finds in the body or we in a header."""


@pytest.fixture
async def house(start: Start) -> AsyncIterator[Running]:
    """A gateway with every mount, and a key."""
    own = {path: name for name, path in MOUNTS.items() if name not in ("openai", "openrouter")}
    async with start(http={"address": "127.0.0.1:0", "mounts": own}, keys=[{"name": "client", "key": KEY}]) as one:
        yield one


def sdk(house: Running, name: str) -> openai.AsyncOpenAI:
    """A client below the mount of that router, that does not repeat what fails."""
    return openai.AsyncOpenAI(base_url=house.url + MOUNTS[name], api_key=KEY, max_retries=0)


def own_fields(answer: Any) -> set[str]:
    """What the SDK found that its types do not have."""
    return set(answer.model_extra or {})


@MOUNTED
async def test_an_answer(house: Running, name: str) -> None:
    """It is OpenAI's, with the router's own fields beside."""
    async with sdk(house, name) as client:
        answer = await client.chat.completions.create(model="house-model", messages=MESSAGES)
        text = await client.completions.create(model="fake/echo", prompt="Hello there")
        vectors = await client.embeddings.create(model="fake/embed", input="Hello")
    extra = answer.model_extra or {}

    assert answer.choices[0].message.content == "Hello there"
    assert text.choices[0].text
    for one in (answer, text, vectors):
        assert own_fields(one) - {"id"} == OWN_FIELDS[name]
    assert answer.model == ("house-model" if name == "routing_run" else "echo")
    assert (answer.id.startswith("gen-"), extra["provider"]) == (name == "openrouter", "fake")
    assert extra.get("x_request_id", answer._request_id) == answer._request_id
    assert isinstance(extra.get("latency_ms", 0), int)


@MOUNTED
async def test_a_stream(house: Running, name: str) -> None:
    """Chunks are OpenAI's; who answered is in each, the rest in the last one, which is there where usage is told."""
    for usage in (True, False):
        async with sdk(house, name) as client:
            stream = await client.chat.completions.create(
                model="house-model", messages=MESSAGES, stream=True, stream_options={"include_usage": usage}
            )
            chunks = [chunk async for chunk in stream]
        last = chunks[-1]
        told = usage or name == "openrouter"

        assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "Hello there"
        assert len({(one.id, one.model) for one in chunks}) == 1
        assert all((one.model_extra or {})["provider"] == "fake" for one in chunks)
        assert (last.usage is not None) is told
        assert (own_fields(last) == OWN_FIELDS[name]) if told else bool(last.choices)
        assert last.model == ("house-model" if name == "routing_run" else "echo")


@MOUNTED
@pytest.mark.parametrize("what", FAULTS)
async def test_each_class_of_error(house: Running, name: str, what: str) -> None:
    """Status, code and shape are the router's, the same whether a stream was asked for."""
    asked, told = FAULTS[what]
    async with sdk(house, name) as client:
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError) as raised:
                await client.chat.completions.create(messages=MESSAGES, stream=stream, **asked)
            assert_told(raised.value, name, *told[name])


def assert_told(error: openai.APIStatusError, name: str, status: int, code: Any) -> None:
    """The error is told as the router of that name tells it."""
    found = error.response.headers.get("x-error-code") if name == "routing_run" else error.code

    assert (error.status_code, found) == (status, code if code is None else str(code))
    assert error.response.headers["x-request-id"]
    if name == "routing_run":
        assert error.response.headers["content-type"] == "text/plain; charset=utf-8"
        assert not error.response.text.startswith("{")
        return
    body = error.response.json()["error"]
    match name:
        case "openrouter":
            assert body["code"] == status
            assert isinstance(body["metadata"]["error_type"], str)
            assert error.response.headers["x-generation-id"].startswith("gen-")
        case "tokenrouter":
            assert body["http_status"] == status
        case "routic":
            assert body["request_id"] == error.response.headers["x-request-id"]
        case _:
            assert set(body) == {"message", "type", "param", "code"}


@MOUNTED
@pytest.mark.parametrize("fault", ["error-in-stream", "cut", "cut-clean", "truncated-json"])
async def test_a_stream_that_breaks_off(house: Running, name: str, fault: str) -> None:
    """It raises in the SDK after what came, and its last event is the router's own; no stream of them looks whole."""
    body = {"model": f"fake/fault/{fault}:delay=0.01", "messages": MESSAGES, "stream": True}
    async with sdk(house, name) as client:
        stream = await client.chat.completions.create(model=body["model"], messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as http:
        reply = await http.post(house.url + MOUNTS[name] + "/chat/completions", json=body)
    last = json.loads(reply.text.rstrip().rpartition("data: ")[2])

    assert reply.status_code == 200
    assert "[DONE]" not in reply.text
    assert last["error"]["message"]
    match name:
        case "openrouter":
            assert last["id"] == reply.headers["x-generation-id"]
            assert (last["object"], last["provider"]) == ("chat.completion.chunk", "fake")
            assert last["error"]["code"] == 502
            assert last["choices"][0]["finish_reason"] == "error"
            assert last["choices"][0]["delta"] == {"content": ""}
        case "tokenrouter":
            assert (last["error"]["http_status"], last["error"]["provider"]) == (502, "fake")
        case "routic":
            assert last["error"]["request_id"] == reply.headers["x-request-id"]
        case "routing_run":
            assert last == {"error": {"message": last["error"]["message"], "type": "api_error"}}
        case _:
            assert set(last["error"]) == {"message", "type", "param", "code"}


@MOUNTED
async def test_models(house: Running, name: str) -> None:
    """They are listed below each mount, and what is not there is refused in the router's own way."""
    async with sdk(house, name) as client:
        models = [model.id async for model in client.models.list()]
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nothing")
        with pytest.raises(openai.NotFoundError):
            await client.images.generate(prompt="A house")

    assert "house-model" in models


@MOUNTED
async def test_responses_and_messages(house: Running, name: str) -> None:
    """Below every mount Responses and Messages are answered, and refused by name."""
    async with sdk(house, name) as client:
        response = await client.responses.create(model="house-model", input="Hello there")
        with pytest.raises(openai.APIStatusError) as refused:
            await client.responses.create(model="nothing", input="Hello there")
    base = house.url + MOUNTS[name].removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=base, api_key=KEY, max_retries=0) as client_of_messages:
        message = await client_of_messages.messages.create(model="house-model", max_tokens=50, messages=MESSAGES)
        with pytest.raises(anthropic.APIStatusError) as not_found:
            await client_of_messages.messages.create(model="nothing", max_tokens=50, messages=MESSAGES)

    assert response.output_text == "Hello there"
    assert refused.value.status_code == (404 if name == "openai" else 400)
    assert message.content[0].type == "text"
    assert not_found.value.status_code == (400 if name in ("openrouter", "routing_run") else 404)
    if name == "tokenrouter":
        assert (response.metadata or {})["provider"] == "fake"
    if name == "openrouter":
        assert (message.model_extra or {})["provider"] == "fake"


async def test_the_route_is_told_who_asks(house: Running) -> None:
    """OpenRouter's header brings it: in an answer, in the last chunk, in Messages, and beside an error."""
    headers = {"authorization": f"Bearer {KEY}", "x-openrouter-metadata": "enabled"}
    chat = {"model": "second-helps", "messages": MESSAGES}
    async with httpx.AsyncClient(base_url=house.url + "/api/v1", headers=headers, timeout=30) as http:
        whole = (await http.post("/chat/completions", json=chat)).json()
        streamed = (await http.post("/chat/completions", json={**chat, "stream": True})).text
        said = (await http.post("/messages", json={**chat, "max_tokens": 5, "stream": True})).text
        failed = (await http.post("/chat/completions", json={**chat, "model": "fake/fault/error-500"})).json()
    route = whole["openrouter_metadata"]
    last = json.loads(streamed.split("data: ")[-2])
    stop = json.loads(said.rstrip().rpartition("data: ")[2])

    assert (route["requested"], route["attempt"], route["endpoints"]["total"]) == ("second-helps", 3, 3)
    assert [one["status"] for one in route["attempts"]] == [503, 0, 200]
    assert [one["selected"] for one in route["endpoints"]["available"]].count(True) == 1
    assert last["openrouter_metadata"]["requested"] == "second-helps"
    assert (stop["type"], stop["openrouter_metadata"]["requested"]) == ("message_stop", "second-helps")
    assert failed["openrouter_metadata"]["attempts"][0]["status"] == 500


async def test_what_extra_body_asks_of_the_route(house: Running) -> None:
    """Models to fall back on, providers to ask, and what a caller notes; none of it reaches the provider."""
    async with sdk(house, "openai") as client:
        answer = await client.chat.completions.create(
            model="nothing",
            messages=MESSAGES,
            user='{"task":"greeting"}',
            metadata={"team": "x"},
            extra_body={
                "models": ["fake/fault/overloaded-503", "fake/echo"],
                "provider": {"only": ["fake"], "sort": "latency", "max_price": {}, "data_collection": "allow"},
                "route": "fallback",
                "session_id": "s",
                "usage": {"include": True},
                "trace": {"id": "t"},
            },
            extra_headers={"HTTP-Referer": "https://app.example", "X-Title": "App"},
        )
    sent = json.loads(house.upstream.requests[-1].body)

    assert answer.choices[0].message.content == "Hello there"
    assert sent.keys() == {"model", "messages", "user", "metadata"}


async def test_a_response_of_the_background_that_fails(house: Running) -> None:
    """It is told as the path tells it by which it was asked for, though another call writes it."""
    asked = {"model": "fake/fault/error-500", "input": "Hello there", "background": True, "stream": True}
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=house.url, headers=headers, timeout=30) as http:
        told = (await http.post("/api/v1/responses", json=asked)).text
    response = json.loads(told.rstrip().rpartition("data: ")[2])["response"]

    assert response["status"] == "failed"
    assert response["error"]["code"] == "server_error"
    assert response["error_type"] == "provider_unavailable"


async def test_a_mount_in_the_place_of_the_usual(start: Start) -> None:
    """Who comes from another router keeps his base URL."""
    async with (
        start(http={"address": "127.0.0.1:0", "mounts": {"/v1": "routing_run"}}) as house,
        httpx.AsyncClient(base_url=house.url) as http,
    ):
        reply = await http.post("/v1/chat/completions", json={"model": "nothing", "messages": MESSAGES})

    assert (reply.status_code, reply.headers["x-error-code"]) == (400, "INVALID_MODEL")


async def test_a_silent_stream_is_kept_alive_in_openrouters_words(start: Start) -> None:
    """Its clients pass over exactly this comment."""
    async with start(http={"address": "127.0.0.1:0", "keep_alive": 0.05}) as house, httpx.AsyncClient() as http:
        body = {"model": "fake/fault/stall", "messages": MESSAGES, "stream": True}
        headers = {"x-trunkline-timeout": "0.5"}
        reply = await http.post(f"{house.url}/api/v1/chat/completions", json=body, headers=headers)

    assert ": OPENROUTER PROCESSING\n\n" in reply.text
    assert json.loads(reply.text.rstrip().rpartition("data: ")[2])["error"]["code"] == 504


def events_of(text: str) -> list[tuple[str, Any]]:
    """The events of a stream: name and data."""
    return [
        (lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: ")))
        for lines in (block.split("\n") for block in text.strip().split("\n\n") if not block.startswith(":"))
    ]


async def test_tokenrouters_events(house: Running) -> None:
    """A response is streamed in six events of its own, and stored as any other; OpenAI's clients, who ask for theirs,
    get those."""
    headers = {"authorization": f"Bearer {KEY}"}
    asked = {"model": "house-model", "input": "Hello there", "stream": True}
    async with httpx.AsyncClient(base_url=house.url + MOUNTS["tokenrouter"], headers=headers, timeout=30) as http:
        events = events_of((await http.post("/responses", json=asked)).text)
        stored = (await http.get(f"/responses/{events[0][1]['id']}")).json()
        beta = {"openai-beta": "responses=v1"}
        usual = events_of((await http.post("/responses", json=asked, headers=beta)).text)

    names = [name for name, _ in events]
    assert list(dict.fromkeys(names)) == ["metadata", "message.start", "content.delta", "usage", "message.end", "done"]
    assert names.count("content.delta") > 1
    told = [data for _, data in events]
    assert told[0].items() >= {"provider": "fake", "model": "echo", "routing_mode": "order"}.items()
    assert told[0]["request_id"]
    assert told[1] == {"type": "message", "role": "assistant"}
    assert "".join(data["delta"]["text"] for name, data in events if name == "content.delta") == "Hello there"
    assert told[-3] == {"input_tokens": 3, "output_tokens": 3, "total_tokens": 6}
    assert told[-2:] == [{"type": "message_end"}, None]
    assert stored["output"][0]["content"][0]["text"] == "Hello there"
    assert (usual[0][0], usual[-1][0]) == ("response.created", "response.completed")


async def test_tokenrouters_events_of_calls_and_of_ends(house: Running) -> None:
    """A call of a tool is a part of the content, an answer that was cut says so, and one that breaks off has no end."""
    headers = {"authorization": f"Bearer {KEY}"}
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    async with httpx.AsyncClient(base_url=house.url + MOUNTS["tokenrouter"], headers=headers, timeout=30) as http:

        async def told(model: str, **more: Any) -> list[tuple[str, Any]]:
            asked = {"model": f"fake/{model}", "input": "Hello there", "stream": True, **more}
            return events_of((await http.post("/responses", json=asked)).text)

        called = await told("tool", tools=[tool])
        cut = await told("echo", max_output_tokens=1)
        broken = await told("fault/error-in-stream:delay=0.01")

    (call,) = [data["delta"] for name, data in called if name == "content.delta" and "function" in data["delta"]]
    assert (call["type"], call["function"]["name"]) == ("tool_call", "weather")
    assert call["id"]
    assert json.loads(call["function"]["arguments"]) == {}
    assert dict(cut)["message.end"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert broken[-1][0] == "error"
    assert broken[-1][1]["error"]["type"] == "provider_error"
    assert {"message.end", "done"}.isdisjoint(name for name, _ in broken)


async def test_messages_of_routing_run(house: Running) -> None:
    """Their content is one text, but for Anthropic's clients, and for who calls a tool."""
    headers = {"authorization": f"Bearer {KEY}"}
    asked = {"model": "house-model", "messages": MESSAGES, "max_tokens": 50}
    tool = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
    async with httpx.AsyncClient(base_url=house.url + MOUNTS["routing_run"], headers=headers, timeout=30) as http:
        plain = (await http.post("/messages", json=asked)).json()
        own = (await http.post("/messages", json=asked, headers={"anthropic-version": "2023-06-01"})).json()
        called = (await http.post("/messages", json={**asked, "model": "fake/tool", "tools": [tool]})).json()

    assert plain["content"] == "Hello there"
    assert own["content"] == [{"type": "text", "text": "Hello there"}]
    assert called["content"][-1]["type"] == "tool_use"
