"""What every call over HTTP has in common: it is opened, let in, answered or refused, and closed once."""

from __future__ import annotations

import asyncio
import logging
import math
import operator
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from aiohttp import web

from trunkline.call import Call, LossKind, Surface
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import GatewayError, internal
from trunkline.web.notes import note_app
from trunkline.web.skins.skin import Refusal
from trunkline.web.skins.table import skin_of

_LONGEST: Final = 4096
"""The most characters of one header."""

_log = logging.getLogger("trunkline")

Answer = Callable[[web.Request, Call, Gateway], Awaitable[web.StreamResponse]]
"""What a surface does for one kind of request."""

EncodeError = Callable[[GatewayError, str], Json]
"""An error, and the id of its call -> a dialect's error object."""


def http_status(error: GatewayError) -> int:
    """The status of an error, by the error table."""
    return error.row.http


class Exchange:
    """Runs the calls of one surface.

    `id_header` is where the vendor's clients look for the id of a call, beside our own; `status` is the vendor's for an
    error; `headers_of` are the headers of a request, with what the vendor's clients tell elsewhere.
    """

    def __init__(
        self,
        entry: Entry,
        surface: Surface,
        encode_error: EncodeError,
        *,
        id_header: str = "x-request-id",
        status: Callable[[GatewayError], int] = http_status,
        headers_of: Callable[[web.Request], Mapping[str, str]] = operator.attrgetter("headers"),
    ) -> None:
        self._entry = entry
        self._surface: Surface = surface
        self._encode_error = encode_error
        self._id_header = id_header
        self._status = status
        self._headers_of = headers_of

    def handler(self, answer: Answer, dialect: str = "") -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """An aiohttp handler that answers by `answer`, whose `GatewayError` becomes the language's own.

        `dialect` is the router in whose manner it is told, unless the caller's key has another.
        """
        entry = self._entry

        async def handle(request: web.Request) -> web.StreamResponse:
            headers = self._headers_of(request)
            call = entry.open(self._surface, headers)
            call.dialect = dialect
            try:
                gateway = await entry.admit(call, headers)
                note_app(call)
                return await answer(request, call, gateway)
            except GatewayError as error:
                call.fail(error)
                return self._refuse(error, call)
            except (asyncio.CancelledError, ConnectionResetError):
                call.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - whatever failed, the caller gets an answer in his dialect
                call.fail(internal("The gateway failed; its log tells why."))
                _log.exception("call %s failed in the gateway", call.id, exc_info=error)
                return self._refuse(call.error or internal(""), call)
            finally:
                entry.close(call)

        return handle

    def headers(self, call: Call) -> dict[str, str]:
        """The headers that tell of a call."""
        headers = call_headers(call)
        headers[self._id_header] = call.id
        return headers

    def error_text(self, error: GatewayError, call: Call) -> bytes:
        """The error object, as JSON text."""
        return dumps(self._encode_error(error, call.id))

    def _refuse(self, error: GatewayError, call: Call) -> web.Response:
        told = skin_of(call).refusal(error, call) or Refusal(self._status(error), self.error_text(error, call))
        headers = {**self.headers(call), **told.headers, "content-type": told.content_type}
        if error.retry_after is not None:
            headers["retry-after"] = str(_seconds(error.retry_after))
            headers["retry-after-ms"] = str(math.ceil(error.retry_after / timedelta(milliseconds=1)))
        if not error.row.retry:
            # OpenAI's and Anthropic's clients would otherwise repeat what cannot succeed.
            headers["x-should-retry"] = "false"
        return web.Response(body=told.body, status=told.status, headers=headers)


def first_headers(call: Call) -> dict[str, str]:
    """The headers of a stream that is opened before anyone answers."""
    return {"x-request-id": call.id, **skin_of(call).headers(call)}


def call_headers(call: Call) -> dict[str, str]:
    """The headers that tell of a call: its id, who was asked and answered, and what the target could not take."""
    headers = {"x-request-id": call.id, **call.limits, **skin_of(call).headers(call)}
    if call.routing_mode:
        headers["x-trunkline-routing-mode"] = call.routing_mode
    if call.rule:
        headers["x-trunkline-rule"] = _text(call.rule)
    if call.warnings:
        headers["x-trunkline-warning"] = _text("; ".join(call.warnings))
    last = call.last
    if last is not None:
        headers["x-trunkline-provider"] = last.provider
        headers["x-trunkline-attempts"] = ", ".join(
            [_text(f"{one.provider}/{one.model}={one.outcome}") for one in call.attempts]
        )[:_LONGEST]
        if last.upstream_id:
            headers["x-trunkline-upstream-id"] = _text(last.upstream_id)
        losses = call.losses
        if losses:
            for kind in LossKind:
                names = ", ".join(_token(loss.field) for loss in losses if loss.kind is kind)
                if names:
                    headers[f"x-trunkline-{kind.value}"] = names[:_LONGEST]
    return headers


def json_response(body: bytes, headers: dict[str, str], status: int = 200) -> web.Response:
    """An answer in JSON."""
    headers["content-type"] = "application/json"
    return web.Response(body=body, status=status, headers=headers)


def _text(text: str) -> str:
    """A text as it may stand in a header."""
    if text.isascii() and text.isprintable():
        return text[:_LONGEST]
    return "".join(char if " " <= char <= "~" else "?" for char in text[:_LONGEST])


def _token(name: str) -> str:
    """A field's name as it may stand in a header: callers choose it, and could end the header with it."""
    return "".join(char if "!" <= char <= "~" and char != "," else "?" for char in name[:128])


def _seconds(delay: timedelta) -> int:
    return max(0, math.ceil(delay.total_seconds()))
