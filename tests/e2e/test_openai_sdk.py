"""The official OpenAI SDK against the gateway, with a fake OpenAI behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from e2e.conftest import KEY, Running, Start
from pydantic import BaseModel

MESSAGES: Any = [{"role": "user", "content": "Hello there"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    """What `.parse()` is asked for."""

    name: str
    age: int


def sdk(gateway: Running, **options: Any) -> openai.AsyncOpenAI:
    """An asynchronous client that does not repeat what fails."""
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", **{"api_key": "none", "max_retries": 0, **options})


async def test_a_text(gateway: Running) -> None:
    """A unary answer, by the asynchronous client and by the synchronous one."""

    def ask() -> Any:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
            return client.chat.completions.create(model="fake/echo", messages=MESSAGES)

    async with sdk(gateway) as client:
        answer = await client.chat.completions.create(model="fake/echo", messages=MESSAGES)
    blocking = await asyncio.to_thread(ask)

    assert answer.choices[0].message.content == blocking.choices[0].message.content == "Hello there"
    assert answer.usage is not None
    assert answer._request_id


async def test_a_stream(gateway: Running) -> None:
    """Chunks add up to the answer, by both clients and by the `stream` helper."""

    def ask() -> str:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
            stream = client.chat.completions.create(model="fake/echo", messages=MESSAGES, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    async with sdk(gateway) as client:
        stream = await client.chat.completions.create(model="fake/echo", messages=MESSAGES, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        async with client.chat.completions.stream(model="fake/tool", messages=MESSAGES, tools=[WEATHER]) as helped:
            async for _ in helped:
                pass
            final = await helped.get_final_completion()

    assert text == await asyncio.to_thread(ask) == "Hello there"
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.choices[0].message.tool_calls


@pytest.mark.parametrize("model", ["fake/tool", "fake/tools-parallel"])
async def test_a_tool_call_and_its_result(gateway: Running, model: str) -> None:
    """The calls of an answer, echoed with their results, end in a text."""
    other: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
    async with sdk(gateway) as client:
        first = await client.chat.completions.create(model=model, messages=MESSAGES, tools=[WEATHER, other])
        message = first.choices[0].message
        calls = message.tool_calls or []
        results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
        history: Any = [*MESSAGES, message.model_dump(exclude_none=True), *results]
        second = await client.chat.completions.create(model=model, messages=history, tools=[WEATHER, other])

    assert first.choices[0].finish_reason == "tool_calls"
    assert len(calls) == (1 if model == "fake/tool" else 2)
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


async def test_parse(gateway: Running) -> None:
    """`.parse()` gives an object of the class it was asked for."""
    async with sdk(gateway) as client:
        answer = await client.chat.completions.parse(model="fake/json", messages=MESSAGES, response_format=Person)

    assert isinstance(answer.choices[0].message.parsed, Person)


ERRORS = {
    "fake/fault/rate-limit": openai.RateLimitError,
    "fake/fault/quota": openai.RateLimitError,
    "fake/fault/error-500": openai.InternalServerError,
    "fake/fault/context-length": openai.BadRequestError,
    "fake/fault/unauthorized": openai.InternalServerError,
    "nobody/none": openai.NotFoundError,
}


@pytest.mark.parametrize("model", ERRORS)
async def test_errors_have_the_sdks_types(gateway: Running, model: str) -> None:
    """Each failure is the exception that OpenAI's users catch."""
    async with sdk(gateway) as client:
        with pytest.raises(ERRORS[model]) as caught:
            await client.chat.completions.create(model=model, messages=MESSAGES)

    assert isinstance(caught.value, openai.APIStatusError)
    assert caught.value.request_id


async def test_a_bad_request_names_its_field(gateway: Running) -> None:
    """`param` of the exception is the field at fault."""
    bad: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 7}}]}]
    async with sdk(gateway) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="fake/echo", messages=bad)

    assert caught.value.param == "messages[0].content[0].image_url.url"


@pytest.mark.parametrize("fault", ["cut", "cut-clean", "error-in-stream"])
async def test_a_broken_stream_raises(gateway: Running, fault: str) -> None:
    """A stream that was cut ends in an exception, whatever the way it was cut."""
    async with sdk(gateway) as client:
        stream = await client.chat.completions.create(
            model=f"fake/fault/{fault}:delay=0.01", messages=MESSAGES, stream=True
        )
        seen = []
        with pytest.raises(openai.APIError):
            async for chunk in stream:
                seen.append(chunk)  # noqa: PERF401 - what came before the error counts

    assert seen
    assert all(choice.finish_reason is None for chunk in seen for choice in chunk.choices)


async def test_keys(start: Start) -> None:
    """A wrong key is an authentication error, the right one is let in."""
    async with start(keys=[{"name": "team", "key": KEY}]) as gateway:
        async with sdk(gateway) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with sdk(gateway, api_key=KEY) as client:
            listed = await client.models.list()
            one = await client.models.retrieve("house-model")

    assert [model.id for model in listed.data] == ["house-model", "second-helps"]
    assert one.id == "house-model"
