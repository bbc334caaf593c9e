"""A fake Anthropic on loopback, which refuses what Anthropic refuses and answers as it answers.

What it answers is asked for by words in the last text of the user; see `_plan`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from anthropic.types.beta.message_count_tokens_params import MessageCountTokensParams
from fakes.anthropic_rules import RefusedError, UnknownModelError, blocks_of, check, sign

KEY = "sk-ant-fake"
MODELS = tuple(f"claude-{number:02}" for number in range(5))
PAGE = 2
COUNTED = 42
"""How many tokens every request has that is counted."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class AnthropicServer:
    """Serves while it is entered: `async with AnthropicServer() as server`."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.abandoned = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL, without the version of the API."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 25)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._count)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        refusal = self._receive(request, await request.json())
        if refusal is not None:
            return refusal
        body = self.requests[-1].body
        try:
            check(body)
        except UnknownModelError as error:
            return _error(404, "not_found_error", str(error))
        except RefusedError as error:
            return _error(400, "invalid_request_error", str(error))
        word = _last_text(body)
        if word == "overloaded":
            return _error(529, "overloaded_error", "Overloaded")
        if word == "limited":
            return _error(429, "rate_limit_error", "Slow down", {"retry-after": "7"})
        if word == "long":
            return _error(400, "invalid_request_error", "prompt is too long: 200001 tokens > 200000 maximum")
        message = _plan(body, word)
        headers = {"request-id": f"req_{len(self.requests)}"}
        if not body.get("stream"):
            return web.json_response(message, headers=headers)
        return await self._stream(request, message, word, headers)

    async def _count(self, request: web.Request) -> web.Response:
        refusal = self._receive(request, await request.json())
        if refusal is not None:
            return refusal
        body = self.requests[-1].body
        unknown = [key for key in body if key not in MessageCountTokensParams.__annotations__]
        try:
            check({"max_tokens": 64_000, **body})
        except RefusedError as error:
            return _error(400, "invalid_request_error", str(error))
        if unknown:
            return _error(400, "invalid_request_error", f"{unknown[0]}: Extra inputs are not permitted")
        return web.json_response({"input_tokens": COUNTED})

    async def _stream(
        self, request: web.Request, message: Json, word: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream"})
        await response.prepare(request)
        for number, event in enumerate(_events(message)):
            if word == "fails" and number == 3:
                event = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            if word == "hangs" and number == 4:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.abandoned.set()
            if word == "breaks" and number == 3 and request.transport is not None:
                request.transport.abort()
                return response
            if word == "ends" and event["type"] == "message_stop":
                break
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            if event["type"] == "error":
                break
        return response

    async def _models(self, request: web.Request) -> web.Response:
        refusal = self._receive(request, {})
        if refusal is not None:
            return refusal
        start = MODELS.index(request.query["after_id"]) + 1 if "after_id" in request.query else 0
        page = MODELS[start : start + min(PAGE, int(request.query.get("limit", PAGE)))]
        entries = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in page
        ]
        more = start + len(page) < len(MODELS)
        return web.json_response({"data": entries, "has_more": more, "first_id": page[0], "last_id": page[-1]})

    def _receive(self, request: web.Request, body: Json) -> web.Response | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(request.method, request.path_qs, headers, body))
        if KEY not in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")):
            return _error(401, "authentication_error", "invalid x-api-key")
        if headers.get("anthropic-version") not in ("2023-06-01", "2026-10-21"):
            return _error(400, "invalid_request_error", "anthropic-version: header is required")
        return None


def _error(status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
    wire = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_x"}
    return web.json_response(wire, status=status, headers=headers)


def _last_text(body: Json) -> str:
    texts = [
        block["text"]
        for message in body["messages"]
        if message["role"] == "user"
        for block in blocks_of(message)
        if block["type"] == "text"
    ]
    return texts[-1] if texts else ""


def _plan(body: Json, word: str) -> Json:
    """The whole answer: thinking where that is asked for; then JSON for a schema, calls of a forced tool or of all
    tools for the word `tools`, else a text."""
    content: list[Json] = []
    if body.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        thought = f"I was asked: {word}"
        content.append({"type": "thinking", "thinking": thought, "signature": sign(thought)})
        content.append({"type": "redacted_thinking", "data": f"sealed:{len(body['messages'])}"})
    choice = body.get("tool_choice", {"type": "auto"})
    names = [tool["name"] for tool in body.get("tools", ())]
    answered = any(block["type"] == "tool_result" for block in blocks_of(body["messages"][-1]))
    calls: list[str] = []
    stop: str | None = None
    if choice["type"] == "tool":
        calls = [choice["name"]]
    elif choice["type"] == "any" or (word == "tools" and not answered and choice["type"] == "auto"):
        calls = names[:1] if choice.get("disable_parallel_tool_use") else names
    form = body.get("output_config", {}).get("format")
    if form is not None:
        content.append({"type": "text", "text": json.dumps(_example(form["schema"]))})
    elif not calls:
        text = f"You said: {word}"
        stop = next((one for one in body.get("stop_sequences", ()) if one in text), None)
        content.append({"type": "text", "text": text if stop is None else text[: text.index(stop)]})
    for number, name in enumerate(calls):
        used = f"toolu_{len(body['messages'])}_{number}"
        content.append({"type": "tool_use", "id": used, "name": name, "input": {"city": "Zürich"}})
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "tool_use" if calls else _reason(word, stop),
        "stop_sequence": stop,
        "stop_details": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 4,
            "cache_read_input_tokens": 6,
            "output_tokens": 5,
            "service_tier": "standard",
        },
    }


def _reason(word: str, stop: str | None) -> str:
    if word == "unsafe":
        return "refusal"
    return "end_turn" if stop is None else "stop_sequence"


def _example(schema: Json) -> Any:
    kinds = {"string": "x", "integer": 1, "number": 1.5, "boolean": True, "array": [], "null": None}
    if schema.get("type") == "object":
        return {name: _example(inner) for name, inner in schema.get("properties", {}).items()}
    return kinds[schema["type"]]


def _events(message: Json) -> Iterator[Json]:
    """A whole answer as the events of a stream."""
    usage = message["usage"]
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {**usage, "output_tokens": 1}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        empty: Json = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
        yield {
            "type": "content_block_start",
            "index": index,
            "content_block": {**block, **empty.get(block["type"], {})},
        }
        yield {"type": "ping"}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {key: message[key] for key in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def _deltas(block: Json) -> Iterator[Json]:
    match block["type"]:
        case "text":
            yield from ({"type": "text_delta", "text": text} for text in _halves(block["text"]))
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": text} for text in _halves(block["thinking"]))
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            pieces = ["", *_halves(json.dumps(block["input"]))]
            yield from ({"type": "input_json_delta", "partial_json": text} for text in pieces)


def _halves(text: str) -> tuple[str, str]:
    middle = len(text) // 2
    return text[:middle], text[middle:]
