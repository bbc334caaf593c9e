"""A provider that answers at once and costs next to nothing, so that what is in front of it is measured."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from payload import http_answer, http_chunks

PAUSE: Final = 0.003
"""Seconds between two chunks of a paced stream: long enough for each to arrive alone."""

_UNARY: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: %d\r\n\r\n%b"
)
_STREAM: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_LAST: Final = b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection. The name of the model says how it is answered: `unary`, `burst` or `paced`."""

    unary: bytes
    burst: bytes
    paced: list[bytes]

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank or len(body) < _length(head):
            return
        self._received = b""
        if self._transport is None:
            return
        if b'"model":"unary"' in body:
            self._transport.write(self.unary)
        elif b'"model":"burst"' in body:
            self._transport.write(self.burst)
        else:
            self._send(0)

    def _send(self, index: int) -> None:
        if self._transport is None:
            return
        self._transport.write(self.paced[index])
        if index + 1 < len(self.paced):
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._send, index + 1)


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve() -> tuple[int, asyncio.Server]:
    """Listen on loopback; the port and the server."""
    body = http_answer()
    chunks = [_framed(chunk) for chunk in http_chunks()]
    Upstream.unary = _UNARY % (len(body), body)
    Upstream.burst = _STREAM + b"".join(chunks) + _LAST
    Upstream.paced = [_STREAM + chunks[0], *chunks[1:-1], chunks[-1] + _LAST]
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    return server.sockets[0].getsockname()[1], server
