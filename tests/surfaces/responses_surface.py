"""Responses, by OpenAI's SDK: stateless, as the coding agents use it."""

from __future__ import annotations

import json
from typing import Any

import openai
from surfaces.said import CITY, LONG, NAMED, NO_TLS, Asked, Said, Surface


class ResponsesSurface(Surface):
    """A client that sends every item back."""

    errors = openai.APIError

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=http)

    async def ask(self, asked: Asked) -> Said:
        if asked.streamed:
            response = None
            numbers = []
            async for event in await self._create(asked, stream=True):
                numbers.append(event.sequence_number)
                if event.type == "response.completed":
                    response = event.response
            assert numbers == list(range(len(numbers)))
        else:
            response = await self._create(asked)
        assert response is not None
        assert response.status == "completed"
        assert response.usage is not None
        turn = [item.model_dump(exclude_none=True) for item in response.output]
        reasoning = "".join(
            part.text
            for item in response.output
            if item.type == "reasoning"
            for part in [*item.summary, *(item.content or ())]
        )
        calls = [
            (item.call_id, item.name, json.loads(item.arguments))
            for item in response.output
            if item.type == "function_call"
        ]
        return Said(response.output_text, reasoning, calls, turn, response.usage.total_tokens)

    async def _create(self, asked: Asked, **more: Any) -> Any:
        body = self._body(asked) | more
        if len(asked.history) > LONG:
            raw = {name: body.pop(name) for name in ("input", "tools") if name in body}
            return await self.client.responses.create(**body, extra_body=raw)
        return await self.client.responses.create(**body)

    def _body(self, asked: Asked) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": asked.model,
            "input": asked.history,
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }
        if asked.system:
            body["input"] = [{"role": "developer", "content": asked.system}, *asked.history]
        if asked.tools:
            body["tools"] = [{"type": "function", "name": name, "parameters": CITY} for name in asked.tools]
        if asked.forced:
            body["tool_choice"] = {"type": "function", "name": asked.forced}
        if asked.schema:
            body["text"] = {"format": {"type": "json_schema", "name": "named", "schema": NAMED, "strict": True}}
        if asked.reasoning:
            body["reasoning"] = {"effort": "low", "summary": "auto"}
        return body

    def user(self, text: str, image: str = "") -> Any:
        if not image:
            return {"role": "user", "content": text}
        picture = {"type": "input_image", "image_url": f"data:image/png;base64,{image}", "detail": "auto"}
        return {"role": "user", "content": [picture, {"type": "input_text", "text": text}]}

    def answered(self, results: dict[str, str], said: Said, image: str = "") -> list[Any]:
        shown = {"type": "input_image", "image_url": f"data:image/png;base64,{image}", "detail": "auto"}
        return [
            {
                "type": "function_call_output",
                "call_id": name,
                "output": [{"type": "input_text", "text": text}, shown] if image else text,
            }
            for name, text in results.items()
        ]

    async def begin(self, asked: Asked) -> Any:
        stream = await self._create(asked, stream=True)
        await anext(aiter(stream))
        return stream

    async def close(self) -> None:
        await self.client.close()

    def status(self, error: Exception) -> int | None:
        return getattr(error, "status_code", None)
