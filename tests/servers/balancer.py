"""A load balancer of the tests' own: new connections go in turn to the backends that say that they are ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Final, Self

import aiohttp

_INTERVAL: Final = 0.1
"""Seconds between two looks at a backend."""

_CHUNK: Final = 1 << 16


@dataclass(eq=False)
class Backend:
    """A gateway, and the ports of its wires by name. `ready` is set while it takes calls, `away` while it does not."""

    ports: Mapping[str, int]
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    away: asyncio.Event = field(default_factory=asyncio.Event)


class Balancer:
    """Passes bytes on, as balancers of connections do: it knows neither HTTP nor gRPC, tries nothing twice, and leaves
    the connections alone that there are. Whether a backend is ready is asked at `/readyz` of its wire `http`."""

    def __init__(self, wires: tuple[str, ...] = ("http", "grpc")) -> None:
        self.ports: dict[str, int] = {}
        self._wires = wires
        self._backends: dict[Backend, asyncio.Task[None]] = {}
        self._servers: list[asyncio.Server] = []
        self._passing: set[asyncio.Task[None]] = set()
        self._turn = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        for wire in self._wires:
            server = await asyncio.start_server(self._accepted(wire), "127.0.0.1", 0)
            self._servers.append(server)
            self.ports[wire] = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for task in (*self._backends.values(), *self._passing):
            task.cancel()
        await asyncio.gather(*self._backends.values(), *self._passing, return_exceptions=True)
        await self._session.close()

    def add(self, backend: Backend) -> None:
        """Look whether it is ready, again and again."""
        self._backends[backend] = asyncio.create_task(self._look(backend))

    def remove(self, backend: Backend) -> None:
        """Look no more."""
        self._backends.pop(backend).cancel()
        backend.ready.clear()

    async def _look(self, backend: Backend) -> None:
        url = f"http://127.0.0.1:{backend.ports['http']}/readyz"
        while True:
            status = 0
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(url) as answer:
                    status = answer.status
            now, before = (backend.ready, backend.away) if status == 200 else (backend.away, backend.ready)
            before.clear()
            now.set()
            await asyncio.sleep(_INTERVAL)

    def _accepted(self, wire: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._pass(wire, reader, writer))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

        return accepted

    async def _pass(self, wire: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = [backend for backend in self._backends if backend.ready.is_set()]
        self._turn += 1
        # A side that breaks off ends both.
        with closing(writer), suppress(OSError):
            if ready:
                port = ready[self._turn % len(ready)].ports[wire]
                back, forth = await asyncio.open_connection("127.0.0.1", port)
                with closing(forth):
                    await asyncio.gather(_copy(reader, forth), _copy(back, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until its end, and that too."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
