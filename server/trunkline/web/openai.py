"""OpenAI's surface: Chat Completions."""

from __future__ import annotations

from aiohttp import web

from trunkline.call import Call
from trunkline.core.conceal import Concealer, conceal
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import openai, responses
from trunkline.dialects.openai.request import take_stream
from trunkline.dialects.wire import Json, Object, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.web.body import read_request
from trunkline.web.chunks import Chunks, date
from trunkline.web.cost import tell_cost
from trunkline.web.events import EventStream
from trunkline.web.exchange import Exchange, call_headers, first_headers, json_response
from trunkline.web.extensions import take_extensions, take_usage
from trunkline.web.mounts import Mounts
from trunkline.web.skins.table import skin_of
from trunkline.web.stream import send_stream


def encode_error(error: GatewayError, request_id: str) -> Json:
    """OpenAI's error object, which has no place for the id: it is in a header."""
    return openai.encode_error(error)


class OpenAISurface:
    """Serves `/chat/completions` below each of `mounts`."""

    def __init__(self, entry: Entry, mounts: Mounts, *, body_timeout: float, keep_alive: float) -> None:
        self._mounts = mounts
        self._exchange = Exchange(entry, "openai", encode_error)
        self._body_timeout = body_timeout
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        handler = self._exchange.handler
        return [web.post(f"{base}/chat/completions", handler(self._chat, name)) for base, name in self._mounts.items()]

    async def _chat(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_request(http, timeout=self._body_timeout))
        options = take_stream(wire)
        # Cursor's agent asks here in the words of Responses, and reads the answer as Chat Completions.
        told = responses if "input" in wire.fields and "messages" not in wire.fields else openai
        costs = take_usage(wire)
        asked = take_extensions(wire, call)
        request = told.decode_request(wire)
        request.MergeFrom(asked)
        skin = skin_of(call)
        if options.stream:
            include_usage = options.include_usage or costs or skin.always_usage
            return await self._stream(http, request, call, gateway, include_usage=include_usage, costs=costs)
        response = await gateway.chat(request, call)
        if _conceals(request):
            conceal(response)
        date(response)
        if skin.dresses:
            skin.dress(response, call)
        body = openai.encode_response(response)
        body.update(skin.fields(call))
        tell_cost(body, call, asked=costs)
        return json_response(dumps(body), call_headers(call))

    async def _stream(
        self,
        http: web.Request,
        request: ChatRequest,
        call: Call,
        gateway: Gateway,
        *,
        include_usage: bool,
        costs: bool,
    ) -> web.StreamResponse:
        concealer = Concealer() if _conceals(request) else None
        encoder = openai.StreamEncoder(include_usage=include_usage)
        writer = Chunks(encoder, call, "chat.completion.chunk", concealer, costs=costs)
        out = EventStream(http, first_headers(call), self._keep_alive, skin_of(call).sign)
        return await send_stream(gateway, request, call, writer, out)


def _conceals(request: ChatRequest) -> bool:
    """Whether the caller wants the model to reason out of his sight, as `reasoning.exclude` says."""
    return request.reasoning.summary == "none"
