"""OpenAI's older Completions."""

from __future__ import annotations

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import completions
from trunkline.dialects.openai.request import take_stream
from trunkline.dialects.wire import Object, dumps
from trunkline.web.body import read_object
from trunkline.web.chunks import Chunks, date
from trunkline.web.cost import tell_cost
from trunkline.web.events import EventStream
from trunkline.web.exchange import Exchange, call_headers, first_headers, json_response
from trunkline.web.extensions import take_extensions, take_usage
from trunkline.web.mounts import Mounts
from trunkline.web.openai import encode_error
from trunkline.web.skins.table import skin_of
from trunkline.web.stream import send_stream


class CompletionsSurface:
    """Serves `/completions` below each of `mounts`."""

    def __init__(self, entry: Entry, mounts: Mounts, *, body_timeout: float, keep_alive: float) -> None:
        self._mounts = mounts
        self._exchange = Exchange(entry, "openai", encode_error)
        self._body_timeout = body_timeout
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        handler = self._exchange.handler
        return [web.post(f"{base}/completions", handler(self._complete, name)) for base, name in self._mounts.items()]

    async def _complete(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        options = take_stream(wire)
        costs = take_usage(wire)
        asked = take_extensions(wire, call)
        request = completions.decode_request(wire)
        request.MergeFrom(asked)
        skin = skin_of(call)
        if options.stream:
            encoder = completions.StreamEncoder(include_usage=options.include_usage or costs or skin.always_usage)
            writer = Chunks(encoder, call, "text_completion", costs=costs)
            out = EventStream(http, first_headers(call), self._keep_alive, skin.sign)
            return await send_stream(gateway, request, call, writer, out)
        response = await gateway.chat(request, call)
        date(response)
        if skin.dresses:
            skin.dress(response, call)
        body = completions.encode_response(response)
        body.update(skin.fields(call))
        tell_cost(body, call, asked=costs)
        return json_response(dumps(body), call_headers(call))
