"""Messages, by Anthropic's SDK."""

from __future__ import annotations

from typing import Any

import anthropic
from surfaces.said import CITY, NAMED, NO_TLS, Asked, Said, Surface


class MessagesSurface(Surface):
    """A client that sends every block back, thinking among them."""

    errors = anthropic.APIError

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        http = anthropic.DefaultAsyncHttpxClient(verify=NO_TLS)
        self.client = anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0, http_client=http)

    async def ask(self, asked: Asked) -> Said:
        if asked.streamed:
            async with self.client.messages.stream(**self._body(asked)) as stream:
                async for _ in stream:
                    pass
                message = await stream.get_final_message()
        else:
            message = await self.client.messages.create(**self._body(asked))
        assert message.stop_reason is not None
        calls = [(block.id, block.name, dict(block.input)) for block in message.content if block.type == "tool_use"]
        content = [block.model_dump(exclude_none=True) for block in message.content]
        for block in content:
            block.pop("parsed_output", None)
        return Said(
            "".join(block.text for block in message.content if block.type == "text"),
            "".join(block.thinking for block in message.content if block.type == "thinking"),
            calls,
            [{"role": "assistant", "content": content}],
            message.usage.input_tokens + message.usage.output_tokens,
        )

    def _body(self, asked: Asked) -> dict[str, Any]:
        body: dict[str, Any] = {"model": asked.model, "messages": asked.history, "max_tokens": 4096}
        if asked.system:
            body["system"] = [{"type": "text", "text": asked.system, "cache_control": {"type": "ephemeral"}}]
        if asked.tools:
            body["tools"] = [{"name": name, "input_schema": CITY} for name in asked.tools]
        if asked.forced:
            body["tool_choice"] = {"type": "tool", "name": asked.forced}
        if asked.schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": NAMED}}
        if asked.reasoning:
            body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        return body

    def user(self, text: str, image: str = "") -> Any:
        if not image:
            return {"role": "user", "content": text}
        source = {"type": "base64", "media_type": "image/png", "data": image}
        return {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": text}]}

    def answered(self, results: dict[str, str], said: Said, image: str = "") -> list[Any]:
        source = {"type": "base64", "media_type": "image/png", "data": image}
        shown = [{"type": "image", "source": source}] if image else []
        blocks = [
            {"type": "tool_result", "tool_use_id": name, "content": [{"type": "text", "text": text}, *shown]}
            for name, text in results.items()
        ]
        return [{"role": "user", "content": blocks}]

    async def begin(self, asked: Asked) -> Any:
        stream = await self.client.messages.create(**self._body(asked), stream=True)
        await anext(aiter(stream))
        return stream

    async def close(self) -> None:
        await self.client.close()

    def status(self, error: Exception) -> int | None:
        return getattr(error, "status_code", None)
