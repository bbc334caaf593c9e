"""A fake OpenAI on loopback: the scripts of the embedded provider behind a real socket."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from aiohttp import web

from trunkline.providers.sim.occupancy import Occupancy
from trunkline.providers.sim.simulator import Simulator

_PREFIX = "/v1"
_MOST_BODY = 1 << 27


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class SimServer:
    """Serves while it is entered: `async with SimServer() as server`. `refuse` breaks the connection instead."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._simulator = Simulator()
        self._occupancy = Occupancy()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}{_PREFIX}"

    @property
    def open_replies(self) -> int:
        """How many requests are being answered."""
        return self._occupancy.count

    async def replies_reach(self, count: int) -> None:
        """Return once `open_replies` is `count`."""
        await self._occupancy.reach(count)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MOST_BODY)
        app.router.add_route("*", _PREFIX + "/{path:.*}", self._handle)
        # A handler whose client went away must end, as the scripts may be silent for ever.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix(_PREFIX)
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(request.method, path, headers, body))
        self._occupancy.enter()
        try:
            return await self._answer(request, path, body)
        except (ConnectionRefusedError, ConnectionResetError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        finally:
            self._occupancy.leave()

    async def _answer(self, request: web.Request, path: str, body: bytes) -> web.StreamResponse:
        answer = await self._simulator.answer(request.method, path, body)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        async with aclosing(answer.body) as chunks:
            async for chunk in chunks:
                await response.write(chunk)
        await response.write_eof()
        return response
