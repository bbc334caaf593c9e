"""OpenAI's Embeddings."""

from __future__ import annotations

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import openai
from trunkline.dialects.wire import Object, dumps
from trunkline.web.body import read_object
from trunkline.web.exchange import Exchange, call_headers, json_response
from trunkline.web.openai import BASES, encode_error


class EmbeddingsSurface:
    """Serves `/embeddings` below the bases of OpenAI's surface."""

    def __init__(self, entry: Entry, *, body_timeout: float, keep_alive: float) -> None:
        self._exchange = Exchange(entry, "openai", encode_error)
        self._body_timeout = body_timeout

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        embed = self._exchange.handler(self._embed)
        return [web.post(f"{base}/embeddings", embed) for base in BASES]

    async def _embed(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        encoding = openai.take_encoding(wire)
        response = await gateway.embed(openai.decode_embed_request(wire), call)
        return json_response(dumps(openai.encode_embed_response(response, encoding)), call_headers(call))
