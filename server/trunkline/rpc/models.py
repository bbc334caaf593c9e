"""`ModelService` over the gateway."""

from __future__ import annotations

import grpc

from trunkline.rpc.exchange import Exchange, Exchanges
from trunkline.v1.models_pb2 import GetModelRequest, ListModelsRequest, ListModelsResponse, Model
from trunkline.v1.models_pb2_grpc import ModelServiceServicer


class ModelService(ModelServiceServicer):
    """Lists the models that the gateway serves."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    async def ListModels(
        self, request: ListModelsRequest, context: grpc.aio.ServicerContext[ListModelsRequest, ListModelsResponse]
    ) -> ListModelsResponse:
        """Lists the models."""
        async with Exchange(self._exchanges, context) as rpc:
            return await rpc.gateway.list_models(request, rpc.call)

    async def GetModel(
        self, request: GetModelRequest, context: grpc.aio.ServicerContext[GetModelRequest, Model]
    ) -> Model:
        """Gets one model."""
        async with Exchange(self._exchanges, context) as rpc:
            return await rpc.gateway.get_model(request, rpc.call)
