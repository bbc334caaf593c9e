"""A fake Cohere on loopback: as strict as Cohere, and scripted by what the user says last; see `_plan`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from fakes.cohere_rules import MODELS, Json, RefusedError, check

KEY = "co-fake"

ERRORS: dict[str, tuple[int, Json, dict[str, str]]] = {
    "limited": (
        429,
        {"message": "You are using a Trial key, which is limited to 20 API calls / minute."},
        {"retry-after": "7"},
    ),
    "overloaded": (503, {"message": "The service is overloaded. Please try again later."}, {}),
    "broken": (500, {"message": "internal server error, this has been reported to our developers."}, {}),
    "poor": (402, {"message": "Please add or update your payment method."}, {}),
    "long": (
        400,
        {
            "error_type": "TOO_MANY_TOKENS",
            "message": "too many tokens: exceeded by 25836 tokens. The limit for this model is 288000 tokens.",
        },
        {},
    ),
    "gone": (499, {"message": "request cancelled"}, {}),
}
"""What the user says -> the error that comes of it."""

_CITY = '{"city": "Zürich"}'


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class CohereServer:
    """Serves while it is entered: `async with CohereServer() as server`."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.abandoned = asyncio.Event()
        """Set when a client leaves a stream."""
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL, without the version of the API."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 25)
        app.router.add_post("/v2/chat", self._chat)
        app.router.add_post("/v2/embed", self._embed)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _receive(self, request: web.Request, body: Json) -> web.Response | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(request.method, request.path_qs, headers, body))
        if headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, {"message": "invalid api token"})
        return None

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        refusal = self._receive(request, await request.json())
        if refusal is not None:
            return refusal
        body = self.requests[-1].body
        try:
            check(body)
        except RefusedError as error:
            return _error(error.status, {"message": str(error)})
        word = _last_text(body)
        if word in ERRORS:
            return _error(*ERRORS[word])
        answer = _plan(body, word, len(self.requests))
        if not body.get("stream"):
            return web.json_response(answer)
        return await self._stream(request, answer, word)

    async def _stream(self, request: web.Request, answer: Json, word: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number, event in enumerate(_events(answer)):
            if word == "fails" and number == 3:
                event = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "the model failed"}}
            if word == "hangs" and number == 3:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.abandoned.set()
            if word == "breaks" and number == 3 and request.transport is not None:
                request.transport.abort()
                return response
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            if word == "fails" and event["type"] == "message-end":
                break
        return response

    async def _embed(self, request: web.Request) -> web.Response:
        refusal = self._receive(request, await request.json())
        if refusal is not None:
            return refusal
        body = self.requests[-1].body
        inputs = body.get("texts") or body.get("inputs") or []
        if not 0 < len(inputs) <= 96 or "input_type" not in body:
            return _error(400, {"message": "invalid request: total number of texts must be at most 96"})
        vectors = [[float(number), 0.5] for number in range(len(inputs))]
        units = {"billed_units": {"input_tokens": len(inputs)}}
        return web.json_response({"id": "e1", "embeddings": {"float": vectors}, "texts": [], "meta": units})

    async def _models(self, request: web.Request) -> web.Response:
        refusal = self._receive(request, {})
        if refusal is not None:
            return refusal
        return web.json_response({"models": [{"name": name, "endpoints": ["chat"]} for name in MODELS]})


def _error(status: int, wire: Json, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"id": "err-1", **wire}, status=status, headers=headers)


def _last_text(body: Json) -> str:
    texts: list[str] = []
    for content in (message["content"] for message in body["messages"] if message["role"] == "user"):
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts += (block["text"] for block in blocks if block["type"] == "text")
    return texts[-1] if texts else ""


def _plan(body: Json, word: str, number: int) -> Json:
    """The whole answer: thinking, unless the model has none or is told not to; then JSON for a schema, calls of all
    tools where they are required or for the word `tools`, what nobody may say for `unsafe`, else a text. A model that
    does not think tells its plan before it calls."""
    message: Json = {"role": "assistant"}
    content: list[Json] = []
    thinks = "reasoning" in body["model"] and body.get("thinking", {}).get("type") != "disabled"
    if thinks:
        content.append({"type": "thinking", "thinking": f"I was asked: {word}"})
    tools = [tool["function"]["name"] for tool in body.get("tools", ())]
    answered = body["messages"][-1]["role"] == "tool"
    choice = body.get("tool_choice")
    reason = "COMPLETE"
    if choice == "REQUIRED" or (word == "tools" and not answered and choice != "NONE"):
        reason = "TOOL_CALL"
        if not thinks:
            message["tool_plan"] = "I will ask all of them."
        message["tool_calls"] = [
            {"id": f"{name}_{number}", "type": "function", "function": {"name": name, "arguments": _CITY}}
            for name in tools
        ]
    elif word == "unsafe":
        reason = "ERROR_TOXIC"
    else:
        text = f"You said: {word}"
        form = body.get("response_format", {"type": "text"})
        if form["type"] == "json_object":
            text = json.dumps(dict.fromkeys(form.get("json_schema", {}).get("properties", ["a"]), "x"))
        for stop in body.get("stop_sequences", ()):
            if stop in text:
                text, reason = text[: text.index(stop)], "STOP_SEQUENCE"
        content.append({"type": "text", "text": text})
    if content:
        message["content"] = content
    return {
        "id": f"answer-{number}",
        "message": message,
        "finish_reason": reason,
        "usage": {
            "billed_units": {"input_tokens": 8, "output_tokens": 4},
            "tokens": {"input_tokens": 20, "output_tokens": 5},
            "cached_tokens": 6,
        },
    }


def _events(answer: Json) -> Iterator[Json]:
    """A whole answer as the events of a stream."""
    message = answer["message"]
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield {"id": answer["id"], "type": "message-start", "delta": {"message": empty}}
    for piece in _halves(message.get("tool_plan", "")):
        yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}
    for index, block in enumerate(message.get("content", ())):
        kind = block["type"]
        start = {"message": {"content": {"type": kind, kind: ""}}}
        yield {"type": "content-start", "index": index, "delta": start}
        for piece in _halves(block[kind]):
            yield {"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: piece}}}}
        yield {"type": "content-end", "index": index}
    for index, call in enumerate(message.get("tool_calls", ())):
        begun = {**call, "function": {**call["function"], "arguments": ""}}
        yield {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": begun}}}
        for piece in _halves(call["function"]["arguments"]):
            delta: Any = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
            yield {"type": "tool-call-delta", "index": index, "delta": delta}
        yield {"type": "tool-call-end", "index": index}
    yield {"type": "message-end", "delta": {key: answer[key] for key in ("finish_reason", "usage")}}


def _halves(text: str) -> tuple[str, ...]:
    middle = len(text) // 2
    return (text[:middle], text[middle:]) if text else ()
