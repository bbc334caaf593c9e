"""OpenRouter's list of models, of their endpoints, and of providers."""

from __future__ import annotations

import time

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects.openrouter.models import encode_endpoints, encode_model, encode_providers
from trunkline.dialects.openrouter.query import select
from trunkline.dialects.wire import Json, dumps
from trunkline.v1.models_pb2 import GetModelRequest
from trunkline.web.exchange import Exchange, json_response
from trunkline.web.models import all_models
from trunkline.web.mounts import Mounts
from trunkline.web.openai import encode_error

_NAME = "openrouter"


class OpenRouterSurface:
    """Serves what only OpenRouter lists, below its own of `mounts`. `/models` itself is one of the shapes of
    `ModelsSurface`."""

    def __init__(self, entry: Entry, mounts: Mounts, *, body_timeout: float, keep_alive: float) -> None:
        self._mounts = mounts
        self._exchange = Exchange(entry, "openai", encode_error)
        self._started = int(time.time())

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount, before those of `ModelsSurface`: the names of models hold slashes."""
        answers = (
            ("models/count", self._count),
            ("models/{id:.+}/endpoints", self._endpoints),
            ("model/{id:.+}", self._model),
            ("embeddings/models", self._embeddings),
            ("providers", self._providers),
        )
        return [
            web.get(f"{base}/{path}", self._exchange.handler(answer, name))
            for base, name in self._mounts.items()
            if name == _NAME
            for path, answer in answers
        ]

    async def _count(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        models = select(await all_models(gateway, call), http.query)
        return self._answer({"data": {"count": len(models)}}, call)

    async def _endpoints(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        model = await gateway.get_model(GetModelRequest(id=http.match_info["id"]), call)
        return self._answer(encode_endpoints(model, self._started), call)

    async def _model(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        model = await gateway.get_model(GetModelRequest(id=http.match_info["id"]), call)
        return self._answer({"data": encode_model(model, self._started)}, call)

    async def _embeddings(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        models = await all_models(gateway, call)
        asked = {**http.query, "output_modalities": "embeddings"}
        listed: list[Json] = [encode_model(model, self._started) for model in select(models, asked)]
        return self._answer({"data": listed}, call)

    async def _providers(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        return self._answer(encode_providers(await all_models(gateway, call)), call)

    def _answer(self, wire: Json, call: Call) -> web.Response:
        return json_response(dumps(wire), self._exchange.headers(call))
