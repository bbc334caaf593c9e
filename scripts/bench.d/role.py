"""A process of the bench other than the gateway: it tells its port on a line, and ends when its input does."""

from __future__ import annotations

import asyncio
import sys

import echo
import msgspec
import upstream
import uvloop
from caller import Caller
from grpc_relay import GrpcRelay
from relay import Relay


async def play(role: str, base: str) -> None:
    """Be the upstream, a relay, the echo or the caller; `base` is the URL of the upstream."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    match role:
        case "upstream":
            port, server = await upstream.serve()
            _tell(port)
            await lines.read()
            server.close()
        case "relay":
            port, runner = await Relay(base).serve()
            _tell(port)
            await lines.read()
            await runner.cleanup()
        case "echo":
            port, grpc_server = await echo.serve(echo.Echo())
            _tell(port)
            await lines.read()
            await grpc_server.stop(0)
        case "grpc-relay":
            joined = GrpcRelay(base)
            port, grpc_server = await echo.serve(joined)
            _tell(port)
            await lines.read()
            await grpc_server.stop(0)
            await joined.close()
        case "caller":
            caller = Caller(base)
            _tell(0)
            async for line in lines:
                _tell(await caller.run(*msgspec.json.decode(line, type=tuple[str, int, float])))
            await caller.close()


def _tell(number: int) -> None:
    print(number, flush=True)


if __name__ == "__main__":
    uvloop.run(play(*sys.argv[1:]))
