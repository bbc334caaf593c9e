"""The least that a gateway over HTTP can be: an handler and a client of aiohttp, and JSON both ways."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
from aiohttp import web

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_JSON = {"content-type": "application/json"}


class Relay:
    """Relays to `upstream`, a base URL. JSON bodies are decoded and encoded both ways; streams pass as they come."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/chat/completions"
        self._session: aiohttp.ClientSession

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        wire: dict[str, Any] = _decode(await request.read())
        async with self._session.post(self._url, data=_encode(wire), headers=_JSON) as reply:
            if not wire.get("stream"):
                answer = _encode(_decode(await reply.read()))
                return web.Response(body=answer, status=reply.status, headers=_JSON)
            response = web.StreamResponse(status=reply.status, headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            async for chunk in reply.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def serve(self) -> tuple[int, web.AppRunner]:
        """Listen on loopback; the port and the server."""
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self.handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port, runner
