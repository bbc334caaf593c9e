"""A gateway over HTTP on loopback: the real one over a scripted provider, and a service that has every binding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from aiohttp import web
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from trunkline.call import Attempt, Call, Caller
from trunkline.core.check import Limits
from trunkline.core.entry import Entry
from trunkline.core.fold import unfold
from trunkline.core.gateway import Gateway
from trunkline.core.plan import InOrder
from trunkline.core.target import Target
from trunkline.errors import GatewayError, not_found
from trunkline.services import SERVICES
from trunkline.v1 import content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import FINISH_REASON_STOP, ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.models_pb2 import Model
from trunkline.web.native.routes import routes
from trunkline.web.openapi.comments import compile_protos


class Provider:
    """Answers as the scripts say; by default with the text of the last message."""

    name = "script"

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []
        self.closed = asyncio.Event()
        self.before: Callable[[Attempt], Awaitable[None]] | None = None
        self.after_start: Callable[[], Awaitable[None]] | None = None

    def answer(self, request: ChatRequest) -> ChatResponse:
        """What the request is answered with."""
        response = ChatResponse(id="r1", model=request.model, provider=self.name)
        choice = response.choices.add()
        choice.message.role = content_pb2.ROLE_ASSISTANT
        choice.message.parts.add(text=request.messages[-1].parts[0].text)
        choice.finish.reason = FINISH_REASON_STOP
        response.usage.input_tokens = 3
        return response

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        self.requests.append(request)
        if self.before is not None:
            await self.before(attempt)
        return self.answer(request)

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        self.requests.append(request)
        try:
            if self.before is not None:
                await self.before(attempt)
            start, *rest = unfold(self.answer(request))
            yield [start]
            if self.after_start is not None:
                await self.after_start()
            yield rest
        finally:
            self.closed.set()

    async def list_models(self) -> Sequence[Model]:
        return []

    async def close(self) -> None:
        pass


class Models:
    async def list(self) -> Sequence[Model]:
        return [Model(id=name, providers=["script"]) for name in ("a", "b/c", "d:e")]


class Observer:
    """Keeps the calls that ended."""

    def __init__(self) -> None:
        self.ended: list[Call] = []
        self.over = asyncio.Event()

    def call_started(self, call: Call) -> None:
        pass

    def call_ended(self, call: Call) -> None:
        self.ended.append(call)
        self.over.set()


class Shelf:
    """Answers each RPC with the request as it came; `watch_book` with three of them, then the error, where set."""

    def __init__(self) -> None:
        self.answered: list[tuple[str, Message]] = []
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Callable[[Message, Call], Awaitable[Message]]:
        if name.startswith("_"):
            raise AttributeError(name)

        async def answer(request: Message, call: Call) -> Message:
            self.answered.append((name, request))
            if self.error is not None:
                raise self.error
            return request

        return answer

    async def watch_book(self, request: Message, call: Call) -> AsyncGenerator[list[Message], None]:
        self.answered.append(("watch_book", request))
        for number in range(cast(Any, request).number):
            yield [type(request)(number=number)]
        if self.error is not None:
            raise self.error


def resolve(provider: Provider) -> Callable[[str], Sequence[Target]]:
    def targets(model: str) -> Sequence[Target]:
        if model == "missing":
            raise not_found(f"There is no model `{model}`.", "model")
        return [Target(provider, model)]

    return targets


async def authenticate(key: str) -> Caller:
    if key == "wrong":
        raise GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, "The key is wrong.")
    return Caller(key)


@asynccontextmanager
async def serving(entry: Entry, services: Sequence[ServiceDescriptor]) -> AsyncIterator[str]:
    """The base URL of a server of `services`."""
    app = web.Application(client_max_size=2**20)
    app.add_routes(routes(entry, services))
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="session")
def shelf_service() -> ServiceDescriptor:
    here = Path(__file__).parent
    pool = descriptor_pool.Default()
    *imported, file = compile_protos(here, [here / "shelf.proto"]).file
    for other in imported:
        import_module(other.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName("trunkline.test.v1.ShelfService")


@pytest.fixture(scope="session")
def book(shelf_service: ServiceDescriptor) -> type[Any]:
    """The class of `Book`."""
    return GetMessageClass(shelf_service.methods_by_name["GetBook"].input_type)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def gateway(provider: Provider) -> Gateway:
    return Gateway(InOrder(resolve(provider)), Models(), Limits())


@pytest.fixture
async def url(gateway: Gateway, observer: Observer) -> AsyncIterator[str]:
    """The gateway's own services."""
    async with serving(Entry(gateway, authenticate, [observer]), SERVICES) as address:
        yield address


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as connected:
        yield connected


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def shelf_client(
    shelf: Shelf, shelf_service: ServiceDescriptor, observer: Observer
) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        entry = Entry(cast(Gateway, shelf), authenticate, [observer])
        address = await stack.enter_async_context(serving(entry, [shelf_service]))
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=address, trust_env=False))
