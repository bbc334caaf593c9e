"""The least that a gateway over gRPC can be: a grpc.aio server whose answers are there already."""

from __future__ import annotations

import asyncio

import grpc
from payload import grpc_answer, grpc_events
from upstream import PAUSE

from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.chat_pb2_grpc import ChatServiceServicer, add_ChatServiceServicer_to_server


class Echo(ChatServiceServicer):
    """Answers with the messages that the gateway makes of the upstream's answer."""

    def __init__(self) -> None:
        self.answer = grpc_answer()
        self.events = grpc_events()

    async def Chat(  # noqa: N802
        self, request: ChatRequest, context: grpc.aio.ServicerContext[ChatRequest, ChatResponse]
    ) -> ChatResponse:
        """One message."""
        return self.answer

    async def StreamChat(  # type: ignore[override]  # noqa: N802
        self, request: ChatRequest, context: grpc.aio.ServicerContext[ChatRequest, ChatEvent]
    ) -> None:
        """One message after the other; with a pause before each where the model is `paced`."""
        paced = request.model == "paced"
        for event in self.events:
            if paced:
                await asyncio.sleep(PAUSE)
            await context.write(event)

    async def CountTokens(  # noqa: N802
        self, request: ChatRequest, context: grpc.aio.ServicerContext[ChatRequest, CountTokensResponse]
    ) -> CountTokensResponse:
        """Nothing is counted here."""
        return CountTokensResponse()


async def serve(echo: Echo) -> tuple[int, grpc.aio.Server]:
    """Listen on loopback; the port and the server."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_ChatServiceServicer_to_server(echo, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return port, server
