"""A gateway reached over HTTP: Chat Completions for the answers, the native route for the models."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from trunkline.cli.client import ANSWER_BYTES, CONNECT_SECONDS, LIST_SECONDS, UnreachableError
from trunkline.cli.form import form_of
from trunkline.cli.remedy import causes
from trunkline.config.address import Address
from trunkline.core.grammar import Grammar
from trunkline.core.status import error_of
from trunkline.dialects import openai, sse
from trunkline.dialects.openai.errors import retry_after
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import TABLE, GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.errors_pb2 import ErrorReason
from trunkline.v1.models_pb2 import ListModelsResponse

_CHAT: Final = "/v1/chat/completions"
_MODELS: Final = "/trunkline/v1/models"

_PROFILE: Final = openai.Profile(max_tokens="max_completion_tokens", developer_role=True)
"""The gateway's own surface takes all that the contract has."""


class HttpClient:
    """Calls a gateway at `url`, which may be the base URL of an OpenAI client, with `/v1` at its end.

    Raises `httpx.InvalidURL` where it is no URL.
    """

    def __init__(self, url: str, key: str, context: ssl.SSLContext | None) -> None:
        base = httpx.URL(url.rstrip("/").removesuffix("/v1"))
        self._http = httpx.AsyncClient(
            base_url=base,
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            trust_env=not Address(base.host, 0).loopback,
            verify=True if context is None else context,
        )
        self.where = f"{base.copy_with(userinfo=b'')} over HTTP"

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer in one message."""
        async with self._send("POST", _CHAT, _encode(request)) as response:
            wire = loads(await self._read(response))
        if not isinstance(wire, dict):
            raise self._no_gateway(response)
        return openai.decode_response(Object(wire, lenient=True))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """The answer as it is written."""
        body = {**_encode(request), "stream": True, "stream_options": {"include_usage": True}}
        reader, steps = sse.Reader(), _Steps()
        async with self._send("POST", _CHAT, body) as response:
            async for chunk in response.aiter_bytes():
                for received in reader.feed(chunk):
                    for event in steps.of(received.data):
                        yield event
        for received in reader.end():
            for event in steps.of(received.data):
                yield event
        for event in steps.end():
            yield event

    async def models(self) -> ListModelsResponse:
        """Every model, in one page."""
        whole = ListModelsResponse()
        while True:
            page = ListModelsResponse()
            query = f"?page_token={whole.next_page_token}" if whole.next_page_token else ""
            async with self._send("GET", _MODELS + query, None, seconds=LIST_SECONDS) as response:
                body = await self._read(response)
            try:
                json_format.Parse(body, page, ignore_unknown_fields=True)
            except json_format.ParseError:
                raise self._no_gateway(response) from None
            whole.models.extend(page.models)
            whole.next_page_token = page.next_page_token
            if not page.next_page_token:
                return whole

    async def ask(self, rpc: MethodDescriptor, request: Any) -> Any:
        """The answer to any other unary RPC."""
        form = form_of(rpc, request)
        async with self._send(form.method, form.path, form.body, seconds=LIST_SECONDS) as response:
            body = await self._read(response)
        try:
            return json_format.Parse(body, GetMessageClass(rpc.output_type)(), ignore_unknown_fields=True)
        except json_format.ParseError:
            raise self._no_gateway(response) from None

    async def ask_all(self, rpc: MethodDescriptor, request: Any) -> AsyncGenerator[Any, None]:
        """The messages that any other streaming RPC answers with: a line each."""
        form = form_of(rpc, request)
        async with self._send(form.method, form.path, form.body) as response:
            async for line in response.aiter_lines():
                wire = loads(line.encode())
                if not isinstance(wire, dict):
                    raise self._no_gateway(response)
                if "error" in wire:
                    raise self._error(response, dumps(wire["error"]))
                try:
                    yield json_format.ParseDict(wire["result"], GetMessageClass(rpc.output_type)())
                except (KeyError, json_format.ParseError):
                    raise self._no_gateway(response) from None

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, body: dict[str, Any] | None, seconds: float | None = None
    ) -> AsyncIterator[httpx.Response]:
        """The response to a request, its body still to be read; one that says no is raised."""
        content = None if body is None else dumps(body)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            limit = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
            async with self._http.stream(method, path, content=content, headers=headers, timeout=limit) as response:
                if response.status_code != 200:
                    raise self._error(response, await self._read(response))
                yield response
        except httpx.TimeoutException:
            raise UnreachableError(f"Cannot reach a gateway at {self.where}: no answer in time.") from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnreachableError(f"Cannot reach a gateway at {self.where}: {_cause(error)}.") from None

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > ANSWER_BYTES:
                raise UnreachableError(f"The answer of {self.where} is longer than {ANSWER_BYTES} bytes.")
        return bytes(body)

    def _error(self, response: httpx.Response, body: bytes) -> GatewayError | UnreachableError:
        """What a status other than 200 says: in OpenAI's shape, or as the native routes do."""
        try:
            wire = loads(body)
        except GatewayError:
            return self._no_gateway(response)
        if not isinstance(wire, dict):
            return self._no_gateway(response)
        if isinstance(wire.get("error"), dict):
            error = _decode_error(wire["error"], response.status_code)
            error.retry_after = retry_after(response.headers)
            return error
        try:
            status = json_format.ParseDict(wire, status_pb2.Status(), ignore_unknown_fields=True)
        except json_format.ParseError:
            return self._no_gateway(response)
        return error_of(status) if status.code else self._no_gateway(response)

    def _no_gateway(self, response: httpx.Response) -> UnreachableError:
        return UnreachableError(
            f"The server at {self.where} is no Trunkline gateway: it answered {response.status_code} to "
            f"{response.request.method} {response.request.url.path}."
        )


def _encode(request: ChatRequest) -> dict[str, Any]:
    return openai.encode_request(request, _PROFILE)


class _Steps:
    """The chunks of one stream as events, in legal order to the very end."""

    def __init__(self) -> None:
        self._decoder = openai.StreamDecoder()
        self._grammar = Grammar()

    def of(self, data: bytes) -> list[ChatEvent]:
        """The events of a chunk. Raises the error that it tells of, where it does."""
        if b'"error"' in data[:64]:
            # The decoder reads the errors of providers; this one is the gateway's own.
            wire = loads(data)
            if isinstance(wire, dict) and isinstance(wire.get("error"), dict):
                raise _decode_error(wire["error"], None)
        return self._legal(self._decoder.feed(data))

    def end(self) -> list[ChatEvent]:
        """The events that the end means. Raises `GatewayError` where the answer is not whole."""
        events = self._legal(self._decoder.end())
        self._grammar.end()
        return events

    def _legal(self, events: list[ChatEvent]) -> list[ChatEvent]:
        for event in events:
            self._grammar.feed(event)
        return events


def _decode_error(wire: dict[str, Any], status: int | None) -> GatewayError:
    """An error in OpenAI's shape as this gateway's surface writes it: the inverse of the table."""
    message, param = wire.get("message"), wire.get("param")
    return GatewayError(
        _reason(wire.get("type"), wire.get("code"), status),
        message if isinstance(message, str) else "The gateway gave no reason.",
        param=param if isinstance(param, str) else None,
    )


def _reason(kind: object, code: object, status: int | None) -> ErrorReason.ValueType:
    for reason, row in TABLE.items():
        if (row.openai_type, row.openai_code) == (kind, code) and status in (None, row.http):
            return reason
    return next((reason for reason, row in TABLE.items() if row.http == status), errors_pb2.ERROR_REASON_INTERNAL)


def _cause(error: Exception) -> str:
    for cause in causes(error):
        match cause:
            case ConnectionRefusedError():
                return "nothing listens there"
            case socket.gaierror():
                return "the name cannot be resolved"
            case ssl.SSLCertVerificationError():
                return f"its TLS certificate is not trusted ({cause.verify_message}); --ca names the one to trust"
            case ssl.SSLError():
                return "the TLS handshake failed; does the URL begin with the right one of http and https?"
    return str(error) or type(error).__name__
