"""A streamed answer, told in the dialect of a surface."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Protocol

from aiohttp import web

from trunkline.call import Call
from trunkline.core.gateway import Gateway
from trunkline.errors import GatewayError, internal
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest
from trunkline.web.events import EventStream
from trunkline.web.exchange import call_headers

_log = logging.getLogger("trunkline")


class Writer(Protocol):
    """Writes the events of one answer as the bytes of a surface's stream."""

    def feed(self, event: ChatEvent) -> bytes:
        """What `event` is written as; empty where it waits for others."""
        ...

    def end(self) -> bytes:
        """The end of an answer that is whole."""
        ...

    def error(self, error: GatewayError) -> bytes:
        """The end of an answer that failed after its beginning was sent."""
        ...


async def send_stream(
    gateway: Gateway,
    request: ChatRequest,
    call: Call,
    writer: Writer,
    out: EventStream,
    settle: Callable[[], Awaitable[None]] | None = None,
) -> web.StreamResponse:
    """Answer `request` through `writer` as it is written. Before the end is told, `settle` is waited for.

    Raises `GatewayError` where it fails before a byte was sent: the answer is then a status of its own.
    """
    try:
        async with aclosing(gateway.stream_chat(request, call)) as batches:
            async for batch in batches:
                if not out.begun:
                    out.add_headers(call_headers(call))
                data = b"".join([writer.feed(event) for event in batch])
                if data:
                    await out.write(data)
        last = writer.end()
        if settle is not None:
            await settle()
        await out.write(last)
    except ConnectionResetError:
        raise
    except Exception as error:
        if not out.begun:
            raise
        told = error
        if not isinstance(told, GatewayError):
            # The status line is out: a second one would be read as a piece of the stream.
            _log.exception("call %s failed in the gateway", call.id, exc_info=error)
            told = internal("The gateway failed; its log tells why.")
        call.fail(told)
        last = writer.error(told)
        if settle is not None:
            with suppress(GatewayError):  # that the answer failed is told all the same
                await settle()
        await out.write(last)
    finally:
        out.stop()
    return await out.close()
