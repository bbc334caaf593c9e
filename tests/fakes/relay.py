"""A relay on loopback in front of a fake: what a provider's answer can suffer on its way, whatever its format."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, web
from yarl import URL

_HOP = frozenset(
    {"connection", "content-length", "keep-alive", "transfer-encoding", "content-encoding", "date", "server"}
)
"""The headers that stand between two neighbours alone."""

HTML = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body><center>nginx</center></body>\n</html>\n"


@dataclass(frozen=True, slots=True)
class Page:
    """What a proxy says in place of the provider."""

    status: int = 502
    text: str = HTML
    content_type: str = "text/html"


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer ends after `at` bytes of its body: `clean` where it seems to be whole, else by a broken connection."""

    at: int
    clean: bool = True


@dataclass(frozen=True, slots=True)
class Stall:
    """An answer falls silent after `at` bytes of its body."""

    at: int


@dataclass(frozen=True, slots=True)
class Passed:
    """One exchange: what was asked, and what was answered until it was spoilt."""

    path: str
    sent: bytes
    status: int
    body: bytes

    @property
    def asked(self) -> Any:
        """The request's body."""
        return json.loads(self.sent)


class Relay:
    """Passes requests on to `origin` while it is entered. Each answer suffers the `harm`, where that is set."""

    def __init__(self, origin: str) -> None:
        self.harm: Page | Cut | Stall | None = None
        self.passed: list[Passed] = []
        self.stalled = asyncio.Event()
        """Set when an answer has fallen silent."""
        self.left = asyncio.Event()
        """Set when the other side has gone away before its answer was whole."""
        self._origin = origin
        self._session: ClientSession | None = None
        self._runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True), shutdown_timeout=0)
        self._port = 0

    @property
    def url(self) -> str:
        """The address, without a path."""
        return f"http://127.0.0.1:{self._port}"

    async def closed(self) -> None:
        """Return once no connection is open."""
        server = self._runner.server
        # aiohttp tells nobody when it drops one.
        while server is not None and server.connections:  # noqa: ASYNC110
            await asyncio.sleep(0)

    @property
    def last(self) -> Passed:
        """The last exchange."""
        return self.passed[-1]

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=None)
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        sent = await request.read()
        if isinstance(self.harm, Page):
            self.passed.append(Passed(request.path_qs, sent, self.harm.status, b""))
            return web.Response(status=self.harm.status, text=self.harm.text, content_type=self.harm.content_type)
        status, headers, body = await self._fetch(request, sent)
        self.passed.append(Passed(request.path_qs, sent, status, body))
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        most = len(body) if self.harm is None else self.harm.at
        await response.write(body[:most])
        if isinstance(self.harm, Stall):
            self.stalled.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        if isinstance(self.harm, Cut) and not self.harm.clean:
            # What was written must arrive: a connection that is aborted takes it along.
            await response.drain()
            assert request.transport is not None
            request.transport.close()
        else:
            await response.write_eof()
        return response

    async def _fetch(self, request: web.BaseRequest, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """What the origin answers, whole."""
        assert self._session is not None
        url = self._origin + request.rel_url.raw_path_qs
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        async with self._session.request(request.method, URL(url, encoded=True), headers=headers, data=sent) as reply:
            told = {name: value for name, value in reply.headers.items() if name.lower() not in _HOP}
            return reply.status, told, await reply.read()
