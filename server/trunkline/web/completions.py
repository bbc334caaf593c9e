"""OpenAI's older Completions."""

from __future__ import annotations

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import completions, openai
from trunkline.dialects.openai.request import take_stream
from trunkline.dialects.wire import Object, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent
from trunkline.web.body import read_object
from trunkline.web.events import EventStream, frames
from trunkline.web.exchange import Exchange, call_headers, json_response
from trunkline.web.openai import BASES, DONE, encode_error
from trunkline.web.stream import send_stream


class CompletionsSurface:
    """Serves `/completions` below the bases of OpenAI's surface."""

    def __init__(self, entry: Entry, *, body_timeout: float, keep_alive: float) -> None:
        self._exchange = Exchange(entry, "openai", encode_error)
        self._body_timeout = body_timeout
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        complete = self._exchange.handler(self._complete)
        return [web.post(f"{base}/completions", complete) for base in BASES]

    async def _complete(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        options = take_stream(wire)
        request = completions.decode_request(wire)
        if options.stream:
            writer = _Chunks(completions.StreamEncoder(include_usage=options.include_usage))
            out = EventStream(http, {"x-request-id": call.id}, self._keep_alive)
            return await send_stream(gateway, request, call, writer, out)
        response = await gateway.chat(request, call)
        return json_response(dumps(completions.encode_response(response)), call_headers(call))


class _Chunks:
    """Chunks as events without a type, and `[DONE]` after the last."""

    def __init__(self, encoder: completions.StreamEncoder) -> None:
        self._encoder = encoder

    def feed(self, event: ChatEvent) -> bytes:
        return frames(self._encoder.feed(event))

    def end(self) -> bytes:
        return frames(self._encoder.end()) + DONE

    def error(self, error: GatewayError) -> bytes:
        return frames([dumps(openai.encode_error(error))])
