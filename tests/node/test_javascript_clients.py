"""openai-node, the Vercel AI SDK and @google/genai with nothing changed but the base URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from e2e.conftest import Running, running

Ask = Callable[..., Awaitable[dict[str, Any]]]
MODELS = {"text": "fake/echo", "tool": "fake/tool", "cut": "fake/fault/cut", "embed": "fake/embed"}
HELLO = "Hello there"
DONE = "weather answered: sunny in city"


@pytest.fixture
async def house() -> AsyncIterator[Running]:
    """A gateway in front of a fake OpenAI."""
    async with running() as one:
        yield one


async def test_openai_node(house: Running, ask: Ask) -> None:
    """Chat, its helpers for streams and tools, Responses, embeddings and models; what is cut is an error."""
    told = await ask("openai_node", house.url, MODELS)

    assert told["text"] == told["stream"] == told["response"] == told["responseStream"] == HELLO
    assert told["tool"] == DONE
    assert told["called"] == "weather"
    assert told["vectors"] == [256, 256]
    assert told["models"] is True
    assert told["cut"] != "nothing"


async def test_the_vercel_ai_sdk(house: Running, ask: Ask) -> None:
    """Texts, streams and tools over several steps, by chat, Responses and Messages; what is cut is an error."""
    told = await ask("ai_sdk", house.url, MODELS)

    assert told.keys() == {"compatible", "responses", "anthropic"}
    for one in told.values():
        assert one["text"] == one["stream"] == HELLO
        assert one["usage"] == 6
        assert (one["tool"], one["steps"]) == (DONE, 2)
        assert one["cut"] != "nothing"


async def test_google_genai(house: Running, ask: Ask) -> None:
    """Whole answers, streams, calls and counts; what is cut is an error."""
    told = await ask("google_genai", house.url, MODELS)

    assert told["text"] == told["stream"] == HELLO
    assert told["called"] == "weather"
    assert told["tokens"] > 0
    assert told["cut"] != "nothing"
