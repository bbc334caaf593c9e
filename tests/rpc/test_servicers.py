"""The servicers alone, driven by `grpc_testing` without a network."""

from __future__ import annotations

import asyncio
import functools
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc
import grpc_testing
import pytest
from google.rpc import status_pb2
from rpc.player import KEY, House, ending, opening, request, words

from trunkline.call import Loss
from trunkline.core.fold import fold
from trunkline.core.status import error_of
from trunkline.errors import GatewayError
from trunkline.rpc.chat import ChatService
from trunkline.rpc.exchange import Exchanges
from trunkline.rpc.models import ModelService
from trunkline.rpc.status import DETAILS
from trunkline.v1 import chat_pb2, errors_pb2, models_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.models_pb2 import GetModelRequest

CHAT = chat_pb2.DESCRIPTOR.services_by_name["ChatService"]
MODELS = models_pb2.DESCRIPTOR.services_by_name["ModelService"]


class Context:
    """The context of a synchronous test server, as an aio servicer wants it."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context
        self.invocation_metadata = context.invocation_metadata
        self.time_remaining = context.time_remaining
        self.set_trailing_metadata = context.set_trailing_metadata
        self.written: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.callbacks: list[Callable[[Any], None]] = []

    async def send_initial_metadata(self, metadata: Any) -> None:
        self._context.send_initial_metadata(metadata)

    async def write(self, message: Any) -> None:
        self.written.put(message)

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> None:
        # The test server's own `abort` loses the trailing metadata.
        self._context.set_trailing_metadata(trailing_metadata)
        self._context.set_code(code)
        self._context.set_details(details)
        raise grpc.aio.AbortError

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self.callbacks.append(callback)


class Stage:
    """Runs aio servicers on an event loop of its own, for a test server that calls them from its threads."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.house = self.run(self._build())
        exchanges = Exchanges(self.house.entry)
        self.server = grpc_testing.server_from_dictionary(
            {CHAT: self._played(ChatService(exchanges), CHAT), MODELS: self._played(ModelService(exchanges), MODELS)},
            grpc_testing.strict_real_time(),
        )

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        assert not self.house.ledger.running

    async def _build(self) -> House:
        return House(KEY)

    def _played(self, servicer: object, service: Any) -> Any:
        """A synchronous servicer that plays `servicer`."""
        methods = {
            method.name: functools.partial(
                self._stream if method.server_streaming else self._unary, getattr(servicer, method.name)
            )
            for method in service.methods
        }
        return type("Servicer", (), {name: staticmethod(method) for name, method in methods.items()})()

    def _unary(self, method: Callable[..., Awaitable[Any]], message: Any, context: grpc.ServicerContext) -> Any:
        return self._begin(method, message, context, Context(context))()

    def _stream(
        self, method: Callable[..., Awaitable[Any]], message: Any, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        adapter = Context(context)
        adapter.callbacks.append(lambda _: adapter.written.put(None))
        result = self._begin(method, message, context, adapter)
        yield from iter(lambda: adapter.written.get(timeout=20), None)
        result()

    def _begin(
        self, method: Callable[..., Awaitable[Any]], message: Any, context: grpc.ServicerContext, adapter: Context
    ) -> Callable[[], Any]:
        async def play() -> Any:
            try:
                return await method(message, adapter)
            except (grpc.aio.AbortError, asyncio.CancelledError):
                return None
            finally:
                for callback in adapter.callbacks:
                    callback(adapter)

        running = asyncio.run_coroutine_threadsafe(play(), self.loop)
        context.add_callback(running.cancel)
        return lambda: running.result(20)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """The servicers on a stage of their own."""
    stage = Stage()
    try:
        yield stage
    finally:
        stage.close()


METADATA = (("authorization", f"Bearer {KEY}"), ("x-request-id", "mine"))


def test_unary(stage: Stage) -> None:
    """`Chat` answers with OK and its trailers."""
    stage.house.player.losses = [Loss("seed")]
    rpc = stage.server.invoke_unary_unary(CHAT.methods_by_name["Chat"], METADATA, request(), None)
    response, trailers, code, _ = rpc.termination()
    assert code is grpc.StatusCode.OK
    assert response.choices[0].message.parts[0].text == "hello"
    assert set(trailers) >= {
        ("x-request-id", "mine"),
        ("x-trunkline-provider", "player"),
        ("x-trunkline-dropped", "seed"),
    }


def test_stream(stage: Stage) -> None:
    """`StreamChat` greets with the id, writes each event, and ends with OK."""
    rpc = stage.server.invoke_unary_stream(CHAT.methods_by_name["StreamChat"], METADATA, request(), None)
    assert ("x-request-id", "mine") in rpc.initial_metadata()
    events = [rpc.take_response() for _ in range(7)]
    trailers, code, _ = rpc.termination()
    assert code is grpc.StatusCode.OK
    assert ("x-trunkline-provider", "player") in trailers
    assert fold(events).choices[0].message.parts[0].text == "hello"


def test_error_in_the_stream(stage: Stage) -> None:
    """An error ends the stream with its code and its details, after what was written."""
    sent = GatewayError(errors_pb2.ERROR_REASON_QUOTA_EXCEEDED, "No credit.", provider="player")
    stage.house.player.steps = [opening(), words("one"), sent]
    rpc = stage.server.invoke_unary_stream(CHAT.methods_by_name["StreamChat"], METADATA, request(), None)
    events = [rpc.take_response() for _ in range(3)]
    trailers, code, details = rpc.termination()
    assert len(events) == 3
    assert (code, details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "No credit.")
    status = status_pb2.Status.FromString(dict(trailers)[DETAILS])
    assert vars(error_of(status)) == vars(sent)


def test_cancel(stage: Stage) -> None:
    """A cancelled stream stops its provider and is recorded as such."""
    stage.house.player.steps = [opening(), asyncio.Event(), ending()]
    rpc = stage.server.invoke_unary_stream(CHAT.methods_by_name["StreamChat"], METADATA, request(), None)
    rpc.take_response()
    rpc.cancel()
    assert stage.run(stage.house.ledger.ended.get()).outcome == "cancelled"
    assert stage.house.player.closed.is_set()


def test_no_key(stage: Stage) -> None:
    """A call without a key is not let in."""
    rpc = stage.server.invoke_unary_unary(CHAT.methods_by_name["Chat"], (), ChatRequest(), None)
    _, _, code, _ = rpc.termination()
    assert code is grpc.StatusCode.UNAUTHENTICATED


def test_model(stage: Stage) -> None:
    """`GetModel` answers."""
    asked = GetModelRequest(id="player/song")
    rpc = stage.server.invoke_unary_unary(MODELS.methods_by_name["GetModel"], METADATA, asked, None)
    response, _, code, _ = rpc.termination()
    assert code is grpc.StatusCode.OK
    assert response.id == "player/song"
