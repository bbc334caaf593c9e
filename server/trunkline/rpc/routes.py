"""`RouteService` over the gateway."""

from __future__ import annotations

import grpc

from trunkline.rpc.exchange import Exchange, Exchanges
from trunkline.v1.routes_pb2 import ExplainRequest, RouteReport
from trunkline.v1.routes_pb2_grpc import RouteServiceServicer


class RouteService(RouteServiceServicer):
    """Tells where requests go."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    async def Explain(
        self, request: ExplainRequest, context: grpc.aio.ServicerContext[ExplainRequest, RouteReport]
    ) -> RouteReport:
        """Tells where a request would go, in which order and why. Nothing is sent."""
        async with Exchange(self._exchanges, context) as rpc:
            return await rpc.gateway.explain(request, rpc.call)
