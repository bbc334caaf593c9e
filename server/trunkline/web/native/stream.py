"""Writes what an RPC answered: one message, or a stream of lines, and the trailers after it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.http import HttpVersion11, StreamWriter
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from trunkline.call import Call
from trunkline.core.status import status_of
from trunkline.errors import GatewayError, internal
from trunkline.web.native.encode import error_line, result_line, to_json
from trunkline.web.native.headers import response_headers, response_metadata, response_trailers

CONTENT_TYPE: Final = "application/json"

_LOG: Final = logging.getLogger("trunkline")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer about to be sent. `ignored` names what of the request had no field; `trailers` tells whether the client
    reads them; `field` is the one field to send where the rule says so."""

    request: web.Request
    call: Call
    ignored: Sequence[str]
    trailers: bool
    field: FieldDescriptor | None


async def send(answer: Answer, message: Message) -> web.StreamResponse:
    """Send the one message of a unary RPC."""
    body = to_json(message, answer.field)
    headers = response_headers(response_metadata(answer.call, answer.ignored))
    if not _trailers(answer):
        return web.Response(body=body, content_type=CONTENT_TYPE, headers=headers)
    response = await _begin(answer)
    await response.write(body)
    _end(answer)
    return response


async def send_stream(answer: Answer, batches: AsyncGenerator[Sequence[Message], None]) -> web.StreamResponse:
    """Send each message as a line as soon as it is there; messages that came together go out together.

    Raises `GatewayError` where the stream fails before its first message, when nothing was sent yet. Later, the error
    is the last line.
    """
    first: Sequence[Message] = await anext(batches, [])  # a tuple as the default is lost by CPython 3.11
    response = await _begin(answer)
    try:
        await _write(response, first, answer.field)
        async for batch in batches:
            await _write(response, batch, answer.field)
    except GatewayError as error:
        await _fail(answer, response, error)
    except ConnectionResetError:
        raise
    except Exception:  # noqa: BLE001 - the status line is out: only a line can tell
        _LOG.exception("call %s failed", answer.call.id)
        await _fail(answer, response, internal("The gateway failed."))
    _end(answer)
    return response


async def _begin(answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(headers=response_headers(response_metadata(answer.call, answer.ignored)))
    response.content_type = CONTENT_TYPE
    if trailers := _trailers(answer):
        response.headers["Trailer"] = ", ".join(trailers)
    await response.prepare(answer.request)
    return response


async def _write(response: web.StreamResponse, batch: Sequence[Message], field: FieldDescriptor | None) -> None:
    if batch:
        await response.write(b"".join([result_line(message, field) for message in batch]))


async def _fail(answer: Answer, response: web.StreamResponse, error: GatewayError) -> None:
    answer.call.fail(error)
    await response.write(error_line(status_of(error, answer.call)))


def _trailers(answer: Answer) -> dict[str, str]:
    """The trailers to send: none where the client does not read them or the protocol has none."""
    if not answer.trailers or answer.request.version < HttpVersion11:
        return {}
    return response_trailers(response_metadata(answer.call, answer.ignored))


def _end(answer: Answer) -> None:
    """End a chunked body with trailers, where there are any: aiohttp ends it without."""
    trailers = _trailers(answer)
    writer = answer.request.writer
    if not trailers or not isinstance(writer, StreamWriter) or not writer.chunked or writer.transport is None:
        return
    writer.send_headers()
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
    writer.transport.write(f"0\r\n{lines}\r\n".encode("ascii"))
    writer.chunked = False  # the last chunk is out: what remains is to mark the end
    writer.set_eof()
