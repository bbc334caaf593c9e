"""What real clients need of an answer, whichever provider gave it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import httpx
import openai
import pytest
from e2e.conftest import Running, running
from e2e.test_openai_http import assert_valid
from surfaces.worlds import WORLDS

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CONTENTS: list[Any] = ["Hello", None, "", [], [{"type": "text", "text": "Hello"}]]
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
USER = {"role": "user", "content": "Hello"}


def chunks_of(text: str) -> list[dict[str, Any]]:
    """The chunks of a stream that is whole."""
    assert text.endswith("data: [DONE]\n\n")
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("way", ["text", "tools", "reasoning"])
async def test_chunks_are_as_the_strictest_client_has_them(kind: str, way: str) -> None:
    """The first has a role, each choice a finish reason though it be null, and usage comes once, last, without
    choices, where it was asked for, and never as null."""
    async with (
        WORLDS[kind]() as world,
        running(providers={"world": world.provider}, models={}) as house,
        httpx.AsyncClient(base_url=house.url, timeout=30) as http,
    ):
        model, words = world.way(way)
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": words}], "stream": True}
        if way == "tools":
            body["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
        plain = chunks_of((await http.post("/v1/chat/completions", json=body)).text)
        told = chunks_of(
            (await http.post("/v1/chat/completions", json={**body, "stream_options": {"include_usage": True}})).text
        )

    assert all("usage" not in chunk for chunk in plain)
    assert ["usage" in chunk for chunk in told] == [False] * (len(told) - 1) + [True]
    assert told[-1]["choices"] == []
    assert told[-1]["usage"]["total_tokens"] > 0
    for chunks in (plain, told[:-1]):
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert all("finish_reason" in choice for chunk in chunks for choice in chunk["choices"])
        assert all(chunk["choices"] for chunk in chunks)
        assert {chunk["created"] for chunk in chunks} == {chunks[0]["created"] or None}


@pytest.mark.parametrize("kind", WORLDS)
async def test_an_answer_is_as_openai_describes_it(kind: str) -> None:
    """Whoever wrote it: with a time, with calls of tools and without, of chat and of Completions."""
    async with (
        WORLDS[kind]() as world,
        running(providers={"world": world.provider}, models={}) as house,
        httpx.AsyncClient(base_url=f"{house.url}/v1", timeout=30) as http,
    ):
        model, words = world.way("tools")
        asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": words}]}
        tools = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
        called = (await http.post("/chat/completions", json=asked | {"tools": tools})).json()
        model, words = world.way("text")
        asked = {"model": model, "messages": [{"role": "user", "content": words}]}
        told = (await http.post("/chat/completions", json=asked)).json()
        text = (await http.post("/completions", json={"model": model, "prompt": words})).json()

    assert called["choices"][0]["message"]["tool_calls"]
    for answer in (called, told):
        assert_valid("CreateChatCompletionResponse", answer)
    openai.types.Completion.model_validate(text, strict=True)
    assert all(answer["created"] for answer in (called, told, text))


@pytest.mark.parametrize("kind", WORLDS)
async def test_content_of_any_form_is_borne(kind: str) -> None:
    """A text, null, nothing or parts, of every role."""
    refused: list[tuple[str, Any, str]] = []
    async with (
        WORLDS[kind]() as world,
        running(providers={"world": world.provider}, models={}) as house,
        httpx.AsyncClient(base_url=house.url, timeout=30) as http,
    ):
        for content in CONTENTS:
            conversations = {
                "system": [{"role": "system", "content": content}, USER],
                "developer": [{"role": "developer", "content": content}, USER],
                "user": [{"role": "user", "content": content}, {"role": "assistant", "content": "Yes?"}, USER],
                "assistant": [USER, {"role": "assistant", "content": content}, USER],
                "calling": [
                    USER,
                    {"role": "assistant", "content": content, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
                ],
                "tool": [
                    USER,
                    {"role": "assistant", "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "call_1", "content": content},
                ],
            }
            for role, messages in conversations.items():
                body = {"model": f"world/{world.model}", "messages": messages}
                reply = await http.post("/v1/chat/completions", json=body)
                if reply.status_code != 200:
                    refused.append((role, content, reply.text))

    assert refused == []


@pytest.mark.parametrize(
    ("path", "body", "last"),
    [
        ("/v1/chat/completions", {"messages": [USER]}, b"data: [DONE]\n\n"),
        ("/v1/responses", {"input": "Hello"}, b"event: response.completed"),
        ("/v1/messages", {"messages": [USER], "max_tokens": 100}, b"event: message_stop"),
    ],
)
async def test_a_client_that_closes_at_the_last_event_missed_nothing(
    gateway: Running, path: str, body: dict[str, Any], last: bytes
) -> None:
    """OpenAI's SDKs close the connection at `[DONE]`, Codex at `response.completed`: the call has succeeded."""
    content = json.dumps({"model": "fake/echo", "stream": True, **body}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    for _ in range(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
        writer.write(head.encode() + content)
        await reader.readuntil(last)
        writer.transport.abort()
    await gateway.upstream.replies_reach(0)
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        counted = (await http.get("/metrics")).text
    calls = [line for line in counted.splitlines() if line.startswith("trunkline_calls_total{")]

    assert calls
    assert not [line for line in calls if "cancel" in line.lower()]
    assert sum(float(line.rpartition(" ")[2]) for line in calls) == 10


@pytest.mark.parametrize("encoding", [None, "identity", "gzip, deflate, br, zstd"])
async def test_answers_are_not_compressed(gateway: Running, encoding: str | None) -> None:
    """Some clients ask for none, some say nothing, and a stream that is compressed comes late."""
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        if encoding is None:
            del http.headers["accept-encoding"]
        else:
            http.headers["accept-encoding"] = encoding
        for stream in (False, True):
            body = {"model": "fake/echo", "messages": [USER], "stream": stream}
            reply = await http.post("/v1/chat/completions", json=body)

            assert reply.status_code == 200
            assert "content-encoding" not in reply.headers


async def test_claude_codes_greeting(gateway: Running) -> None:
    """It asks, without a key, for a page that is not there, and goes on."""
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        assert (await http.head("/api/hello")).status_code == 404


async def test_large_bodies_and_headers(gateway: Running) -> None:
    """Coding agents send 85 KB for a greeting, with more than a kilobyte of headers."""
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        body = {"model": "fake/echo", "messages": [{"role": "system", "content": "x" * 85_000}, USER]}
        reply = await http.post("/v1/chat/completions", json=body, headers={"x-codex-turn-metadata": "y" * 1300})

    assert reply.json()["choices"][0]["message"]["content"] == "Hello"


async def test_a_response_has_what_openrouters_sdk_requires(gateway: Running) -> None:
    """When it was completed, and the penalties."""
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
        raw = await client.responses.with_raw_response.create(model="fake/echo", input="Hello")
    body = json.loads(raw.content)

    assert body["completed_at"] >= body["created_at"]
    assert (body["frequency_penalty"], body["presence_penalty"]) == (0, 0)


async def test_anthropics_tool_runner_goes_on_without_threads(gateway: Running) -> None:
    """It asks for a thread, is refused as it expects, and sends the whole conversation from then on."""

    @anthropic.beta_async_tool
    async def weather(city: str) -> str:
        """Tells the weather."""
        return f"sunny in {city}"

    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="none", max_retries=0) as client:
        runner = client.beta.messages.tool_runner(
            model="fake/tool", max_tokens=100, tools=[weather], messages=[{"role": "user", "content": "Hello"}]
        )
        last = await runner.until_done()
    sent = [json.loads(one.body)["messages"] for one in gateway.upstream.requests]

    assert last.content[0].type == "text"
    assert "sunny in" in last.content[0].text
    assert [len(messages) for messages in sent] == [1, 3]
