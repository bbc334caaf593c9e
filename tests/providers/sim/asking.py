"""Asks the simulator in process, and reads what it answers with the SDK's own types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from trunkline.providers.sim.transport import SimTransport

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}

CLOCK = {"type": "function", "function": {"name": "get_time"}}


@dataclass(frozen=True, slots=True)
class Got:
    """A reply, read to its end."""

    status: int
    headers: Mapping[str, str]
    chunks: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]

    @property
    def completion(self) -> ChatCompletion:
        return ChatCompletion.model_validate_json(self.body)

    @property
    def data(self) -> list[str]:
        """The data of each event, none of which spans lines."""
        lines = self.body.decode().split("\n\n")
        assert lines.pop() == ""
        assert all(line.startswith("data: ") for line in lines)
        return [line.removeprefix("data: ") for line in lines]

    @property
    def events(self) -> list[ChatCompletionChunk]:
        """The chunks of a whole stream."""
        *chunks, done = self.data
        assert done == "[DONE]"
        return [ChatCompletionChunk.model_validate_json(chunk) for chunk in chunks]


def body_of(model: str, text: str = "Hello there, old world", **fields: Any) -> bytes:
    """A request body; `fields` replace or add to the model and the user's message."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **fields}).encode()


async def send(transport: SimTransport, body: bytes) -> Got:
    """Send a chat completion request and read the reply."""
    reply = await transport.send("POST", "/chat/completions", {}, body)
    try:
        return Got(reply.status, reply.headers, [chunk async for chunk in reply.chunks()])
    finally:
        await reply.close()


async def ask(transport: SimTransport, model: str, text: str = "Hello there, old world", **fields: Any) -> Got:
    """Ask `model`; see `body_of`."""
    return await send(transport, body_of(model, text, **fields))


async def stream(transport: SimTransport, model: str, text: str = "Hello there, old world", **fields: Any) -> Got:
    """Ask `model` for a stream with usage; see `body_of`."""
    return await ask(transport, model, text, **{"stream": True, "stream_options": {"include_usage": True}, **fields})
