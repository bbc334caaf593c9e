"""A provider that plays what a test sets, and a running gateway around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc

from trunkline.call import Attempt, Call, Caller, Loss
from trunkline.config.model import GrpcConfig
from trunkline.core.check import Limits
from trunkline.core.entry import Entry
from trunkline.core.fold import fold
from trunkline.core.gateway import Gateway
from trunkline.core.plan import InOrder
from trunkline.core.target import Target
from trunkline.errors import GatewayError, not_found
from trunkline.rpc.server import RpcServer
from trunkline.v1 import chat_pb2, content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, ChoiceEnd, PartDelta, PartEnd, PartStart, Usage
from trunkline.v1.chat_pb2_grpc import ChatServiceStub
from trunkline.v1.content_pb2 import Message, Part
from trunkline.v1.models_pb2 import Model
from trunkline.v1.models_pb2_grpc import ModelServiceStub

KEY = "sk-right"
MODEL = "player/song"

Step = list[ChatEvent] | Exception | asyncio.Event
"""Events that arrive together, an exception to raise, or something to wait for."""

T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    """`awaitable`, or a failed test instead of one that hangs."""
    return await asyncio.wait_for(awaitable, 20)


def request(text: str = "hello", model: str = MODEL) -> ChatRequest:
    """A conversation of one message."""
    return ChatRequest(model=model, messages=[Message(role=content_pb2.ROLE_USER, parts=[Part(text=text)])])


def opening() -> list[ChatEvent]:
    """The first events of an answer in text."""
    return [
        ChatEvent(start=ChatResponse(id="a1", model="song")),
        ChatEvent(part_start=PartStart(part=Part(text=""))),
    ]


def words(*texts: str) -> list[ChatEvent]:
    """More of it."""
    return [ChatEvent(part_delta=PartDelta(text=text)) for text in texts]


def ending() -> list[ChatEvent]:
    """Its last events."""
    return [
        ChatEvent(part_end=PartEnd()),
        ChatEvent(choice_end=ChoiceEnd(finish=chat_pb2.Finish(reason=chat_pb2.FINISH_REASON_STOP))),
        ChatEvent(usage=Usage(input_tokens=3, output_tokens=2)),
    ]


class Player:
    """Plays `steps`, whoever asks. `playing` tells that a play began, `closed` that one is over, for any reason."""

    name = "player"

    def __init__(self) -> None:
        self.steps: list[Step] = [opening(), words("hel", "lo"), ending()]
        self.losses: list[Loss] = []
        self.playing = asyncio.Event()
        self.closed = asyncio.Event()

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        attempt.losses.extend(self.losses)
        self.playing.set()
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
        finally:
            self.closed.set()

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        return fold([event async for batch in self.stream_chat(request, attempt) for event in batch])

    async def list_models(self) -> Sequence[Model]:
        return [Model(id="song")]

    async def close(self) -> None:
        pass


Stream = grpc.aio.UnaryStreamCall[ChatRequest, ChatEvent]


async def drain(stream: Stream, into: list[ChatEvent] | None = None) -> list[ChatEvent]:
    """The events of `stream` that were not read yet; those before an error are in `into`."""
    events = [] if into is None else into
    while (event := await soon(stream.read())) is not grpc.aio.EOF:
        events.append(event)
    return events


class Ledger:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.running: list[Call] = []
        self.ended: asyncio.Queue[Call] = asyncio.Queue()

    def call_started(self, call: Call) -> None:
        self.running.append(call)

    def call_ended(self, call: Call) -> None:
        self.running.remove(call)
        self.ended.put_nowait(call)


class Catalogue:
    """The models that the gateway lists."""

    async def list(self) -> Sequence[Model]:
        return [Model(id=f"player/{name}", providers=["player"]) for name in ("song", "tune")]


class House:
    """A gateway with one provider, its observer, and clients of it."""

    def __init__(self, key: str = "") -> None:
        self.player = Player()
        self.ledger = Ledger()
        self._key = key
        gateway = Gateway(InOrder(self._resolve), Catalogue(), Limits())
        self.entry = Entry(gateway, self._authenticate, [self.ledger])
        self.port = 0
        self.server: RpcServer
        self.channel: grpc.aio.Channel
        self.chat: ChatServiceStub
        self.models: ModelServiceStub

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _resolve(self, model: str) -> Sequence[Target]:
        if not model.startswith("player/"):
            raise not_found(f"There is no model `{model}`.", "model")
        return [Target(self.player, model.removeprefix("player/"))]

    async def _authenticate(self, key: str) -> Caller:
        if self._key and key != self._key:
            raise GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, "The key is missing or wrong.")
        return Caller("tester")


@asynccontextmanager
async def open_house(
    key: str = "", credentials: grpc.ChannelCredentials | None = None, **settings: object
) -> AsyncIterator[House]:
    """A running gateway on a free port. At the end each call that began must have ended exactly once."""
    house = House(key)
    house.server = RpcServer(house.entry, GrpcConfig.model_validate({"address": "127.0.0.1:0", **settings}))
    house.port = await house.server.start()
    options = [("grpc.max_receive_message_length", -1)]
    if credentials is None:
        house.channel = grpc.aio.insecure_channel(house.address, options)
    else:
        house.channel = grpc.aio.secure_channel(f"localhost:{house.port}", credentials, options)
    house.chat, house.models = ChatServiceStub(house.channel), ModelServiceStub(house.channel)
    try:
        yield house
    finally:
        await house.channel.close()
        await house.server.stop(0)
    assert not house.ledger.running
