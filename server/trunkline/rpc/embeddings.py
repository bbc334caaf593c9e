"""`EmbeddingService` over the gateway."""

from __future__ import annotations

import grpc

from trunkline.rpc.exchange import Exchange, Exchanges
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.embeddings_pb2_grpc import EmbeddingServiceServicer


class EmbeddingService(EmbeddingServiceServicer):
    """Embeds texts."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    async def Embed(
        self, request: EmbedRequest, context: grpc.aio.ServicerContext[EmbedRequest, EmbedResponse]
    ) -> EmbedResponse:
        """Embeds each input by itself."""
        async with Exchange(self._exchanges, context) as rpc:
            return await rpc.gateway.embed(request, rpc.call)
