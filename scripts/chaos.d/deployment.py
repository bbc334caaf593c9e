"""A deployment of real processes: PostgreSQL, Valkey, and gateways that share them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml
from servers.postgres import PostgresServer
from servers.valkey import ValkeyServer

DOLLAR: Final = 10**9

TOTAL: Final = 20 * DOLLAR
"""What each of the keys `poor` may cost in all, in nano-dollars: less than is asked for."""

REQUESTS: Final = 120
"""How many calls a minute the keys `narrow` may make."""

AT_ONCE: Final = 6
"""How many calls of a key `narrow` run at once."""

KEYS: Final = {
    **{f"open-{number}": "open" for number in range(4)},
    **{f"poor-{number}": "poor" for number in range(2)},
    **{f"narrow-{number}": "narrow" for number in range(2)},
}
"""The keys, and their plans."""

MODELS: Final = {
    "echo": ["sim/echo"],
    "long": ["sim/long:tokens=30,delay=0.01"],
    "helped": ["sim/fault/overloaded-503", "sim/echo"],
    "cut": ["sim/fault/cut/long:tokens=30,delay=0,after=12"],
    "failing": ["sim/fault/error-500"],
}

_START: Final = 60.0
"""Seconds that a gateway has to start, and as many to stop."""


def secret(key: str) -> str:
    """The secret of a key."""
    return f"sk-chaos-{key}-0123456789"


@dataclass
class Replica:
    """A gateway: its ports stay the same, however often it is started."""

    name: str
    http_port: int
    grpc_port: int
    folder: Path
    arguments: list[str]
    environ: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it; it does not take calls yet."""
        addresses = ["--http-address", f"127.0.0.1:{self.http_port}", "--grpc-address", f"127.0.0.1:{self.grpc_port}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-m", "trunkline", "serve", *addresses, *self.arguments],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Return when it takes calls. Raises `TimeoutError`."""
        url = f"http://127.0.0.1:{self.http_port}/readyz"
        async with asyncio.timeout(_START), aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            return
                if self.process is not None and self.process.poll() is not None:
                    said = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{self.name} does not start:\n{said}")
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """Kill it as it stands. Workers end with their supervisor."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    async def stop(self) -> None:
        """End it in peace: what it recorded is shipped before."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self.process.wait, _START)


@dataclass
class Deployment:
    """All of it. `url` is the database's."""

    postgres: PostgresServer
    valkey: ValkeyServer
    url: str
    replicas: list[Replica]


@asynccontextmanager
async def deployment(folder: Path, replicas: Sequence[int]) -> AsyncIterator[Deployment]:
    """Start everything; at the end nothing of it is left. `replicas` are the processes of each gateway."""
    postgres = await asyncio.to_thread(PostgresServer)
    valkey = ValkeyServer()
    running: list[Replica] = []
    try:
        await asyncio.to_thread(valkey.start)
        url = postgres.url(await asyncio.to_thread(postgres.create))
        config = folder / "trunkline.yaml"
        config.write_text(yaml.safe_dump(_config()))
        for number, (http_port, grpc_port) in enumerate(_ports(len(replicas))):
            own = folder / f"replica-{number}"
            own.mkdir()
            environ = {
                **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                "TRUNKLINE_STORE_URL": url,
                "TRUNKLINE_COUNTERS_URL": valkey.url,
                "TRUNKLINE_DATA": str(own),
            }
            arguments = ["--config", str(config), "--discover", "false", "--workers", str(replicas[number])]
            one = Replica(f"replica {number}", http_port, grpc_port, own, arguments, environ)
            one.launch()
            running.append(one)
        await asyncio.gather(*(one.ready() for one in running))
        yield Deployment(postgres, valkey, url, running)
    finally:
        for one in running:
            one.kill()
        valkey.close()
        postgres.close()


def _config() -> dict[str, Any]:
    limits: dict[str, dict[str, Any]] = {
        "open": {"total_usd": 1_000_000, "requests_per_day": 10_000_000},
        "poor": {"total_usd": TOTAL // DOLLAR},
        "narrow": {"requests_per_minute": REQUESTS, "concurrent_calls": AT_ONCE, "total_usd": 1_000_000},
    }
    return {
        "keys": [{"name": name, "key": secret(name), "plan": plan} for name, plan in KEYS.items()],
        "plans": {name: {"limits": each} for name, each in limits.items()},
        "models": {name: {"targets": targets} for name, targets in MODELS.items()},
        # So dear that a few hundred calls use up what the poor have.
        "catalog": {"sim/*": {"max_output": 100, "prices": [{"input": 1_000, "output": 2_000}]}},
        "routing": {"retries": 0},
        "ledger": {"keep_free_bytes": 1 << 20, "segment_bytes": 1 << 20},
        "counters": {"when_away": "refuse"},
        "log": {"level": "warning"},
        "shutdown_grace": 10,
    }


def _ports(replicas: int) -> list[tuple[int, int]]:
    """Ports that are free now."""
    held = [socket.socket() for _ in range(2 * replicas)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return list(zip(ports[::2], ports[1::2], strict=True))
