"""The kinds of provider that stand behind a surface: each a fake that refuses what its provider refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fakes import anthropic_server, gemini_server, responses_server
from fakes.anthropic_server import AnthropicServer
from fakes.gemini_server import GeminiServer
from fakes.responses_server import ResponsesServer
from fakes.sim_server import SimServer


@dataclass(frozen=True)
class World:
    """One kind of provider, and how its fake is brought to do what a test wants.

    A way is a model and the user's words. `reasons` tells whether it reasons beside calling tools; `said` are the
    requests that reached it, as text; `left` waits until nobody is answered any more.
    """

    provider: dict[str, Any]
    model: str
    reasons: bool
    said: Callable[[], list[str]]
    left: Callable[[], Any]
    ways: dict[str, tuple[str, str]] = field(default_factory=dict)

    def way(self, name: str) -> tuple[str, str]:
        """The model, as callers name it, and the words that bring about `name`."""
        model, words = self.ways.get(name, (self.model, "Hello"))
        return f"world/{model}", words


def _provider(kind: str, url: str, key: str) -> dict[str, Any]:
    return {"kind": kind, "base_url": url, "api_key": key}


@asynccontextmanager
async def openai_world() -> AsyncIterator[World]:
    """A server of OpenAI's language."""
    async with SimServer() as server:

        async def left() -> None:
            await server.replies_reach(0)

        yield World(
            _provider("openai-compatible", server.url, "sk"),
            "echo",
            False,
            lambda: [one.body.decode() for one in server.requests],
            left,
            {
                "tools": ("tools-parallel", "Hello"),
                "forced": ("tool", "Hello"),
                "session": ("tool", "Hello"),
                "schema": ("json", "Hello"),
                "reasoning": ("reasoning", "Hello"),
                "limited": ("fault/rate-limit", "Hello"),
                "cut": ("fault/cut", "Hello there, this is cut"),
                "failing": ("fault/error-in-stream", "Hello there, this fails"),
                "hanging": ("fault/stall", "Hello there, this hangs"),
            },
        )


@asynccontextmanager
async def anthropic_world() -> AsyncIterator[World]:
    """Anthropic."""
    async with AnthropicServer() as server:
        yield World(
            _provider("anthropic", server.url, anthropic_server.KEY),
            "claude-opus-4-6",
            True,
            lambda: [json.dumps(one.body) for one in server.requests],
            server.abandoned.wait,
            {name: ("claude-opus-4-6", words) for name, words in _WORDS.items()},
        )


@asynccontextmanager
async def responses_world() -> AsyncIterator[World]:
    """OpenAI by Responses."""
    async with ResponsesServer() as server:
        yield World(
            _provider("openai-responses", server.url, responses_server.KEY),
            "gpt-5.1",
            True,
            lambda: [json.dumps(one.body) for one in server.requests],
            server.abandoned.wait,
            {name: ("gpt-5.1", words) for name, words in _WORDS.items()} | {"failing": ("gpt-5.1", "errs")},
        )


@asynccontextmanager
async def gemini_world() -> AsyncIterator[World]:
    """Google's Gemini API."""
    async with GeminiServer() as server:
        words = {"tools": "all", "limited": "slow down", "cut": "cut off", "failing": "late error", "hanging": "hang"}
        yield World(
            _provider("gemini", server.url, gemini_server.KEY),
            "gemini-2.5-flash",
            True,
            lambda: [json.dumps(one.body) for one in server.requests],
            server.abandoned.wait,
            {name: ("gemini-2.5-flash", said) for name, said in words.items()},
        )


_WORDS = {"tools": "tools", "limited": "limited", "cut": "breaks", "failing": "fails", "hanging": "hangs"}

WORLDS = {
    "openai": openai_world,
    "anthropic": anthropic_world,
    "responses": responses_world,
    "gemini": gemini_world,
}
