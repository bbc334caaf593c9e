"""OpenAI's Embeddings."""

from __future__ import annotations

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import openai
from trunkline.dialects.wire import Object, dumps
from trunkline.web.body import read_object
from trunkline.web.cost import tell_cost
from trunkline.web.exchange import Exchange, call_headers, json_response
from trunkline.web.extensions import take_routing
from trunkline.web.mounts import Mounts
from trunkline.web.openai import encode_error
from trunkline.web.skins.table import skin_of


class EmbeddingsSurface:
    """Serves `/embeddings` below each of `mounts`."""

    def __init__(self, entry: Entry, mounts: Mounts, *, body_timeout: float, keep_alive: float) -> None:
        self._mounts = mounts
        self._exchange = Exchange(entry, "openai", encode_error)
        self._body_timeout = body_timeout

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        handler = self._exchange.handler
        return [web.post(f"{base}/embeddings", handler(self._embed, name)) for base, name in self._mounts.items()]

    async def _embed(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        encoding = openai.take_encoding(wire)
        routing = take_routing(wire, call)
        request = openai.decode_embed_request(wire)
        if routing.ListFields():
            request.routing.CopyFrom(routing)
        response = await gateway.embed(request, call)
        skin = skin_of(call)
        if skin.dresses:
            skin.dress(response, call)
        body = openai.encode_embed_response(response, encoding)
        body.update(skin.fields(call))
        tell_cost(body, call)
        return json_response(dumps(body), call_headers(call))
