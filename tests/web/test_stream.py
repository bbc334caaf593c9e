"""Streams over real sockets, of which the gateway's own inside fails."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from trunkline.call import Call
from trunkline.core.gateway import Gateway
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.web.events import EventStream
from trunkline.web.stream import send_stream


class _Broken:
    """A gateway that fails within itself after its first event."""

    async def stream_chat(self, request: ChatRequest, call: Call) -> AsyncGenerator[list[ChatEvent], None]:
        yield [ChatEvent(start=ChatResponse(id="r"))]
        raise ZeroDivisionError


class _Lines:
    """A writer that writes a line for each event."""

    def feed(self, event: ChatEvent) -> bytes:
        return b"event\n"

    def end(self) -> bytes:
        return b"end\n"

    def error(self, error: GatewayError) -> bytes:
        return f"{error.name}\n".encode()


async def test_a_failure_of_the_gateway_is_told_in_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    """As an error of the dialect, and never as a second response behind the first: the connection stays of use."""
    calls: list[Call] = []

    async def answer(http: web.Request) -> web.StreamResponse:
        calls.append(Call("c", "openai"))
        out = EventStream(http, {}, keep_alive=60)
        return await send_stream(cast(Gateway, _Broken()), ChatRequest(), calls[-1], _Lines(), out)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    with caplog.at_level(logging.CRITICAL):
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.get(url) as response:
                    assert await response.read() == b"event\nINTERNAL\n"
    await runner.cleanup()
    assert [call.outcome for call in calls] == ["internal", "internal"]
