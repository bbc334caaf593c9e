"""Reasoning on the chat surface: asked for in any router's form, and shown or not."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from e2e.conftest import Running

ASKED: dict[str, Any] = {"model": "fake/reasoning", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize("fields", [{"reasoning": {"exclude": True}}, {"include_reasoning": False}])
async def test_reasoning_that_is_not_to_be_seen(gateway: Running, fields: dict[str, Any]) -> None:
    """With `exclude` the model reasons, is counted, and shows its answer alone, at once and as a stream."""
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
        shown = await client.chat.completions.create(**ASKED)
        hidden = await client.chat.completions.create(**ASKED, extra_body=fields)
        stream = await client.chat.completions.create(**ASKED, extra_body=fields, stream=True)
        deltas = [choice.delta.model_dump(exclude_none=True) async for chunk in stream for choice in chunk.choices]

    assert shown.choices[0].message.model_dump()["reasoning_content"]
    assert shown.choices[0].message.content == hidden.choices[0].message.content
    assert not {"reasoning", "reasoning_content"} & hidden.choices[0].message.model_dump(exclude_none=True).keys()
    assert "".join(delta.get("content", "") for delta in deltas) == shown.choices[0].message.content
    assert not [delta for delta in deltas if {"reasoning", "reasoning_content"} & delta.keys()]


async def test_forms_that_disagree(gateway: Running) -> None:
    """Two forms that say different things are a clear error."""
    body = {**ASKED, "reasoning_effort": "low", "reasoning": {"effort": "high"}}
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        reply = await http.post("/v1/chat/completions", json=body)

    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "reasoning.effort"
    assert "reasoning_effort" in reply.json()["error"]["message"]
