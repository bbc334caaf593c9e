"""The bare call that any gateway has to make: an aiohttp client that asks the upstream, in a loop."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import msgspec
from payload import http_request

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_JSON = {"content-type": "application/json"}


class Caller:
    """Calls `upstream`, a base URL. JSON bodies are decoded and encoded; streams are read as they come."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/chat/completions"
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def run(self, model: str, connections: int, seconds: float) -> int:
        """Call for some seconds, with as many calls at once as there are connections; the number of calls."""
        wire = _decode(http_request("", model, stream=model != "unary").partition(b"\r\n\r\n")[2])
        end = time.monotonic() + seconds
        return sum(await asyncio.gather(*(self._loop(wire, end) for _ in range(connections))))

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def _loop(self, wire: dict[str, Any], end: float) -> int:
        calls = 0
        while calls == 0 or time.monotonic() < end:
            async with self._session.post(self._url, data=_encode(wire), headers=_JSON) as reply:
                if wire.get("stream"):
                    async for _ in reply.content.iter_any():
                        pass
                else:
                    _decode(await reply.read())
                if reply.status != 200:
                    raise RuntimeError(f"the upstream answered {reply.status}")
            calls += 1
        return calls
