"""A response that is a stream of server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Final

from aiohttp import web

_COMMENT: Final = b": keep-alive\n\n"

_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}

STUCK: Final = 60.0
"""Seconds after which a client that reads nothing is given up."""


class EventStream:
    """Server-sent events to one client.

    Headers go out with the first write. Where nothing was written for `keep_alive` seconds, `sign` is: before the first
    event, too, so that no proxy in between gives up on a model that thinks. It is a comment, unless the dialect has an
    event of its own for it, or clients that bear no comment.
    """

    def __init__(
        self, request: web.Request, headers: dict[str, str], keep_alive: float, sign: bytes = _COMMENT
    ) -> None:
        self._request = request
        self._response = web.StreamResponse(headers={**_HEADERS, **headers})
        self._keep_alive = keep_alive
        self._sign = sign
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._wrote = time.monotonic()
        self._writing: float | None = None
        self._timer = self._loop.call_later(keep_alive, self._tick)
        self._signing: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether the headers are out: an error is then told within the stream."""
        return self._response.prepared

    async def write(self, data: bytes) -> None:
        """Send whole events. Raises `ConnectionResetError` where the client is gone."""
        async with self._lock:
            await self._send(data)

    def add_headers(self, headers: dict[str, str]) -> None:
        """Add to the headers, unless they are out."""
        if not self._response.prepared:
            self._response.headers.update(headers)

    async def close(self) -> web.StreamResponse:
        """End the response. A client that left right after the last event has missed nothing."""
        self.stop()
        with contextlib.suppress(ConnectionResetError):
            await self._response.write_eof()
        return self._response

    def stop(self) -> None:
        """Send no more signs of life."""
        self._timer.cancel()
        if self._signing is not None:
            self._signing.cancel()

    async def _send(self, data: bytes) -> None:
        self._writing = time.monotonic()
        try:
            if not self._response.prepared:
                await self._response.prepare(self._request)
            await self._response.write(data)
        finally:
            self._wrote = time.monotonic()
            self._writing = None

    def _tick(self) -> None:
        now = time.monotonic()
        if self._writing is not None:
            if now - self._writing >= STUCK and self._request.transport is not None:
                self._request.transport.abort()
        elif now - self._wrote >= self._keep_alive:
            self._signing = self._loop.create_task(self._send_sign())
        quiet = now - self._wrote
        due = self._keep_alive - quiet if quiet < self._keep_alive else self._keep_alive
        self._timer = self._loop.call_later(due, self._tick)

    async def _send_sign(self) -> None:
        try:
            await self.write(self._sign)
        except ConnectionResetError:
            # The handler is told by its own cancellation.
            self.stop()


def frames(chunks: Iterable[bytes]) -> bytes:
    """JSON texts as events without a type."""
    return b"".join([b"data: %b\n\n" % chunk for chunk in chunks])
