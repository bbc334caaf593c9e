"""Chat Completions, by OpenAI's SDK."""

from __future__ import annotations

import json
from typing import Any

import openai
from surfaces.said import CITY, NAMED, NO_TLS, Asked, Said, Surface

_PIECES = ("role", "content", "reasoning_content", "reasoning", "reasoning_details", "tool_calls")
"""What a delta tells piece by piece."""


class ChatSurface(Surface):
    """A client that keeps the messages of answers as it got them, with the fields that its types do not know."""

    errors = openai.APIError

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=http)

    async def ask(self, asked: Asked) -> Said:
        if asked.streamed:
            return await self._stream(asked)
        answer = await self.client.chat.completions.create(**self._body(asked))
        message = answer.choices[0].message
        turn = message.model_dump(exclude_none=True)
        assert answer.usage is not None
        return self._said(turn, answer.usage.total_tokens)

    async def _stream(self, asked: Asked) -> Said:
        turn: dict[str, Any] = {"role": "assistant"}
        calls: dict[int, dict[str, Any]] = {}
        tokens = 0
        finish = None
        body = {**self._body(asked), "stream": True, "stream_options": {"include_usage": True}}
        async for chunk in await self.client.chat.completions.create(**body):
            if chunk.usage is not None:
                tokens = chunk.usage.total_tokens
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                delta = choice.delta.model_dump(exclude_none=True)
                for key in ("content", "reasoning_content"):
                    if delta.get(key):
                        turn[key] = turn.get(key, "") + delta[key]
                turn.setdefault("reasoning_details", []).extend(delta.get("reasoning_details", []))
                for call in delta.get("tool_calls", []):
                    kept = calls.setdefault(call["index"], {"type": "function", "function": {"arguments": ""}})
                    function = call.pop("function", {})
                    kept |= {key: value for key, value in call.items() if key != "index"}
                    kept["function"]["arguments"] += function.pop("arguments", None) or ""
                    kept["function"] |= function
                turn |= {key: value for key, value in delta.items() if key not in _PIECES}
        assert finish is not None
        if calls:
            turn["tool_calls"] = list(calls.values())
        return self._said(turn, tokens)

    def _said(self, turn: dict[str, Any], tokens: int) -> Said:
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in turn.get("tool_calls", [])
        ]
        return Said(turn.get("content") or "", turn.get("reasoning_content") or "", calls, [turn], tokens)

    def _body(self, asked: Asked) -> dict[str, Any]:
        body: dict[str, Any] = {"model": asked.model, "messages": asked.history}
        if asked.system:
            part = {"type": "text", "text": asked.system, "cache_control": {"type": "ephemeral"}}
            body["messages"] = [{"role": "system", "content": [part]}, *asked.history]
        if asked.tools:
            functions = [{"name": name, "parameters": CITY} for name in asked.tools]
            body["tools"] = [{"type": "function", "function": function} for function in functions]
        if asked.forced:
            body["tool_choice"] = {"type": "function", "function": {"name": asked.forced}}
        if asked.schema:
            named = {"name": "named", "schema": NAMED, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        if asked.reasoning:
            body["reasoning_effort"] = "low"
        return body

    def user(self, text: str, image: str = "") -> Any:
        if not image:
            return {"role": "user", "content": text}
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
        return {"role": "user", "content": [picture, {"type": "text", "text": text}]}

    def answered(self, results: dict[str, str], said: Said, image: str = "") -> list[Any]:
        shown = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}] if image else []
        return [
            {"role": "tool", "tool_call_id": name, "content": [{"type": "text", "text": text}, *shown]}
            for name, text in results.items()
        ]

    async def begin(self, asked: Asked) -> Any:
        stream = await self.client.chat.completions.create(**self._body(asked), stream=True)
        await anext(aiter(stream))
        return stream

    async def close(self) -> None:
        await self.client.close()

    def status(self, error: Exception) -> int | None:
        return getattr(error, "status_code", None)
