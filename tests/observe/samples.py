"""Calls as the surfaces and the core leave them."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from trunkline.call import Attempt, Call, Loss
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, Usage
from trunkline.v1.models_pb2 import Model

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def started(**fields: Any) -> Call:
    """A call that just arrived."""
    return Call(**{"id": "req_1", "surface": "openai", **fields})


def tried(call: Call, provider: str = "openai", model: str = "gpt-4o", error: GatewayError | None = None) -> Attempt:
    """An attempt of half a second."""
    attempt = Attempt(call, provider, model, started=call.started + 0.25)
    attempt.ended = call.started + 0.75
    attempt.error = error
    call.attempts.append(attempt)
    return attempt


def answered(**fields: Any) -> Call:
    """A streamed call that was answered in one second."""
    call = started(**{"operation": "stream_chat", "caller": "alice", "model": "best", **fields})
    attempt = tried(call)
    attempt.status = 200
    attempt.upstream_id = "up_1"
    attempt.losses = [Loss("seed")]
    call.first_event = attempt.first_event = call.started + 0.5
    call.usage = Usage(input_tokens=12, output_tokens=34, cached_input_tokens=5, reasoning_output_tokens=7)
    call.served_model = "gpt-4o-2024-08-06"
    call.finish = chat_pb2.FINISH_REASON_STOP
    call.ended = call.started + 1
    return call


def refused(error: GatewayError, **fields: Any) -> Call:
    """A call that failed before any provider was asked."""
    call = started(**fields)
    call.fail(error)
    call.ended = call.started + 0.001
    return call


def failure(name: str = "RATE_LIMITED", message: str = "Slow down.", **fields: Any) -> GatewayError:
    """A provider's failure."""
    reason = errors_pb2.ErrorReason.Value(f"ERROR_REASON_{name}")
    return GatewayError(reason, message, **{"provider": "openai", **fields})


class Scripted:
    """A provider that answers with `answer`, or fails with `error`."""

    def __init__(self, name: str, *, answer: str = "", error: GatewayError | None = None) -> None:
        self.name = name
        self.answer = answer
        self.error = error

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        if self.error is not None:
            raise self.error
        response = ChatResponse(model=f"{attempt.model}-served", usage=Usage(input_tokens=3, output_tokens=2))
        choice = response.choices.add()
        choice.message.parts.add(text=self.answer)
        choice.finish.reason = chat_pb2.FINISH_REASON_STOP
        return response

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        raise AssertionError("only unary calls are made")
        yield []

    async def list_models(self) -> Sequence[Model]:
        return []

    async def close(self) -> None:
        """Nothing is open."""


class Output:
    """The writing end of a pipe, and all that came out of it once it is closed."""

    def __init__(self) -> None:
        self._read, self.fd = os.pipe()
        self._data = bytearray()
        self._thread = threading.Thread(target=self._collect)
        self._open = True

    def _collect(self) -> None:
        while data := os.read(self._read, 65536):
            self._data += data

    def read(self) -> None:
        """Begin to read."""
        self._thread.start()

    def text(self) -> str:
        """All that was written; closes the pipe."""
        self.close()
        return self._data.decode()

    def records(self) -> list[dict[str, Any]]:
        """As `text`, parsed as JSON lines."""
        return [msgspec.json.decode(line) for line in self.text().split("\n")[:-1]]

    def close(self) -> None:
        """Close both ends, after all is read."""
        if not self._open:
            return
        self._open = False
        os.close(self.fd)
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._read)


@contextmanager
def output(*, read: bool = True) -> Iterator[Output]:
    """A pipe; with `read`, one that is read at once."""
    pipe = Output()
    if read:
        pipe.read()
    try:
        yield pipe
    finally:
        pipe.close()
