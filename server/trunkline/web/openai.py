"""OpenAI's surface: Chat Completions and the list of models."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import openai
from trunkline.dialects.openai.request import take_stream
from trunkline.dialects.wire import Json, Object, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest
from trunkline.v1.models_pb2 import GetModelRequest, ListModelsRequest, Model
from trunkline.web.body import read_object
from trunkline.web.events import EventStream, frames
from trunkline.web.exchange import Exchange, call_headers, json_response
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
        self._created = int(time.time())

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        chat = self._exchange.handler(self._chat)
        models = self._exchange.handler(self._models)
        model = self._exchange.handler(self._model)
        return [
            route
            for base in BASES
            for route in (
                web.post(f"{base}/chat/completions", chat),
                web.get(f"{base}/models", models),
                web.get(f"{base}/models/{{id:.+}}", model),
            )
        ]

    async def _chat(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        options = take_stream(wire)
        request = openai.decode_request(wire)
        if options.stream:
            return await self._stream(http, request, call, gateway, include_usage=options.include_usage)
        response = await gateway.chat(request, call)
        return json_response(dumps(openai.encode_response(response)), call_headers(call))

    async def _stream(
        self, http: web.Request, request: ChatRequest, call: Call, gateway: Gateway, *, include_usage: bool
    ) -> web.StreamResponse:
        writer = _Chunks(openai.StreamEncoder(include_usage=include_usage))
        out = EventStream(http, {"x-request-id": call.id}, self._keep_alive)
        return await send_stream(gateway, request, call, writer, out)

    async def _models(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        listed = await gateway.list_models(ListModelsRequest(), call)
        models = list(listed.models)
        while listed.next_page_token:
            listed = await gateway.list_models(ListModelsRequest(page_token=listed.next_page_token), call)
            models.extend(listed.models)
        body = {"object": "list", "data": [self._encode_model(model) for model in models]}
        return json_response(dumps(body), call_headers(call))

    async def _model(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        model = await gateway.get_model(GetModelRequest(id=http.match_info["id"]), call)
        return json_response(dumps(self._encode_model(model)), call_headers(call))

    def _encode_model(self, model: Model) -> dict[str, Json]:
        wire: dict[str, Json] = {
            "id": model.id,
            "object": "model",
            "created": self._created,
            "owned_by": model.providers[0] if model.providers else "trunkline",
        }
        if model.HasField("context_tokens"):
            wire["context_length"] = model.context_tokens
        if model.HasField("max_output_tokens"):
            wire["max_output_tokens"] = model.max_output_tokens
        return wire


class _Chunks:
    """Chunks as events without a type, and `[DONE]` after the last."""

    def __init__(self, encoder: openai.StreamEncoder) -> None:
        self._encoder = encoder

    def feed(self, event: ChatEvent) -> bytes:
        return frames(self._encoder.feed(event))

    def end(self) -> bytes:
        return frames(self._encoder.end()) + DONE

    def error(self, error: GatewayError) -> bytes:
        return frames([dumps(openai.encode_error(error))])
