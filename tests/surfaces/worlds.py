"""The kinds of provider that stand behind a surface: each a fake that refuses what its provider refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fakes import (
    anthropic_server,
    aws_door,
    azure_server,
    bedrock_rules,
    cohere_server,
    deepseek_server,
    gemini_server,
    mistral_server,
    responses_server,
)
from fakes.anthropic_server import AnthropicServer
from fakes.azure_server import AzureServer
from fakes.bedrock_server import BedrockServer
from fakes.cohere_server import CohereServer
from fakes.deepseek_server import DeepSeekServer
from fakes.gemini_server import GeminiServer
from fakes.mistral_server import MistralServer
from fakes.responses_server import ResponsesServer
from fakes.sim_server import SimServer


@dataclass(frozen=True)
class World:
    """One kind of provider, and how its fake is brought to do what a test wants.

    A way is a model and the user's words. `reasons` tells whether it reasons beside calling tools, `sees` whether the
    model that calls them is shown images. `said` are the requests that reached it, as text; `left` waits until nobody
    is answered any more.
    """

    provider: dict[str, Any]
    model: str
    said: Callable[[], list[str]]
    left: Callable[[], Any]
    ways: dict[str, tuple[str, str]] = field(default_factory=dict)
    reasons: bool = True
    sees: bool = True

    def way(self, name: str) -> tuple[str, str]:
        """The model, as callers name it, and the words that bring about `name`."""
        model, words = self.ways.get(name, (self.model, "Hello"))
        return f"world/{model}", words


def _provider(kind: str, url: str, key: str) -> dict[str, Any]:
    return {"kind": kind, "base_url": url, "api_key": key}


def _world(server: Any, provider: dict[str, Any], model: str, words: dict[str, str], **more: Any) -> World:
    """A world of which all ways are words to one model, but for those of `more`."""
    ways = {name: (model, said) for name, said in words.items()} | more.pop("ways", {})
    return World(
        provider,
        model,
        lambda: [json.dumps(one.body) for one in server.requests],
        server.abandoned.wait,
        ways,
        **more,
    )


@asynccontextmanager
async def openai_world() -> AsyncIterator[World]:
    """A server of OpenAI's language."""
    async with SimServer() as server:

        async def left() -> None:
            await server.replies_reach(0)

        yield World(
            _provider("openai-compatible", server.url, "sk"),
            "echo",
            lambda: [one.body.decode() for one in server.requests],
            left,
            {
                "tools": ("tools-parallel", "Hello"),
                "forced": ("tool", "Hello"),
                "schema": ("json", "Hello"),
                "reasoning": ("reasoning", "Hello"),
                "limited": ("fault/rate-limit", "Hello"),
                "cut": ("fault/cut", "Hello there, this is cut"),
                "failing": ("fault/error-in-stream", "Hello there, this fails"),
                "hanging": ("fault/stall", "Hello there, this hangs"),
            },
            reasons=False,
        )


@asynccontextmanager
async def anthropic_world() -> AsyncIterator[World]:
    """Anthropic."""
    async with AnthropicServer() as server:
        provider = _provider("anthropic", server.url, anthropic_server.KEY)
        yield _world(server, provider, "claude-opus-4-6", _WORDS)


@asynccontextmanager
async def responses_world() -> AsyncIterator[World]:
    """OpenAI by Responses."""
    async with ResponsesServer() as server:
        provider = _provider("openai-responses", server.url, responses_server.KEY)
        yield _world(server, provider, "gpt-5.1", {**_WORDS, "failing": "errs"})


@asynccontextmanager
async def gemini_world() -> AsyncIterator[World]:
    """Google's Gemini API."""
    async with GeminiServer() as server:
        provider = _provider("gemini", server.url, gemini_server.KEY)
        yield _world(server, provider, "gemini-2.5-flash", _GOOGLE)


@asynccontextmanager
async def vertex_world() -> AsyncIterator[World]:
    """Google's models in a project, of the sort that demands what it signed."""
    async with GeminiServer() as server:
        url = f"{server.url}/v1/projects/house/locations/europe-west4"
        provider = {"kind": "vertex", "base_url": url, "headers": {"authorization": f"Bearer {gemini_server.TOKEN}"}}
        yield _world(server, provider, "gemini-3-flash", _GOOGLE)


@asynccontextmanager
async def bedrock_world() -> AsyncIterator[World]:
    """Anthropic's models at Amazon."""
    async with BedrockServer() as server:
        provider = _provider("bedrock", server.url, aws_door.BEARER)
        yield _world(server, provider, bedrock_rules.CLAUDE, _WORDS)


@asynccontextmanager
async def cohere_world() -> AsyncIterator[World]:
    """Cohere, of whose models one sees and another calls tools."""
    async with CohereServer() as server:
        provider = _provider("cohere", server.url, cohere_server.KEY)
        ways = {"image": ("command-a-vision-07-2025", "Hello")}
        model = "command-a-reasoning-08-2025"
        yield _world(server, provider, model, _WORDS, ways=ways, sees=False)


@asynccontextmanager
async def mistral_world() -> AsyncIterator[World]:
    """Mistral."""
    async with MistralServer() as server:
        provider = _provider("mistral", server.url, mistral_server.KEY)
        yield _world(server, provider, "mistral-small-latest", _WORDS)


@asynccontextmanager
async def deepseek_world() -> AsyncIterator[World]:
    """DeepSeek, by its model that sees."""
    async with DeepSeekServer() as server:
        provider = _provider("deepseek", server.url, deepseek_server.KEY)
        yield _world(server, provider, "deepseek-v4-flash-vision-exp", _WORDS)


@asynccontextmanager
async def azure_world() -> AsyncIterator[World]:
    """Azure, which is asked by Responses who asks so, and by Chat Completions otherwise."""
    async with AzureServer() as server:
        provider = _provider("azure", server.url, azure_server.KEY)
        yield _world(server, provider, "house-gpt", _WORDS)


_WORDS = {"tools": "tools", "limited": "limited", "cut": "breaks", "failing": "fails", "hanging": "hangs"}
_GOOGLE = {"tools": "all", "limited": "slow down", "cut": "cut off", "failing": "late error", "hanging": "hang"}

WORLDS = {
    "openai": openai_world,
    "anthropic": anthropic_world,
    "responses": responses_world,
    "gemini": gemini_world,
    "vertex": vertex_world,
    "bedrock": bedrock_world,
    "cohere": cohere_world,
    "mistral": mistral_world,
    "deepseek": deepseek_world,
    "azure": azure_world,
}
