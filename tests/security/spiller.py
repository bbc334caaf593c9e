"""A provider on loopback, of any kind, that repeats in its errors whatever was sent to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, Self

from aiohttp import web

_CHUNK = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def _error(told: str) -> bytes:
    return json.dumps({"error": {"message": told, "type": "authentication_error", "code": 401}}).encode()


def _events(*datas: Any, end: bytes = b"") -> bytes:
    return b"".join(b"data: " + json.dumps(data).encode() + b"\n\n" for data in datas) + end


def _words(stream: bool) -> bytes:
    if not stream:
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        return json.dumps(
            {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        ).encode()
    delta = {"index": 0, "delta": {"content": "Hi"}}
    return _events(
        {**_CHUNK, "choices": [delta]},
        {**_CHUNK, "choices": [{**delta, "finish_reason": "stop"}]},
        end=b"data: [DONE]\n\n",
    )


def _cut() -> bytes:
    return _events({**_CHUNK, "choices": [{"index": 0, "delta": {"content": "Hi"}}]})


def _broken(told: str) -> bytes:
    return _events({**_CHUNK, "choices": []}, {"error": {"message": told}})


_JSON, _SSE = "application/json", "text/event-stream"

_MODES: Final[dict[str, tuple[int, str, Callable[[str, bool], bytes]]]] = {
    "words": (200, _JSON, lambda _, stream: _words(stream)),
    "quote400": (400, _JSON, lambda told, _: _error(f"Bad request: {told}")),
    "quote401": (401, _JSON, lambda told, _: _error(f"Incorrect API key provided: {told}")),
    "quote404": (404, _JSON, lambda told, _: _error(f"No such model for {told}")),
    "quote429": (429, _JSON, lambda told, _: _error(f"Slow down, {told}")),
    "quote500": (500, "text/html", lambda told, _: f"<html><title>{told}</title>{told}</html>".encode()),
    "plain502": (502, "text/plain", lambda told, _: told.encode()),
    "quote200": (200, _JSON, lambda told, _: _error(told)),
    "garbage": (200, _JSON, lambda told, _: f'{{"choices": "{told}"'.encode()),
    "broken": (200, _SSE, lambda told, _: _broken(told)),
    "cut": (200, _SSE, lambda told, _: _cut()),
}

MODES: Final = tuple(_MODES)
"""The models that there are, each an answer of its own."""


class Spiller:
    """Serves every path while it is entered."""

    def __init__(self) -> None:
        self.asked = 0
        self.heard = b""
        """Everything that was sent to it."""
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Its address, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked += 1
        told = ", ".join(f"{name}: {value}" for name, value in request.headers.items() if name != "Content-Type")
        told += " " + " ".join(value for value in request.headers.values())
        self.heard += told.encode() + body
        asked = request.path.encode() + body
        mode = next((name for name in MODES if name.encode() in asked), "quote401")
        status, content_type, make = _MODES[mode]
        stream = b'"stream":true' in body
        if mode == "words" and stream:
            content_type = "text/event-stream"
        return web.Response(status=status, body=make(told, stream), content_type=content_type)
