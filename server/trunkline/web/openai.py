"""OpenAI's surface: Chat Completions."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from trunkline.call import Call
from trunkline.core.conceal import Concealer, conceal
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import openai, responses
from trunkline.dialects.openai.request import take_stream
from trunkline.dialects.wire import Json, Object, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest
from trunkline.web.body import read_object
from trunkline.web.events import EventStream, frames
from trunkline.web.exchange import Exchange, call_headers, json_response
from trunkline.web.extensions import take_extensions
from trunkline.web.stream import send_stream

BASES: Final = ("/v1", "/api/v1")
"""Below what the paths are served: OpenAI's own, and the one that OpenRouter's clients use."""

DONE: Final = b"data: [DONE]\n\n"
"""The last event of a stream that is whole."""


def encode_error(error: GatewayError, request_id: str) -> Json:
    """OpenAI's error object, which has no place for the id: it is in a header."""
    return openai.encode_error(error)


class OpenAISurface:
    """Serves OpenAI's paths under `/v1`, and under `/api/v1` as OpenRouter's clients ask for them."""

    def __init__(self, entry: Entry, *, body_timeout: float, keep_alive: float) -> None:
        self._exchange = Exchange(entry, "openai", encode_error)
        self._body_timeout = body_timeout
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        chat = self._exchange.handler(self._chat)
        return [web.post(f"{base}/chat/completions", chat) for base in BASES]

    async def _chat(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        options = take_stream(wire)
        # Cursor's agent asks here in the words of Responses, and reads the answer as Chat Completions.
        told = responses if "input" in wire.fields and "messages" not in wire.fields else openai
        asked = take_extensions(wire)
        request = told.decode_request(wire)
        request.MergeFrom(asked)
        if options.stream:
            return await self._stream(http, request, call, gateway, include_usage=options.include_usage)
        response = await gateway.chat(request, call)
        if _conceals(request):
            conceal(response)
        return json_response(dumps(openai.encode_response(response)), call_headers(call))

    async def _stream(
        self, http: web.Request, request: ChatRequest, call: Call, gateway: Gateway, *, include_usage: bool
    ) -> web.StreamResponse:
        concealer = Concealer() if _conceals(request) else None
        writer = _Chunks(openai.StreamEncoder(include_usage=include_usage), concealer)
        out = EventStream(http, {"x-request-id": call.id}, self._keep_alive)
        return await send_stream(gateway, request, call, writer, out)


def _conceals(request: ChatRequest) -> bool:
    """Whether the caller wants the model to reason out of his sight, as `reasoning.exclude` says."""
    return request.reasoning.summary == "none"


class _Chunks:
    """Chunks as events without a type, and `[DONE]` after the last."""

    def __init__(self, encoder: openai.StreamEncoder, concealer: Concealer | None) -> None:
        self._encoder = encoder
        self._concealer = concealer

    def feed(self, event: ChatEvent) -> bytes:
        if self._concealer is not None:
            left = self._concealer.feed(event)
            if left is None:
                return b""
            event = left
        return frames(self._encoder.feed(event))

    def end(self) -> bytes:
        return frames(self._encoder.end()) + DONE

    def error(self, error: GatewayError) -> bytes:
        return frames([dumps(openai.encode_error(error))])
