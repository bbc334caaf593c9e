"""Anthropic's surface: Messages, and the counting of their tokens."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.estimate import estimate_tokens
from trunkline.core.gateway import Gateway
from trunkline.dialects import anthropic
from trunkline.dialects.wire import Json, Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest
from trunkline.web.body import read_request
from trunkline.web.cost import cost_of, tell_cost
from trunkline.web.events import EventStream
from trunkline.web.exchange import Exchange, first_headers, json_response
from trunkline.web.extensions import take_extensions
from trunkline.web.mounts import Mounts
from trunkline.web.skins.table import skin_of
from trunkline.web.stream import send_stream

_BASES: Final[Mounts] = {"": "", "/v1/v1": "", "/anthropic/v1": ""}
"""Where Messages are served beside the mounts: clients are given a base with the version or without, and add it
themselves or not."""

_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
"""What Anthropic itself sends where nothing else comes."""


def anthropic_status(error: GatewayError) -> int:
    """Anthropic's own status for an error: it has one for being overloaded."""
    return error.row.anthropic_http


class AnthropicSurface:
    """Serves `/v1/messages` and what is below it."""

    def __init__(self, entry: Entry, mounts: Mounts, *, body_timeout: float, keep_alive: float) -> None:
        self._paths = {f"{base}/messages": name for base, name in {**_BASES, **mounts}.items()}
        self._exchange = Exchange(
            entry, "anthropic", anthropic.encode_error, id_header="request-id", status=anthropic_status
        )
        self._body_timeout = body_timeout
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        handler = self._exchange.handler
        return [
            route
            for path, name in self._paths.items()
            for route in (
                web.post(path, handler(self._messages, name)),
                web.post(f"{path}/count_tokens", handler(self._count, name)),
                web.route("*", path, handler(self._unknown, name)),
                web.route("*", f"{path}/{{rest:.*}}", handler(self._unknown, name)),
            )
        ]

    async def _messages(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = await self._read(http)
        streamed = anthropic.take_stream(wire)
        asked = take_extensions(wire, call)
        request = anthropic.decode_request(wire)
        request.MergeFrom(asked)
        if streamed:
            writer = _Frames(anthropic.StreamEncoder(lambda: estimate_tokens(request)), call)
            out = EventStream(http, {**first_headers(call), "request-id": call.id}, self._keep_alive, _PING)
            return await send_stream(gateway, request, call, writer, out)
        response = await gateway.chat(request, call)
        body = anthropic.encode_response(response)
        skin_of(call).dress_message(body, call)
        tell_cost(body, call)
        return json_response(dumps(body), self._exchange.headers(call))

    async def _count(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = await self._read(http)
        take_extensions(wire, call)
        request: ChatRequest = anthropic.decode_request(wire)
        counted = await gateway.count_tokens(request, call)
        headers = self._exchange.headers(call)
        if counted.estimated:
            headers["x-trunkline-estimated"] = "input_tokens"
        return json_response(dumps({"input_tokens": counted.input_tokens}), headers)

    async def _read(self, http: web.Request) -> Object:
        """The request's body, with the betas of its header where Bedrock and Vertex AI take them: in the body."""
        wire = await read_request(http, timeout=self._body_timeout)
        betas = [beta for header in http.headers.getall("anthropic-beta", ()) for beta in header.split(",")]
        betas = [beta for one in betas if (beta := one.strip()) and beta.isascii()]
        if betas and "anthropic_beta" not in wire:
            wire["anthropic_beta"] = betas
        return Object(wire)

    async def _unknown(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        path = http.path[:200]
        if http.path in self._paths or http.path.removesuffix("/count_tokens") in self._paths:
            message, status, headers = f"{path} takes POST, not {http.method}.", 405, {"allow": "POST"}
        else:
            message, status, headers = f"Not found: {http.method} {path}.", 404, {}
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        error: Json = {"type": "error", "error": {"type": kind, "message": message}, "request_id": call.id}
        return json_response(dumps(error), {**headers, **self._exchange.headers(call)}, status=status)


class _Frames:
    """Events, each with its type."""

    def __init__(self, encoder: anthropic.StreamEncoder, call: Call) -> None:
        self._encoder = encoder
        self._call = call

    def feed(self, event: ChatEvent) -> bytes:
        return _framed(self._encoder.feed(event))

    def end(self) -> bytes:
        ended = self._encoder.end(cost_of(self._call))
        more = skin_of(self._call).last_message_fields(self._call)
        if more:
            last = ended[-1]
            ended[-1] = last._replace(data=dumps({**loads(last.data), **more}))
        return _framed(ended)

    def error(self, error: GatewayError) -> bytes:
        told = skin_of(self._call).broken(error, self._call, {})
        return (
            _framed([anthropic.Frame("error", dumps(anthropic.encode_error(error, self._call.id)))])
            if told is None
            else told
        )


def _framed(frames: list[anthropic.Frame]) -> bytes:
    return b"".join([b"event: %b\ndata: %b\n\n" % (kind.encode(), data) for kind, data in frames])
