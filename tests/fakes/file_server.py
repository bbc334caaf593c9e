"""A server of files on loopback, and a resolver that knows the names of a test."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from trunkline.config.model import MediaConfig
from trunkline.providers.fetch import Fetcher

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
PDF = b"%PDF-1.7\n"
MP3 = b"ID3\x04\x00\x00"

FILES = {".png": (PNG, "image/png"), ".pdf": (PDF, "application/octet-stream"), ".mp3": (MP3, "audio/mpeg")}
"""How the path ends -> what is there, and what the server says that it is."""

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Names(AbstractResolver):
    """Looks names up in a table; one with several answers gives them one after the other."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = names
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answers = self.names.get(host)
        if not answers:
            raise OSError("no such name")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0)
            for one in answer.split()
        ]

    async def close(self) -> None:
        return None


class FileServer:
    """Serves while it is entered: `async with FileServer() as files`. It answers by `answer` where that is set, and
    with a file of the kind that the path asks for otherwise: an image where it tells none."""

    def __init__(self) -> None:
        self.asked: list[web.BaseRequest] = []
        self.answer: Answer | None = None
        self.port = 0
        self._runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True), shutdown_timeout=0)

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [one.path for one in self.asked]

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        if self.answer is not None:
            return await self.answer(request)
        body, told = FILES.get(request.path[-4:], FILES[".png"])
        return web.Response(body=body, content_type=told)


def fetcher(names: dict[str, list[str]] | None = None, **settings: Any) -> Fetcher:
    """A fetcher that may go to loopback, too, and knows `names` alone."""
    settings = {"private_networks": ["127.0.0.1"], "timeout": 30, **settings}
    return Fetcher(MediaConfig.model_validate(settings), Names(names or {}))
