"""The list of models, in the shape that the caller's vendor has for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

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
from trunkline.web.gemini import OWN_BASES as GEMINI_BASES
from trunkline.web.gemini import encode_error as gemini_error
from trunkline.web.gemini import headers_of
from trunkline.web.mounts import Mounts
from trunkline.web.openai import encode_error

_ANTHROPIC: Final = ("/anthropic/v1",)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""What answers a request."""


class ModelsSurface:
    """Serves `/models` and each model below it.

    Below `mounts` all vendors' clients ask: their headers tell them apart.
    """

    def __init__(self, entry: Entry, mounts: Mounts, *, body_timeout: float, keep_alive: float) -> None:
        self._mounts = mounts
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
            Exchange(entry, "gemini", gemini_error, headers_of=headers_of),
            gemini_models.encode_model,
            gemini_models.encode_models,
        )

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        routes: list[web.RouteDef] = []
        for base, name in self._mounts.items():
            own = self._openrouter if name == "openrouter" else self._openai
            routes += _routes(base, _Shapes(own, self._anthropic, self._gemini), name)
        for base in GEMINI_BASES:
            routes += _routes(base, _Shapes(self._gemini, self._gemini, self._gemini))
        for base in _ANTHROPIC:
            routes += _routes(base, _Shapes(self._anthropic, self._anthropic, self._anthropic))
        return routes


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

    def handlers(self, name: str) -> tuple[Handler, Handler]:
        """What answers with all models and with one, in the manner of the router `name`."""
        return self._exchange.handler(self._list, name), self._exchange.handler(self._get, name)

    async def _list(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        models, query = await all_models(gateway, call), dict(http.query)
        # Behind a router there are hundreds, and streams must not wait until all are written.
        body = await asyncio.to_thread(lambda: dumps(self._encode_all(models, query)))
        return json_response(body, self._exchange.headers(call))

    async def _get(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        model = await gateway.get_model(GetModelRequest(id=http.match_info["id"]), call)
        return json_response(dumps(self._encode(model)), self._exchange.headers(call))


class _Shapes(NamedTuple):
    """The shapes of one path, by whose clients ask."""

    own: _Shape
    anthropic: _Shape
    gemini: _Shape


def _routes(base: str, shapes: _Shapes, name: str = "") -> list[web.RouteDef]:
    lists, gets = zip(*[shape.handlers(name) for shape in shapes], strict=True)
    return [
        web.get(f"{base}/models", _by_headers(lists)),
        web.get(f"{base}/models/{{id:.+}}", _by_headers(gets)),
    ]


def _by_headers(handlers: Sequence[Handler]) -> Handler:
    own, of_anthropic, of_gemini = handlers

    async def handle(http: web.Request) -> web.StreamResponse:
        # Keys tell nothing, as vendors' clients send them in any header.
        if "anthropic-version" in http.headers:
            return await of_anthropic(http)
        if "x-goog-api-key" in http.headers or "x-goog-api-client" in http.headers or "key" in http.query:
            return await of_gemini(http)
        return await own(http)

    return handle
