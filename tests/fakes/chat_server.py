"""A fake server of OpenAI's Chat Completions on loopback; each provider's own says how it differs.

What it answers is asked for by words in the last text of the user: `tools` calls all tools, `cut` ends by length,
`unsafe` by a filter; `fails`, `hangs`, `breaks` and `ends` are streams that come to nothing.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from aiohttp import web

Json = dict[str, Any]


class RefusedError(Exception):
    """A request is refused, with the provider's own status and body."""

    def __init__(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(json.dumps(body))
        self.status = status
        self.body = body
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


@dataclass(slots=True)
class Said:
    """What the model says."""

    text: str
    finish: str
    thought: str = ""
    calls: list[Json] = field(default_factory=list)


class ChatServer(ABC):
    """Serves while it is entered. `requests` is what came; `abandoned` is set when a client leaves a stream."""

    paths: ClassVar[tuple[str, ...]] = ("/v1/chat/completions",)
    models: ClassVar[tuple[str, ...]] = ()
    id_header: ClassVar[str] = "x-request-id"
    usage_with_finish: ClassVar[bool] = False
    """Whether the usage of a stream comes with the finish reason, or in a chunk of its own for who asks."""
    whole_calls: ClassVar[bool] = False
    """Whether a call comes in one delta."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.abandoned = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def origin(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    @abstractmethod
    def url(self) -> str:
        """The base URL."""

    @abstractmethod
    def authorize(self, received: Received) -> None:
        """Raise `RefusedError` where the key is wrong."""

    @abstractmethod
    def check(self, received: Received) -> None:
        """Raise `RefusedError` where the provider would refuse the request."""

    @abstractmethod
    def refuse(self, word: str) -> None:
        """Raise `RefusedError` where `word` asks for one."""

    @abstractmethod
    def think(self, body: Json, word: str) -> str:
        """What the model thinks before it says something."""

    @abstractmethod
    def call_id(self, turn: int, number: int) -> str:
        """The id of a call."""

    @property
    @abstractmethod
    def failure(self) -> Json:
        """The chunk that tells of an error within a stream."""

    def message(self, said: Said) -> Json:
        """The message of a whole answer."""
        message: Json = {"role": "assistant", "content": said.text or None}
        if said.thought:
            message["reasoning_content"] = said.thought
        if said.calls:
            message["tool_calls"] = said.calls
        return message

    def deltas(self, said: Said) -> Iterator[Json]:
        """What the message is streamed as."""
        yield {"role": "assistant", "content": ""}
        yield from ({"reasoning_content": text} for text in halves(said.thought))
        yield from ({"content": text} for text in halves(said.text))
        yield from self.call_deltas(said)

    def call_deltas(self, said: Said) -> Iterator[Json]:
        """The calls, in deltas."""
        for number, call in enumerate(said.calls):
            if self.whole_calls:
                yield {"tool_calls": [{"index": number, **call}]}
                continue
            function = {**call["function"], "arguments": ""}
            yield {"tool_calls": [{"index": number, **call, "function": function}]}
            for text in halves(call["function"]["arguments"]):
                yield {"tool_calls": [{"index": number, "function": {"arguments": text}}]}

    def usage(self, said: Said) -> Json:
        """What an answer used."""
        thought = {"completion_tokens_details": {"reasoning_tokens": 2}} if said.thought else {}
        counts: Json = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
        return {**counts, "prompt_tokens_details": {"cached_tokens": 6}, **thought}

    def dress(self, response: Json) -> Json:
        """A whole answer with what the provider adds to it."""
        return response

    def prelude(self) -> Iterator[Json]:
        """The chunks before the first."""
        yield from ()

    def route(self, router: web.UrlDispatcher) -> None:
        """Say what answers at which path."""
        for path in self.paths:
            router.add_post(path, self._chat)
            router.add_get(path.replace("chat/completions", "models"), self._models)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 25)
        self.route(app.router)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        received = self.receive(request, await request.json())
        word = last_text(received.body)
        try:
            self.authorize(received)
            self.check(received)
            self.refuse(word)
        except RefusedError as error:
            return web.json_response(error.body, status=error.status, headers=error.headers)
        said = [self._say(received.body, word)] * (received.body.get("n") or 1)
        headers = {self.id_header: f"req_{len(self.requests)}"}
        if received.body.get("stream"):
            return await self._stream(request, received.body, said, word, headers)
        choices = [
            {"index": index, "message": self.message(one), "logprobs": None, "finish_reason": one.finish}
            for index, one in enumerate(said)
        ]
        response = {**self._head(received.body, "chat.completion"), "choices": choices, "usage": self.usage(said[0])}
        return web.json_response(self.dress(response), headers=headers)

    async def _stream(
        self, request: web.Request, body: Json, said: list[Said], word: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream"})
        await response.prepare(request)
        for number, chunk in enumerate(self._chunks(body, said)):
            if word == "hangs" and number == 3:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.abandoned.set()
            if word == "breaks" and number == 3 and request.transport is not None:
                request.transport.abort()
                return response
            if word == "fails" and number == 3:
                await _send(response, self.failure)
                return response
            if word == "ends" and any(choice["finish_reason"] for choice in chunk["choices"]):
                return response
            await _send(response, chunk)
        await response.write(b"data: [DONE]\n\n")
        return response

    def _chunks(self, body: Json, said: list[Said]) -> Iterator[Json]:
        head = self._head(body, "chat.completion.chunk")
        usage = {"usage": self.usage(said[0])}
        yield from self.prelude()
        for index, one in enumerate(said):
            for delta in self.deltas(one):
                yield {**head, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}
        for index, one in enumerate(said):
            more = usage if self.usage_with_finish else {}
            yield {**head, "choices": [{"index": index, "delta": {}, "finish_reason": one.finish}], **more}
        if not self.usage_with_finish and (body.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], **usage}

    async def _models(self, request: web.Request) -> web.Response:
        received = self.receive(request, {})
        try:
            self.authorize(received)
        except RefusedError as error:
            return web.json_response(error.body, status=error.status)
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    def receive(self, request: web.Request, body: Json) -> Received:
        """Note a request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.method, request.path_qs, headers, body)
        self.requests.append(received)
        return received

    def _head(self, body: Json, kind: str) -> Json:
        return {"id": f"chat-{len(body['messages'])}", "object": kind, "created": 1700000000, "model": body["model"]}

    def _say(self, body: Json, word: str) -> Said:
        """Calls of a forced tool or of all tools, else JSON where that is asked for, else what the user said."""
        said = Said(f"You said: {word}", {"cut": "length", "unsafe": "content_filter"}.get(word, "stop"))
        said.thought = self.think(body, word)
        choice = body.get("tool_choice", "auto")
        names = [tool["function"]["name"] for tool in body.get("tools") or ()]
        if isinstance(choice, dict):
            names = [choice["function"]["name"]]
        elif choice in ("required", "any"):
            names = names if body.get("parallel_tool_calls", True) else names[:1]
        elif choice == "none" or word != "tools" or body["messages"][-1]["role"] == "tool":
            names = []
        turn = len(body["messages"])
        for number, name in enumerate(names):
            function = {"name": name, "arguments": '{"city": "Zürich"}'}
            said.calls.append({"id": self.call_id(turn, number), "type": "function", "function": function})
        form = body.get("response_format") or {}
        if said.calls:
            said.text, said.finish = "", "tool_calls"
        elif form.get("type") == "json_schema":
            said.text = json.dumps(dict.fromkeys(form["json_schema"]["schema"]["properties"], "x"))
        elif form.get("type") == "json_object":
            said.text = '{"name": "x"}'
        else:
            stops = [said.text.index(one) for one in body.get("stop") or () if one in said.text]
            said.text = said.text[: min(stops, default=None)]
        return said


def last_text(body: Json) -> str:
    """The last text of the user."""
    said = [message["content"] for message in body["messages"] if message["role"] == "user"]
    last = said[-1] if said else ""
    return last if isinstance(last, str) else next((part["text"] for part in last if "text" in part), "")


def halves(text: str) -> list[str]:
    """`text` in two pieces, or none."""
    middle = (len(text) + 1) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def parts_of(message: Json) -> list[Json]:
    """The parts of a message's content."""
    content = message.get("content")
    return content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []


async def _send(response: web.StreamResponse, chunk: Json) -> None:
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
