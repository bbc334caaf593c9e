"""A fake Mistral on loopback, which refuses what Mistral refuses and answers as it answers; see `chat_server`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from fakes.chat_server import ChatServer, Json, Received, RefusedError, Said, halves
from fakes.mistral_rules import check, refused, seal

KEY = "mistral-fake"
MODELS = ("mistral-small-latest", "mistral-large-latest", "magistral-medium-latest")

TOO_LONG = "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"


class MistralServer(ChatServer):
    """Serves while it is entered: `async with MistralServer() as server`."""

    models = MODELS
    id_header = "mistral-correlation-id"
    usage_with_finish = True
    whole_calls = True

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{self.origin}/v1"

    @property
    def failure(self) -> Json:
        """An error in Mistral's form, in place of a chunk."""
        return {"object": "error", "message": "Service unavailable.", "type": "internal", "raw_status_code": 503}

    def authorize(self, received: Received) -> None:
        if received.headers.get("authorization") != f"Bearer {KEY}":
            raise RefusedError(401, {"detail": "Invalid API Key"})

    def check(self, received: Received) -> None:
        check(received.body)
        if received.body["model"] not in MODELS:
            raise refused(f"Invalid model: {received.body['model']}", "invalid_model", "1500")

    def refuse(self, word: str) -> None:
        match word:
            case "limited":
                raise RefusedError(429, {"message": "Requests rate limit exceeded"}, {"retry-after": "7"})
            case "overloaded":
                raise refused("Service unavailable.", "unreachable_backend", "1100", 503)
            case "poor":
                raise RefusedError(402, {"message": "Payment required", "request_id": "req"})
            case "broken":
                raise refused("Internal server error", "internal_server_error", "1000", 500)
            case "long":
                raise refused(TOO_LONG, "invalid_request_prompt", "3051")

    def think(self, body: Json, word: str) -> str:
        """The models that reason do so where they are asked to; Magistral does unasked."""
        if body["model"].startswith("magistral"):
            return f"Asked: {word}"
        return f"Asked: {word}" if body.get("reasoning_effort") not in (None, "none") else ""

    def call_id(self, turn: int, number: int) -> str:
        return hashlib.sha256(f"{turn}/{number}".encode()).hexdigest()[:9]

    def message(self, said: Said) -> Json:
        message: Json = {"role": "assistant", "tool_calls": said.calls or None, "content": said.text}
        if said.thought:
            blocks = [_thinking(said.thought, signature=seal(said.thought), closed=True)]
            message["content"] = blocks + ([{"type": "text", "text": said.text}] if said.text else [])
        elif said.text.endswith("cite"):
            message["content"] = _cited(said.text)
        return message

    def deltas(self, said: Said) -> Iterator[Json]:
        yield {"role": "assistant", "content": ""}
        for text in halves(said.thought):
            yield {"content": [_thinking(text)]}
        if said.thought:
            yield {"content": [_thinking("", signature=seal(said.thought), closed=True)]}
        if said.text.endswith("cite"):
            yield from ({"content": [block]} for block in _cited(said.text))
        else:
            yield from ({"content": text} for text in halves(said.text))
        yield from self.call_deltas(said)

    def usage(self, said: Said) -> Json:
        counts: Json = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
        return {**counts, "prompt_tokens_details": {"cached_tokens": 6}, "service_tier": "standard"}


def _thinking(text: str, **more: Any) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}] if text else [], **more}


def _cited(text: str) -> list[Json]:
    blocks: list[Json] = [{"type": "text", "text": text}, {"type": "reference", "reference_ids": [1, 2]}]
    return [*blocks, {"type": "text", "text": "."}]
