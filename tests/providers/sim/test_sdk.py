"""The official SDK takes the fake server for the real one."""

from __future__ import annotations

import json

import openai
import pytest
from fakes.sim_server import SimServer
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from providers.sim.asking import WEATHER
from pydantic import BaseModel

from trunkline.providers.sim.catalogue import MODELS


def _user(text: str) -> list[ChatCompletionUserMessageParam]:
    return [{"role": "user", "content": text}]


class Step(BaseModel):
    explanation: str
    output: str | None


class Reasoned(BaseModel):
    steps: list[Step]
    answer: int


async def test_unary(client: AsyncOpenAI, server: SimServer) -> None:
    """An answer, and what the fake saw of the request."""
    completion = await client.chat.completions.create(model="echo", messages=_user("Grüße"))
    assert completion.choices[0].message.content == "Grüße"
    assert completion._request_id is not None
    [received] = server.requests
    assert (received.method, received.path) == ("POST", "/chat/completions")
    assert received.headers["authorization"] == "Bearer sk-test"
    assert json.loads(received.body)["model"] == "echo"


async def test_stream(client: AsyncOpenAI, server: SimServer) -> None:
    """The SDK's own accumulation of a stream is the unary answer."""
    async with client.chat.completions.stream(
        model="reasoning:seed=1", messages=_user("one two"), n=2, stream_options={"include_usage": True}
    ) as stream:
        streamed = await stream.get_final_completion()
    unary = await client.chat.completions.create(model="reasoning:seed=1", messages=_user("one two"), n=2)
    assert streamed.id == unary.id
    assert [choice.message.content for choice in streamed.choices] == ["one two", "one two (2)"]
    assert streamed.usage == unary.usage
    await server.replies_reach(0)


async def test_tools_are_streamed(client: AsyncOpenAI) -> None:
    """The SDK puts the parts of a tool call together and parses its arguments."""
    tool = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}  # type: ignore[dict-item]
    async with client.chat.completions.stream(model="tool", messages=_user("Weather?"), tools=[tool]) as stream:  # type: ignore[list-item]
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.tool_calls is not None
    [call] = completion.choices[0].message.tool_calls
    assert call.function.parsed_arguments == {"city": "city", "unit": "celsius"}


async def test_parse(client: AsyncOpenAI) -> None:
    """The answer satisfies the schema of a pydantic model."""
    completion = await client.chat.completions.parse(model="json", messages=_user("2 + 2?"), response_format=Reasoned)
    parsed = completion.choices[0].message.parsed
    assert parsed is not None
    assert parsed.answer == 1
    assert len(parsed.steps) == 1


async def test_parse_of_a_cut_answer(client: AsyncOpenAI) -> None:
    """An answer that was cut by its limit is known by its finish reason."""
    with pytest.raises(openai.LengthFinishReasonError):
        await client.chat.completions.parse(
            model="json", messages=_user("2 + 2?"), response_format=Reasoned, max_tokens=3
        )


async def test_refusal(client: AsyncOpenAI) -> None:
    """A refusal is no content."""
    completion = await client.chat.completions.parse(model="refusal", messages=_user("x"), response_format=Reasoned)
    message = completion.choices[0].message
    assert (message.content, message.parsed) == (None, None)
    assert message.refusal


async def test_models(client: AsyncOpenAI) -> None:
    """The list, and one of it."""
    assert [model.id async for model in client.models.list()] == list(MODELS)
    assert (await client.models.retrieve("fault/stall")).id == "fault/stall"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-4o")


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("nothing", openai.NotFoundError),
        ("fault/rate-limit", openai.RateLimitError),
        ("fault/quota", openai.RateLimitError),
        ("fault/error-500", openai.InternalServerError),
        ("fault/overloaded-503", openai.InternalServerError),
        ("fault/html-error", openai.InternalServerError),
        ("fault/unauthorized", openai.AuthenticationError),
        ("fault/forbidden", openai.PermissionDeniedError),
        ("fault/context-length", openai.BadRequestError),
        ("fault/refuse", openai.APIConnectionError),
        ("fault/cut", openai.APIConnectionError),
    ],
)
async def test_errors_by_type(client: AsyncOpenAI, model: str, error: type[openai.APIError]) -> None:
    """Each fault is the SDK's own error for it."""
    with pytest.raises(error):
        await client.chat.completions.create(model=model, messages=_user("x"))


async def test_an_error_within_a_stream(client: AsyncOpenAI) -> None:
    """The SDK raises the error object that comes after some events."""
    stream = await client.chat.completions.create(
        model="fault/error-in-stream:after=2", messages=_user("one two three"), stream=True
    )
    events = aiter(stream)
    for _ in range(2):
        assert (await anext(events)).choices
    with pytest.raises(openai.APIError, match="while it wrote"):
        await anext(events)


async def test_the_end_of_a_silent_stream_is_noticed(client: AsyncOpenAI, server: SimServer) -> None:
    """A client that leaves a stalled stream ends the script behind it."""
    stream = await client.chat.completions.create(model="fault/stall:after=1", messages=_user("x"), stream=True)
    await anext(aiter(stream))
    await server.replies_reach(1)
    await stream.close()
    await server.replies_reach(0)
