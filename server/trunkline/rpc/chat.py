"""`ChatService` over the gateway."""

from __future__ import annotations

from contextlib import aclosing

import grpc

from trunkline.rpc.exchange import Exchange, Exchanges
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.chat_pb2_grpc import ChatServiceServicer


class ChatService(ChatServiceServicer):
    """Answers conversations."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    async def Chat(
        self, request: ChatRequest, context: grpc.aio.ServicerContext[ChatRequest, ChatResponse]
    ) -> ChatResponse:
        """Answers a conversation in one message."""
        async with Exchange(self._exchanges, context) as rpc:
            return await rpc.gateway.chat(request, rpc.call)

    # A coroutine that writes, rather than a generator: grpc does not close a generator whose RPC is cancelled while a
    # message waits for the client to read, and the provider would go on until the garbage is collected.
    async def StreamChat(  # type: ignore[override]
        self, request: ChatRequest, context: grpc.aio.ServicerContext[ChatRequest, ChatEvent]
    ) -> None:
        """Answers a conversation as it is written."""
        async with Exchange(self._exchanges, context) as rpc:
            await rpc.greet()
            async with aclosing(rpc.gateway.stream_chat(request, rpc.call)) as batches:
                async for batch in batches:
                    for event in batch:
                        await context.write(event)

    async def CountTokens(
        self, request: ChatRequest, context: grpc.aio.ServicerContext[ChatRequest, CountTokensResponse]
    ) -> CountTokensResponse:
        """Counts the tokens that the model would read, without an answer."""
        async with Exchange(self._exchanges, context) as rpc:
            return await rpc.gateway.count_tokens(request, rpc.call)
