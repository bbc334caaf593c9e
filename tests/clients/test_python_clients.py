"""LangChain, LlamaIndex, Pydantic AI and LiteLLM with nothing changed but the base URL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from clients.conftest import Ask
from e2e.conftest import Running, running

MODELS = {
    "text": "fake/echo",
    "tool": "fake/tool",
    "json": "fake/json",
    "reasoning": "fake/reasoning",
    "embed": "fake/embed",
    "cut": "fake/fault/cut",
}
HELLO = "Hello there"
DONE = "weather answered: sunny in city"
PERSON = {"name": "name", "age": 1}


@pytest.fixture
async def house() -> AsyncIterator[Running]:
    """A gateway in front of a fake OpenAI."""
    async with running() as one:
        yield one


async def test_langchain(house: Running, ask: Ask) -> None:
    """Messages, streams with usage, tools there and back, structured output and vectors; what is cut is an error."""
    told = await ask("langchain_chat", house.url, MODELS)

    assert told["text"] == told["stream"] == HELLO
    assert told["usage"]["total_tokens"] == 6
    assert [usage["total_tokens"] for usage in told["stream_usage"]] == [6]
    assert told["tools"] == {"called": "weather", "final": DONE}
    assert told["streamed_tools"] == {"called": "weather", "arguments": ["city"]}
    assert told["structured"] == PERSON
    assert told["vectors"] == [256, 256]
    assert told["failed"] != "nothing"
    assert told["cut"] != "nothing"


async def test_llama_index(house: Running, ask: Ask) -> None:
    """Messages, streams, prompts, tools there and back, structured output and vectors; what is cut is an error."""
    told = await ask("llama_index_chat", house.url, MODELS)

    assert told["text"] == told["stream"] == told["complete"] == HELLO
    assert told["tools"] == {"called": "weather", "final": DONE}
    assert told["structured"] == PERSON
    assert told["vectors"] == [256, 256]
    assert told["cut"] != "nothing"


async def test_pydantic_ai(house: Running, ask: Ask) -> None:
    """Agents: answers, streams, tools there and back, typed answers; what is cut is an error."""
    told = await ask("pydantic_ai_chat", house.url, MODELS)

    assert told["text"] == told["stream"] == HELLO
    assert told["usage"] == 6
    assert told["tools"] == {"final": DONE, "requests": 2}
    assert told["structured"] == PERSON
    assert told["cut"] != "nothing"


async def test_litellm(house: Running, ask: Ask) -> None:
    """Messages, streams, reasoning, tools there and back, JSON and vectors; what is cut is an error."""
    told = await ask("litellm_client", house.url, MODELS)

    assert told["text"] == told["stream"] == HELLO
    assert told["usage"] == 6
    assert told["reasoning"]
    assert told["tools"] == {"called": "weather", "final": "weather answered: sunny"}
    assert told["structured"].startswith("{")
    assert told["vectors"] == [256, 256]
    assert told["cut"] != "nothing"
