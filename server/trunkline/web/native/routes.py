"""The routes of every RPC that carries a `google.api.http` annotation."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc import code_pb2

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.status import status_of
from trunkline.errors import GatewayError, internal, invalid_request, not_found, unsupported
from trunkline.v1 import errors_pb2
from trunkline.web.body import read_body
from trunkline.web.native.decode import Decoder, parse_json
from trunkline.web.native.encode import error_line, to_json
from trunkline.web.native.headers import metadata_of, response_headers, response_metadata, takes_trailers, timeout_of
from trunkline.web.native.mask import fill_mask
from trunkline.web.native.rules import Rule, rules_of
from trunkline.web.native.stream import CONTENT_TYPE, Answer, send, send_stream
from trunkline.web.native.template import segments_of
from trunkline.web.native.text import bind_path, bind_query

_LOG: Final = logging.getLogger("trunkline")


def routes(
    entry: Entry,
    services: Sequence[ServiceDescriptor],
    *,
    desks: Mapping[str, object] = {},
    body_timeout: float = 30.0,
) -> list[web.RouteDef]:
    """The routes that serve `services`: one for all that is below each first segment of their paths, so that unknown
    paths there are answered in the same language.

    `desks` are what answers the services, by their full names, where it is not the gateway: a method for each RPC, in
    snake case, that takes the message and the call. A whole body must arrive within `body_timeout` seconds; the
    application's `client_max_size` bounds it. The descriptors are read here, once. Raises `ValueError` where one cannot
    be served.
    """
    rules = rules_of(services)
    surface = Native(entry, rules, desks, body_timeout)
    roots = sorted({rule.template.segments[0].literal for rule in rules})
    return [web.route("*", f"/{root}/{{rest:.*}}", surface.handle) for root in roots]


class Native:
    """Answers requests by the rules of `google.api.http`, with grpc-gateway's conventions."""

    def __init__(self, entry: Entry, rules: Sequence[Rule], desks: Mapping[str, object], body_timeout: float) -> None:
        self._entry = entry
        self._desks = desks
        self._body_timeout = body_timeout
        # The narrower template first; among equals the later rule, as in grpc-gateway.
        later_first = list(reversed(rules))
        self._rules = sorted(later_first, key=lambda rule: rule.template.rank)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request. Never raises but for cancellation."""
        metadata = metadata_of(request.headers)
        call = self._entry.open("native", metadata)
        try:
            return await self._respond(request, call, metadata)
        except (asyncio.CancelledError, ConnectionResetError):
            call.cancel()
            raise
        finally:
            self._entry.close(call)

    async def _respond(self, request: web.Request, call: Call, metadata: dict[str, str]) -> web.StreamResponse:
        rule: Rule | None = None
        try:
            path = segments_of(request.rel_url.raw_path)
            rule, variables = self._find(request.method, path)
            if rule is None:
                return _wrong_method(request, call, self._methods(path))
            gateway = await self._entry.admit(call, metadata, timeout_of(metadata))
            decoder = Decoder()
            body = b"" if rule.body is None else await _body(request, call, self._body_timeout)
            message = _message(rule, body, variables, _query(request), decoder)
            if call.strict and decoder.ignored:
                name = decoder.ignored[0]
                raise invalid_request(f"`{name}` is no field of this request.", name)
            answer = Answer(request, call, decoder.ignored, takes_trailers(metadata), rule.response_body)
            desk = self._desks.get(rule.rpc.containing_service.full_name)
            if desk is not None:
                call.operation = rule.answer
            serve = getattr(gateway if desk is None else desk, rule.answer)
            if rule.streams:
                async with aclosing(serve(message, call)) as batches:
                    return await send_stream(answer, batches)
            return await send(answer, await serve(message, call))
        except GatewayError as error:
            return _failed(rule, error, call)
        except ConnectionResetError:
            raise
        except Exception:  # noqa: BLE001 - whatever went wrong inside, the client is told in the language of this surface
            _LOG.exception("call %s failed", call.id)
            return _failed(rule, internal("The gateway failed."), call)

    def _find(self, method: str, path: Sequence[str]) -> tuple[Rule | None, dict[str, str]]:
        """The rule for a request and the texts of its variables; no rule where only the method is wrong."""
        known = False
        for rule in self._rules:
            variables = rule.template.match(path)
            if variables is None:
                continue
            if rule.method == method:
                return rule, variables
            known = True
        if known:
            return None, {}
        raise not_found("There is nothing at this path.")

    def _methods(self, path: Sequence[str]) -> list[str]:
        return sorted({rule.method for rule in self._rules if rule.template.match(path) is not None})


def _message(
    rule: Rule, body: bytes, variables: dict[str, str], query: list[tuple[str, str]], decoder: Decoder
) -> Message:
    """The request message: the body, then the path, then the query for what neither of them holds.

    As in grpc-gateway, an empty body leaves its fields unset.
    """
    message = rule.request()
    value = parse_json(body) if body else None
    if rule.body is True and body:
        decoder.fill(message, value)
    elif isinstance(rule.body, FieldDescriptor) and value is not None:
        decoder.fill_field(message, rule.body, value, rule.body.json_name)
    for name, text in variables.items():
        bind_path(message, rule.variables[name], text, name)
    if rule.body is True:
        for name, _ in query:
            decoder.ignore(name)
    else:
        bind_query(message, query, rule.taken, decoder)
    if rule.method == "PATCH" and isinstance(rule.body, FieldDescriptor):
        fill_mask(message, rule.body, value)
    return message


async def _body(request: web.Request, call: Call, body_timeout: float) -> bytes:
    remaining = call.remaining()
    if remaining is None or remaining > body_timeout:
        return await read_body(request, timeout=body_timeout)
    try:
        async with asyncio.timeout(remaining):
            return await read_body(request, timeout=body_timeout)
    except TimeoutError:
        raise GatewayError(
            errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT, "The deadline passed before the whole request was there."
        ) from None


def _query(request: web.Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise invalid_request("The query is not UTF-8.") from None


def _failed(rule: Rule | None, error: GatewayError, call: Call) -> web.Response:
    """The answer to a request that failed before a byte of its answer was sent.

    A streaming RPC wraps the status as the last line of its stream does, as in grpc-gateway.
    """
    call.fail(error)
    status = status_of(error, call)
    headers = response_headers(response_metadata(call))
    if error.reason == errors_pb2.ERROR_REASON_UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(0, math.ceil(error.retry_after.total_seconds())))
    body = error_line(status) if rule is not None and rule.streams else to_json(status)
    return web.Response(status=error.row.http, body=body, content_type=CONTENT_TYPE, headers=headers)


def _wrong_method(request: web.Request, call: Call, methods: Sequence[str]) -> web.Response:
    """As in grpc-gateway, UNIMPLEMENTED and so 501, where plain HTTP would say 405."""
    error = unsupported(f"{request.method} is not served at this path; {', '.join(methods)} is.")
    call.fail(error)
    status = status_of(error, call)
    status.code = code_pb2.UNIMPLEMENTED
    headers = {**response_headers(response_metadata(call)), "Allow": ", ".join(methods)}
    return web.Response(status=501, body=to_json(status), content_type=CONTENT_TYPE, headers=headers)
