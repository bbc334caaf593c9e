"""The list of models, in the shape that the caller's vendor has for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import anthropic
from trunkline.dialects.anthropic import models as anthropic_models
from trunkline.dialects.gemini import models as gemini_models
from trunkline.dialects.openai import models as openai_models
from trunkline.dialects.openrouter import models as openrouter_models
from trunkline.dialects.wire import Json, dumps
from trunkline.v1.models_pb2 import GetModelRequest, ListModelsRequest, Model
from trunkline.web.anthropic import anthropic_status
from trunkline.web.exchange import Exchange, json_response
from trunkline.web.gemini import encode_error as gemini_error
from trunkline.web.openai import encode_error

_OPENAI: Final = ("/v1",)
_OPENROUTER: Final = ("/api/v1",)
"""Below both all vendors' clients ask: their headers tell them apart."""
_GEMINI: Final = ("/v1beta", "/v1beta1", "/v1alpha")
_ANTHROPIC: Final = ("/anthropic/v1",)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""What answers a request."""


class ModelsSurface:
    """Serves `/models` and each model below it."""

    def __init__(self, entry: Entry, *, body_timeout: float, keep_alive: float) -> None:
        created = int(time.time())
        self._openai = _Shape(
            Exchange(entry, "openai", encode_error),
            lambda model: openai_models.encode_model(model, created),
            lambda models, _: openai_models.encode_models(models, created),
        )
        self._openrouter = _Shape(
            Exchange(entry, "openai", encode_error),
            lambda model: openrouter_models.encode_model(model, created),
            lambda models, query: openrouter_models.encode_models(models, created, query),
        )
        self._anthropic = _Shape(
            Exchange(entry, "anthropic", anthropic.encode_error, id_header="request-id", status=anthropic_status),
            lambda model: anthropic_models.encode_model(model, created),
            lambda models, query: anthropic_models.encode_models(models, created, query),
        )
        self._gemini = _Shape(
            Exchange(entry, "gemini", gemini_error), gemini_models.encode_model, gemini_models.encode_models
        )

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        routes: list[web.RouteDef] = []
        picks: tuple[tuple[Sequence[str], Callable[[web.Request], _Shape]], ...] = (
            (_OPENAI, lambda http: self._pick(http, self._openai)),
            (_OPENROUTER, lambda http: self._pick(http, self._openrouter)),
            (_GEMINI, lambda _: self._gemini),
            (_ANTHROPIC, lambda _: self._anthropic),
        )
        for bases, pick in picks:
            for base in bases:
                routes.append(web.get(f"{base}/models", _handler(pick, whole=True)))
                routes.append(web.get(f"{base}/models/{{id:.+}}", _handler(pick, whole=False)))
        return routes

    def _pick(self, http: web.Request, other: _Shape) -> _Shape:
        """The shape for a caller: keys tell nothing, as vendors' clients send them in any header."""
        if "anthropic-version" in http.headers:
            return self._anthropic
        if "x-goog-api-key" in http.headers or "x-goog-api-client" in http.headers:
            return self._gemini
        return other


async def all_models(gateway: Gateway, call: Call) -> Sequence[Model]:
    """Every model that is listed, page by page."""
    listed = await gateway.list_models(ListModelsRequest(), call)
    models = list(listed.models)
    while listed.next_page_token:
        listed = await gateway.list_models(ListModelsRequest(page_token=listed.next_page_token), call)
        models.extend(listed.models)
    return models


class _Shape:
    """How one vendor writes models."""

    def __init__(
        self,
        exchange: Exchange,
        encode: Callable[[Model], Json],
        encode_all: Callable[[Sequence[Model], Mapping[str, str]], Json],
    ) -> None:
        self._exchange = exchange
        self._encode = encode
        self._encode_all = encode_all
        self.list = exchange.handler(self._list)
        self.get = exchange.handler(self._get)

    async def _list(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        models, query = await all_models(gateway, call), dict(http.query)
        # Behind a router there are hundreds, and streams must not wait until all are written.
        body = await asyncio.to_thread(lambda: dumps(self._encode_all(models, query)))
        return json_response(body, self._exchange.headers(call))

    async def _get(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        model = await gateway.get_model(GetModelRequest(id=http.match_info["id"]), call)
        return json_response(dumps(self._encode(model)), self._exchange.headers(call))


def _handler(pick: Callable[[web.Request], _Shape], *, whole: bool) -> Handler:
    async def handle(http: web.Request) -> web.StreamResponse:
        shape = pick(http)
        return await (shape.list(http) if whole else shape.get(http))

    return handle
