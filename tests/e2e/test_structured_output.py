"""JSON that a provider cannot promise, through a whole gateway: as OpenAI's clients ask for it, and with its report."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from e2e.conftest import Running, Start
from fakes.anthropic_server import KEY, AnthropicServer
from openai import AsyncOpenAI, BadRequestError
from pydantic import BaseModel

LEGACY = "claude/claude-3-7-sonnet"
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "place",
        "strict": True,
        "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Place(BaseModel):
    """What is asked for."""

    city: str


@pytest.fixture
async def house(start: Start) -> AsyncIterator[tuple[Running, AnthropicServer]]:
    """A gateway in front of Anthropic."""
    async with AnthropicServer() as server:
        providers = {"claude": {"kind": "anthropic", "base_url": server.url, "api_key": KEY}}
        async with start(models={}, providers=providers) as gateway:
            yield gateway, server


def asking(**more: Any) -> dict[str, Any]:
    """A request for a place."""
    said = [{"role": "user", "content": "Where?"}]
    return {"model": LEGACY, "messages": said, "response_format": FORMAT, **more}


async def post(gateway: Running, body: Any, **headers: str) -> httpx.Response:
    """Send one request."""
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)


async def test_openais_sdk_parses_the_answer(house: tuple[Running, AnthropicServer]) -> None:
    """Whole and streamed, with its own types."""
    gateway, _ = house
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        said: Any = [{"role": "user", "content": "Where?"}]
        parsed = await client.chat.completions.parse(model=LEGACY, messages=said, response_format=Place)
        assert parsed.choices[0].message.parsed == Place(city="Zürich")
        assert parsed.choices[0].finish_reason == "stop"
        assert parsed.choices[0].message.tool_calls is None
        async with client.chat.completions.stream(model=LEGACY, messages=said, response_format=Place) as stream:
            last = await stream.get_final_completion()
        assert last.choices[0].message.parsed == Place(city="Zürich")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_report(house: tuple[Running, AnthropicServer], stream: bool) -> None:
    """It is told in the headers of the answer, and in those of a stream."""
    gateway, _ = house
    response = await post(gateway, asking(stream=stream))
    assert response.status_code == 200
    assert response.headers["x-trunkline-emulated"] == "response_format"
    assert "x-trunkline-dropped" not in response.headers


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choices", [1, 2])
async def test_strict_callers(house: tuple[Running, AnthropicServer], stream: bool, choices: int) -> None:
    """They are refused rather than given what is like it, and the provider is not asked."""
    gateway, server = house
    response = await post(gateway, asking(stream=stream, n=choices), **{"x-trunkline-strict": "true"})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == ("response_format", "unsupported_parameter")
    assert server.requests == []


async def test_a_schema_that_is_none(house: tuple[Running, AnthropicServer]) -> None:
    """The caller is told what is wrong with it, before any provider is asked."""
    gateway, server = house
    schema = {"type": "object", "properties": {"city": {"type": "text"}}}
    form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    said: Any = [{"role": "user", "content": "Where?"}]
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(BadRequestError, match=r"\$\.properties\.city\.type") as caught:
            await client.chat.completions.create(model=LEGACY, messages=said, response_format=form)
    assert caught.value.param == "response_format.json_schema.schema_json"
    assert server.requests == []


async def test_over_anthropics_surface(house: tuple[Running, AnthropicServer]) -> None:
    """A model without schemas answers Anthropic's own form of the question, too, and stops as if it had them."""
    gateway, _ = house
    body = {
        "model": LEGACY,
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "Where?"}],
        "output_config": {"format": {"type": "json_schema", "schema": FORMAT["json_schema"]["schema"]}},  # type: ignore[index]
    }
    async with httpx.AsyncClient(timeout=30) as client:
        response = await client.post(f"{gateway.url}/v1/messages", json=body)
    assert response.status_code == 200, response.text
    message = response.json()
    [block] = message["content"]
    assert json.loads(block["text"]) == {"city": "Zürich"}
    assert message["stop_reason"] == "end_turn"
    assert response.headers["x-trunkline-emulated"] == "response_format"
