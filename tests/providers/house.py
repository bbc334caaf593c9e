"""A gateway's own core in front of one provider, for the tests of providers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from trunkline.call import Call, Loss
from trunkline.config.model import MediaConfig, ProviderConfig
from trunkline.core.check import Limits
from trunkline.core.fold import fold
from trunkline.core.gateway import Gateway
from trunkline.core.plan import InOrder
from trunkline.core.provider import Provider
from trunkline.core.target import Target
from trunkline.providers.build import build_providers
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.content_pb2 import Message, Part, ToolResult
from trunkline.v1.models_pb2 import Model

NEAR = MediaConfig.model_validate({"private_networks": ["127.0.0.1"]})
"""Media may come from this machine, as the tests' own server of files is there."""


class Unlisted:
    """A gateway that lists no models."""

    async def list(self) -> Sequence[Model]:
        return []


@dataclass(slots=True)
class House:
    """A gateway with one provider, and the fake behind it where a test looks at that."""

    provider: Provider
    gateway: Gateway
    server: Any = None

    async def ask(self, request: ChatRequest, call: Call | None = None, *, streamed: bool = False) -> ChatResponse:
        """The answer to `request`, whole or folded from its events."""
        if not streamed:
            return await self.gateway.chat(request, call or calling())
        return fold([event async for event in self.events(request, call)])

    async def events(self, request: ChatRequest, call: Call | None = None) -> AsyncGenerator[ChatEvent, None]:
        """The events of the answer to `request`."""
        async with aclosing(self.gateway.stream_chat(request, call or calling())) as batches:
            async for batch in batches:
                for event in batch:
                    yield event


def house_of(provider: Provider, server: Any = None) -> House:
    """A gateway in front of `provider`, whatever the model is called."""
    return House(provider, Gateway(InOrder(lambda name: [Target(provider, name)]), Unlisted(), Limits()), server)


def provider_of(kind: str, base_url: str, **more: Any) -> Provider:
    """A provider as the configuration describes it, which goes by its kind."""
    return build_providers({kind: ProviderConfig(kind=kind, base_url=base_url, **more)}, NEAR)[kind]


def calling(*, strict: bool = False) -> Call:
    """A call."""
    return Call("c", "grpc", strict=strict)


def losses_of(call: Call) -> list[Loss]:
    """What the target of a call could not take."""
    return call.attempts[0].losses


def asking(*texts: str, model: str, **more: Any) -> ChatRequest:
    """A request in which the user says `texts`."""
    said = [Message(role=content_pb2.ROLE_USER, parts=[Part(text=text)]) for text in texts]
    return ChatRequest(model=model, messages=said, **more)


def answering(message: Message, texts: Sequence[str]) -> list[Message]:
    """What the tools that `message` calls returned, the last first: results may come in any order."""
    calls = [part.tool_call for part in message.parts if part.HasField("tool_call")]
    results = [
        ToolResult(tool_call_id=call.id, parts=[Part(text=text)]) for call, text in zip(calls, texts, strict=True)
    ]
    return [Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=one)]) for one in reversed(results)]


def texts_of(response: ChatResponse) -> list[str]:
    """The texts of the first choice."""
    return [part.text for part in response.choices[0].message.parts if part.WhichOneof("kind") == "text"]
