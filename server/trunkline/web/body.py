"""The body of a request, bounded in size and in time."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from aiohttp import StreamReader, web

from trunkline.dialects.known import open_request
from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError, invalid_request
from trunkline.v1 import errors_pb2


async def read_body(request: web.Request, *, timeout: float) -> bytes:  # noqa: ASYNC109
    """The whole body, which must arrive within `timeout` seconds. The application's `client_max_size` bounds it.

    Raises `GatewayError`: REQUEST_TOO_LARGE, or INVALID_REQUEST where the body does not come or cannot be unpacked.
    """
    limit = request.client_max_size
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    try:
        if request.content.is_eof():
            return await _read(request.content, limit)
        async with asyncio.timeout(timeout):
            return await _read(request.content, limit)
    except TimeoutError:
        raise invalid_request(f"The request's body did not arrive within {timeout:g} seconds.") from None
    except web.RequestPayloadError:
        raise invalid_request("The request's body cannot be read: its encoding is broken.") from None


async def _read(content: StreamReader, limit: int) -> bytes:
    """All of `content`. aiohttp's own `read` copies it once more, and keeps it as long as the request."""
    piece = await content.readany()
    if content.at_eof() and len(piece) <= limit:
        return piece
    pieces: list[bytes] = []
    size = 0
    while piece:
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
        piece = await content.readany()
    return b"".join(pieces)


async def read_object(request: web.Request, *, timeout: float) -> dict[str, Json]:  # noqa: ASYNC109
    """The JSON object in the body. Raises `GatewayError` as `read_body`, and INVALID_REQUEST where there is none."""
    return object_of(await read_body(request, timeout=timeout) or _nothing())


async def read_request(
    request: web.Request,
    *,
    timeout: float,  # noqa: ASYNC109
    texts: tuple[str, ...] = (),
) -> dict[str, Json]:
    """As `read_object`, of a request for an answer: its `tools`, and what is at `texts`, may be text still, as
    `known.open_request` tells."""
    return _object(open_request(await read_body(request, timeout=timeout) or _nothing(), texts))


def object_of(body: bytes) -> dict[str, Json]:
    """The JSON object in `body`. Raises `GatewayError` (INVALID_REQUEST) where there is none."""
    return _object(loads(body))


def _object(value: Json) -> dict[str, Json]:
    if type(value) is not dict:
        raise invalid_request("The request's body must be a JSON object.")
    return value


def _nothing() -> NoReturn:
    raise invalid_request("The request has no body; it must be a JSON object.")


def _too_large(limit: int) -> GatewayError:
    return GatewayError(errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE, f"The request's body is larger than {limit} bytes.")
