"""A gateway in front of the fake Google, for the tests of its two providers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fakes.gemini_server import GeminiServer

from trunkline.call import Call, Loss
from trunkline.config.model import ProviderConfig
from trunkline.core.check import Limits
from trunkline.core.fold import fold
from trunkline.core.gateway import Gateway
from trunkline.core.target import Target
from trunkline.providers.build import make_provider
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.content_pb2 import Message, Part
from trunkline.v1.models_pb2 import Model

MODEL = "gemini-3-flash"


class Unlisted:
    """A gateway that lists no models."""

    async def list(self) -> list[Model]:
        return []


@dataclass(slots=True)
class House:
    """A gateway with one provider, and the fake behind it."""

    server: GeminiServer
    gateway: Gateway
    provider: Any

    async def ask(self, request: ChatRequest, call: Call | None = None, *, streamed: bool = False) -> ChatResponse:
        """The answer to `request`, whole or folded from its events."""
        if not streamed:
            return await self.gateway.chat(request, call or calling())
        return fold([event async for event in self.events(request, call)])

    async def events(self, request: ChatRequest, call: Call | None = None) -> AsyncIterator[ChatEvent]:
        """The events of the answer to `request`."""
        async with aclosing(self.gateway.stream_chat(request, call or calling())) as batches:
            async for batch in batches:
                for event in batch:
                    yield event


def calling(*, strict: bool = False) -> Call:
    """A call."""
    return Call("c", "grpc", strict=strict)


def losses_of(call: Call) -> list[Loss]:
    """What the target of a call could not take."""
    return call.attempts[0].losses


def provider_of(kind: str, base_url: str, **more: Any) -> Any:
    """A provider as the configuration describes it."""
    config = ProviderConfig(kind=kind, base_url=base_url, **more)
    return make_provider(kind, config)


def house_of(server: GeminiServer, provider: Any) -> House:
    """A gateway in front of `server`."""
    return House(server, Gateway(lambda name: [Target(provider, name)], Unlisted(), Limits()), provider)


def asking(*texts: str, model: str = MODEL, **more: Any) -> ChatRequest:
    """A request in which the user says `texts`."""
    said = [Message(role=content_pb2.ROLE_USER, parts=[Part(text=text)]) for text in texts]
    return ChatRequest(model=model, messages=said, **more)
