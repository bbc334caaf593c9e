"""Closed loops of calls: each connection asks anew as soon as it was answered, and every answer is checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

import grpc
import msgspec
from payload import TEXT, grpc_request, http_request

from trunkline.core.fold import fold
from trunkline.v1.chat_pb2 import DESCRIPTOR, ChatEvent, ChatResponse

_SERVICE: Final = f"/{DESCRIPTOR.services_by_name['ChatService'].full_name}"

More = Callable[[], bool]
"""Whether another call is to be made; asked before each but the first of a connection."""


_DIFFERENCE = 8
"""Bytes by which answers may differ: they tell how long they took."""


class LoadError(Exception):
    """An answer was not what it should be, or none came."""


@dataclass(slots=True)
class Sample:
    """What a load made: its calls, their times in nanoseconds, and the pieces in which all answers came."""

    times: list[int] = field(default_factory=list)
    pieces: int = 0

    @property
    def calls(self) -> int:
        """The number of calls."""
        return len(self.times)


class Load(Protocol):
    """A kind of call to one server."""

    async def run(self, more: More) -> Sample:
        """Call until there is no more to be made, and the last call is answered. Raises `LoadError`."""
        ...

    async def open(self) -> None:
        """Make the connections, and one call whose answer is read."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class HttpLoad:
    """`POST /v1/chat/completions` over HTTP/1.1, written by hand: a client would cost more than what is measured."""

    def __init__(self, port: int, model: str, connections: int, key: str = "") -> None:
        self._port = port
        self._stream = not model.endswith("unary")
        self._request = http_request("/v1/chat/completions", model, stream=self._stream, key=key)
        self._size = connections
        self._connections: list[_Connection] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self._size):
            _, connection = await loop.create_connection(lambda: _Connection(self._request), "127.0.0.1", self._port)
            self._connections.append(connection)
        first = self._connections[0]
        await first.run(lambda: False, Sample())
        body = _check(first.body, stream=self._stream)
        for connection in self._connections:
            connection.expected = len(body)

    async def run(self, more: More) -> Sample:
        sample = Sample()
        await asyncio.gather(*(connection.run(more, sample) for connection in self._connections))
        return sample

    async def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()


class _Connection(asyncio.Protocol):
    """One connection: works in callbacks alone, as a task for each call would double its cost."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._head = -1
        self._length: int | None = None
        self._started = 0
        self._more: More = lambda: False
        self._sample = Sample()
        self._done: asyncio.Future[None] | None = None
        self.expected: int | None = None
        self.body = b""

    async def run(self, more: More, sample: Sample) -> None:
        """Call, adding to `sample`."""
        self._more, self._sample = more, sample
        self._done = asyncio.get_running_loop().create_future()
        self._send()
        await self._done

    def close(self) -> None:
        """Close the connection."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was closed within an answer: {exc}")

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if self._head < 0:
            self._head = received.find(b"\r\n\r\n")
            if self._head < 0:
                return
            self._length = _content_length(received[: self._head])
        if self._length is None:
            if received.endswith(b"\r\n0\r\n\r\n"):
                self._answered()
        elif len(received) >= self._head + 4 + self._length:
            self._answered()

    def _send(self) -> None:
        self._received.clear()
        self._head = -1
        self._started = time.perf_counter_ns()
        self._transport.write(self._request)

    def _answered(self) -> None:
        took = time.perf_counter_ns() - self._started
        received = bytes(self._received)
        if not received.startswith(b"HTTP/1.1 200 "):
            self._fail(f"an answer was not 200: {received[:400]!r}")
            return
        body = received[self._head + 4 :]
        if self._length is None:
            pieces = _unframe(body)
            self._sample.pieces += len(pieces)
            body = b"".join(pieces)
        if self.expected is None:
            self.body = body
        elif abs(len(body) - self.expected) > _DIFFERENCE:
            self._fail(f"an answer has {len(body)} bytes, the others {self.expected}")
            return
        self._sample.times.append(took)
        if self._more():
            self._send()
        elif self._done is not None:
            self._done.set_result(None)

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(LoadError(why))


class GrpcLoad:
    """`Chat` or `StreamChat` on one channel; answers are taken as bytes, since reading them is not what is measured."""

    def __init__(self, port: int, model: str, connections: int) -> None:
        self._address = f"127.0.0.1:{port}"
        self._stream = not model.endswith("unary")
        self._request = grpc_request(model).SerializeToString()
        self._size = connections
        self._channel: grpc.aio.Channel
        self._expected = (0, 0)

    async def open(self) -> None:
        self._channel = channel = grpc.aio.insecure_channel(self._address)
        self._chat: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"{_SERVICE}/Chat")
        self._stream_chat: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            f"{_SERVICE}/StreamChat"
        )
        answers = await self._call()
        if self._stream:
            response = fold(ChatEvent.FromString(answer) for answer in answers)
        else:
            response = ChatResponse.FromString(answers[0])
        if [part.text for choice in response.choices for part in choice.message.parts] != [TEXT]:
            raise LoadError("an answer over gRPC has another text")
        self._expected = len(answers), sum(map(len, answers))

    async def run(self, more: More) -> Sample:
        sample = Sample()
        await asyncio.gather(*(self._loop(more, sample) for _ in range(self._size)))
        return sample

    async def close(self) -> None:
        await self._channel.close(None)

    async def _loop(self, more: More, sample: Sample) -> None:
        while True:
            started = time.perf_counter_ns()
            answers = await self._call()
            sample.times.append(time.perf_counter_ns() - started)
            sample.pieces += len(answers)
            if (len(answers), sum(map(len, answers))) != self._expected:
                raise LoadError("an answer over gRPC differs in length from the first")
            if not more():
                return

    async def _call(self) -> list[bytes]:
        try:
            if self._stream:
                return [answer async for answer in self._stream_chat(self._request)]
            return [await self._chat(self._request)]
        except grpc.aio.AioRpcError as error:
            raise LoadError(f"a call over gRPC failed: {error.code()}, {error.details()}") from None


def _content_length(head: bytearray) -> int | None:
    """What the head says, or None where the body comes in chunks."""
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else None


def _unframe(body: bytes) -> list[bytes]:
    """The chunks of a chunked body."""
    pieces: list[bytes] = []
    at = 0
    while True:
        line = body.index(b"\r\n", at)
        size = int(body[at:line], 16)
        if not size:
            return pieces
        pieces.append(body[line + 2 : line + 2 + size])
        at = line + 4 + size


def _check(body: bytes, *, stream: bool) -> bytes:
    """`body`, where its text is that of the answer."""
    if stream:
        events = body.split(b"\n\n")
        if events[-2:] != [b"data: [DONE]", b""]:
            raise LoadError("a stream over HTTP has no `[DONE]` at its end")
        chunks = [msgspec.json.decode(event.removeprefix(b"data: ")) for event in events[:-2]]
        text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    else:
        text = msgspec.json.decode(body)["choices"][0]["message"]["content"]
    if text != TEXT:
        raise LoadError("an answer over HTTP has another text")
    return body
