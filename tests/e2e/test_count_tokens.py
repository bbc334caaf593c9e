"""Tokens are counted by the provider where it counts, whichever language asks; else they are estimated, and said so."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from e2e.conftest import running
from surfaces.said import CITY, PIXEL
from surfaces.worlds import WORLDS

COUNTS = {"anthropic": 42, "responses": 42, "gemini": 42, "vertex": 42, "bedrock": 12}
"""The kinds that count, and what their fakes say."""

_IMAGE = {"type": "base64", "media_type": "image/png", "data": PIXEL}
_MESSAGES: dict[str, Any] = {
    "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "image", "source": _IMAGE}, {"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
    ],
    "tools": [{"name": "weather", "input_schema": CITY}],
}
_RESPONSES: dict[str, Any] = {
    "instructions": "Be kind.",
    "input": "Hello",
    "tools": [{"type": "function", "name": "weather", "parameters": CITY}],
}
_GEMINI: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be kind."}]},
    "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
    "tools": [{"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT"}}]}],
}


@pytest.mark.parametrize("kind", WORLDS)
async def test_every_language_counts(kind: str) -> None:
    """With tools and instructions, which count, too."""
    async with (
        WORLDS[kind]() as world,
        running(providers={"world": world.provider}, models={}) as house,
        httpx.AsyncClient(base_url=house.url) as http,
    ):
        model = f"world/{world.model}"
        asked = {
            "/v1/messages/count_tokens": (_MESSAGES | {"model": model}, "input_tokens"),
            "/v1/responses/input_tokens": (_RESPONSES | {"model": model}, "input_tokens"),
            f"/v1beta/models/{model}:countTokens": ({"generateContentRequest": _GEMINI}, "totalTokens"),
        }
        for path, (body, field) in asked.items():
            answer = await http.post(path, json=body)
            assert answer.status_code == 200, (path, answer.text)
            if kind in COUNTS:
                assert answer.json()[field] == COUNTS[kind], (path, answer.headers)
            assert ("x-trunkline-estimated" in answer.headers) is (kind not in COUNTS), path
            assert answer.json()[field] > 0
