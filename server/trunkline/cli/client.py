"""What the commands ask of a gateway, whichever wire leads there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, Protocol

from google.protobuf.descriptor import MethodDescriptor

from trunkline.core.fold import unfold
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.models_pb2 import ListModelsResponse

CONNECT_SECONDS: Final = 5.0
"""How long a connection may take to be made."""

LIST_SECONDS: Final = 30.0
"""How long a list, or anything else that no model writes, may take."""

ANSWER_BYTES: Final = 64 * 1024 * 1024
"""The longest message or unary answer that is read."""


class UnreachableError(Exception):
    """No gateway answers at the address, or the connection to it broke; the message says which and why."""


class Client(Protocol):
    """A gateway. Its methods raise `GatewayError` where it says no and `UnreachableError` where it does not answer."""

    @property
    def where(self) -> str:
        """Where the gateway is, for people, such as `127.0.0.1:50051 over gRPC`."""
        ...

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer in one message."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """The answer as it is written. Closing the generator stops it."""
        ...

    async def models(self) -> ListModelsResponse:
        """Every model, in one page."""
        ...

    async def ask(self, rpc: MethodDescriptor, request: Any) -> Any:
        """The answer to any other unary RPC."""
        ...

    def ask_all(self, rpc: MethodDescriptor, request: Any) -> AsyncGenerator[Any, None]:
        """The messages that any other streaming RPC answers with."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


async def answers(client: Client, request: ChatRequest, *, stream: bool) -> AsyncGenerator[ChatEvent, None]:
    """The answer as events: as it is written, or all at once when it is whole."""
    if stream:
        async with aclosing(client.stream(request)) as events:
            async for event in events:
                yield event
    else:
        for event in unfold(await client.chat(request)):
            yield event
