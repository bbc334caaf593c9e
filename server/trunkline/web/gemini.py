"""Google's surface: `generateContent` and its siblings."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import gemini
from trunkline.dialects.wire import Json, Object, dumps
from trunkline.errors import GatewayError, invalid_request, not_found
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest
from trunkline.web.body import read_object, read_request
from trunkline.web.events import EventStream, frames
from trunkline.web.exchange import Exchange, json_response
from trunkline.web.stream import send_stream

OWN_BASES: Final = ("/v1beta", "/v1beta1", "/v1alpha")
"""Below what nobody but Google's clients asks."""

_BASES: Final = (*OWN_BASES, "/v1", "/api/v1")
"""Below what Google's clients ask: the newer ones by `/v1`, the older ones and the command line by `/v1beta`."""

_NAME: Final = re.compile(
    r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/(?P<publisher>[^/]+)/)?(?:models|tunedModels|endpoints)/(?P<model>.+)"
)
"""A model, as the Gemini API names it or as Vertex AI does."""

_SILENCE: Final = b"\r\n"
"""What keeps a stream alive: Google's clients bear no comments, and pass over an empty line."""


class GeminiSurface:
    """Serves `models/{model}:{method}`."""

    def __init__(self, entry: Entry, *, body_timeout: float, keep_alive: float) -> None:
        self._exchange = Exchange(entry, "gemini", encode_error, headers_of=headers_of)
        self._body_timeout = body_timeout
        self._keep_alive = keep_alive
        self._methods: dict[str, Callable[[web.Request, str, Call, Gateway], Awaitable[web.StreamResponse]]] = {
            "generateContent": self._generate,
            "streamGenerateContent": self._stream,
            "countTokens": self._count,
            "embedContent": self._embed,
            "batchEmbedContents": self._embed_batch,
        }

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        handle = self._exchange.handler(self._handle)
        return [
            web.post(f"{base}/{{name:(?:models|tunedModels|projects|publishers)/.+}}:{{method:[A-Za-z]+}}", handle)
            for base in _BASES
        ]

    async def _handle(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        method = self._methods.get(http.match_info["method"])
        match = _NAME.fullmatch(http.match_info["name"])
        if method is None or match is None:
            known = ", ".join(f"`{name}`" for name in self._methods)
            raise not_found(f"There is nothing at {http.path[:200]}. The methods of a model are {known}.", "method")
        return await method(http, match["model"], call, gateway)

    async def _generate(self, http: web.Request, model: str, call: Call, gateway: Gateway) -> web.StreamResponse:
        response = await gateway.chat(await self._request(http, model), call)
        return json_response(dumps(gemini.encode_response(response)), self._exchange.headers(call))

    async def _stream(self, http: web.Request, model: str, call: Call, gateway: Gateway) -> web.StreamResponse:
        request = await self._request(http, model)
        headers = self._exchange.headers(call)
        if http.query.get("alt") == "sse":
            out = EventStream(http, headers, self._keep_alive, _SILENCE)
            return await send_stream(gateway, request, call, _Events(), out)
        headers["content-type"] = "application/json; charset=UTF-8"
        out = EventStream(http, headers, self._keep_alive, _SILENCE)
        return await send_stream(gateway, request, call, _Array(), out)

    async def _count(self, http: web.Request, model: str, call: Call, gateway: Gateway) -> web.StreamResponse:
        body = await read_object(http, timeout=self._body_timeout)
        inner = body.get("generateContentRequest") or body.get("generate_content_request")
        wire = Object(inner if isinstance(inner, dict) else body)
        counted = await gateway.count_tokens(gemini.decode_request(wire, model), call)
        headers = self._exchange.headers(call)
        if counted.estimated:
            headers["x-trunkline-estimated"] = "totalTokens"
        told: dict[str, Json] = {"totalTokens": counted.input_tokens}
        if counted.HasField("cached_input_tokens"):
            told["cachedContentTokenCount"] = counted.cached_input_tokens
        return json_response(dumps(told), headers)

    async def _embed(self, http: web.Request, model: str, call: Call, gateway: Gateway) -> web.StreamResponse:
        body = await read_object(http, timeout=self._body_timeout)
        request = gemini.decode_embed_request([Object(body)], model)
        response = await gateway.embed(request, call)
        return json_response(dumps(gemini.encode_embed_response(response)), self._exchange.headers(call))

    async def _embed_batch(self, http: web.Request, model: str, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        request = gemini.decode_embed_request(list(wire.take_objects("requests")), model)
        response = await gateway.embed(request, call)
        return json_response(dumps(gemini.encode_embed_batch(response)), self._exchange.headers(call))

    async def _request(self, http: web.Request, model: str) -> ChatRequest:
        wire = Object(await read_request(http, timeout=self._body_timeout, texts=gemini.TEXTS))
        if wire.fields.get("cachedContent") or wire.fields.get("cached_content"):
            raise invalid_request(
                "`cachedContent` names what only Google keeps: send the content itself.", "cachedContent"
            )
        return gemini.decode_request(wire, model)


def headers_of(http: web.Request) -> Mapping[str, str]:
    """The headers of a request, with the key of its query, where Google's own examples have it."""
    key = http.query.get("key")
    if not key:
        return http.headers
    headers = CIMultiDict(http.headers)
    headers.setdefault("x-goog-api-key", key)
    return headers


def encode_error(error: GatewayError, request_id: str) -> Json:
    """Google's error object, with the id of the call in its details."""
    wire = gemini.encode_error(error)
    wire["error"]["details"].append({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request_id})
    return wire


class _Events:
    """Chunks as events without a type."""

    def __init__(self) -> None:
        self._encoder = gemini.StreamEncoder()

    def feed(self, event: ChatEvent) -> bytes:
        return frames(self._encoder.feed(event))

    def end(self) -> bytes:
        return frames(self._encoder.end())

    def error(self, error: GatewayError) -> bytes:
        return frames([dumps(gemini.encode_error(error))])


class _Array:
    """Chunks as the items of one array; an error is the last of them."""

    def __init__(self) -> None:
        self._encoder = gemini.StreamEncoder()
        self._begun = False

    def feed(self, event: ChatEvent) -> bytes:
        return self._items(self._encoder.feed(event))

    def end(self) -> bytes:
        return self._items(self._encoder.end()) + (b"]" if self._begun else b"[]")

    def error(self, error: GatewayError) -> bytes:
        return self._items([dumps(gemini.encode_error(error))]) + b"]"

    def _items(self, chunks: list[bytes]) -> bytes:
        if not chunks:
            return b""
        data = (b",\r\n" if self._begun else b"[") + b",\r\n".join(chunks)
        self._begun = True
        return data
