"""A gateway reached over gRPC."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from trunkline.cli.client import ANSWER_BYTES, CONNECT_SECONDS, LIST_SECONDS, UnreachableError
from trunkline.cli.terminal import printable
from trunkline.core.grammar import Grammar
from trunkline.errors import GatewayError
from trunkline.rpc.status import DETAILS, from_rpc_error
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.chat_pb2_grpc import ChatServiceStub
from trunkline.v1.models_pb2 import ListModelsRequest, ListModelsResponse
from trunkline.v1.models_pb2_grpc import ModelServiceStub

_LOOPBACK: Final = re.compile(r"(dns:/*)?(localhost|127\.[\d.]+|\[::1\])(:\d+)?|unix:.*|ipv4:127\..*|ipv6:\[::1\].*")

_CAUSES: Final = (
    ("refused", "nothing listens there"),
    ("DNS", "the name cannot be resolved"),
    ("name resolution", "the name cannot be resolved"),
    ("andshake", "the TLS handshake failed"),
    ("certificate", "the TLS handshake failed"),
    ("Socket closed", "the connection was closed"),
    ("GOAWAY", "the gateway is stopping"),
    ("No such file", "there is no such socket"),
)
"""What gRPC's own words for a failure hold, and what to say instead of them."""


class GrpcClient:
    """Calls a gateway by the generated stubs. To be made on the event loop that then runs the calls."""

    def __init__(self, address: str, key: str, credentials: grpc.ChannelCredentials | None) -> None:
        options: list[tuple[str, int]] = [("grpc.max_receive_message_length", ANSWER_BYTES)]
        if _LOOPBACK.fullmatch(address):
            options.append(("grpc.enable_http_proxy", 0))
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, options)
        self._chat = ChatServiceStub(self._channel)
        self._models = ModelServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()
        self.where = f"{address} over gRPC"

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer in one message."""
        async with self._failures():
            return await self._chat.Chat(request, metadata=self._metadata)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """The answer as it is written."""
        async with self._failures():
            call = self._chat.StreamChat(request, metadata=self._metadata)
            grammar = Grammar()
            try:
                async for event in call:
                    grammar.feed(event)
                    yield event
                grammar.end()
            finally:
                call.cancel()

    async def models(self) -> ListModelsResponse:
        """Every model, in one page."""
        whole = ListModelsResponse()
        async with self._failures():
            while True:
                asked = ListModelsRequest(page_token=whole.next_page_token)
                page = await self._models.ListModels(asked, metadata=self._metadata, timeout=LIST_SECONDS)
                whole.models.extend(page.models)
                whole.next_page_token = page.next_page_token
                if not page.next_page_token:
                    return whole

    async def ask(self, rpc: MethodDescriptor, request: Any) -> Any:
        """The answer to any other unary RPC."""
        call = self._channel.unary_unary(
            f"/{rpc.containing_service.full_name}/{rpc.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(rpc.output_type).FromString,
        )
        async with self._failures():
            return await call(request, metadata=self._metadata, timeout=LIST_SECONDS)

    async def ask_all(self, rpc: MethodDescriptor, request: Any) -> AsyncGenerator[Any, None]:
        """The messages that any other streaming RPC answers with."""
        stream = self._channel.unary_stream(
            f"/{rpc.containing_service.full_name}/{rpc.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(rpc.output_type).FromString,
        )
        async with self._failures():
            call = stream(request, metadata=self._metadata)
            try:
                async for message in call:
                    yield message
            finally:
                call.cancel()

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    @asynccontextmanager
    async def _failures(self) -> AsyncIterator[None]:
        """Connects where that was not done, and turns gRPC's errors into ours."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._settled()
        except TimeoutError:
            raise UnreachableError(
                f"Cannot reach a gateway at {self.where}: no answer in {CONNECT_SECONDS:.0f} seconds."
            ) from None
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None

    async def _settled(self) -> None:
        """Wait until the connection is made or has failed; a call then tells which, with the cause."""
        state = self._channel.get_state(try_to_connect=True)
        while state in (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING):
            await self._channel.wait_for_state_change(state)
            state = self._channel.get_state(try_to_connect=True)

    def _error(self, error: grpc.aio.AioRpcError) -> GatewayError | UnreachableError:
        if not any(name == DETAILS for name, _ in error.trailing_metadata() or ()):
            details = printable((error.details() or "").strip())[:300]
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                cause = next((said for words, said in _CAUSES if words in details), details)
                return UnreachableError(f"Cannot reach a gateway at {self.where}: {cause}.")
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return UnreachableError(f"The server at {self.where} is no Trunkline gateway: {details}.")
        return from_rpc_error(error)
