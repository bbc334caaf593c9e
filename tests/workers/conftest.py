"""Gateways of several processes, as their operator starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
import yaml
from cli.running import Gateway, serving

PATIENCE = 60.0
"""Seconds after which a test fails rather than waits."""

_LISTEN = "0A"
"""The state in the system's table of sockets."""

SAY = [{"role": "user", "content": "Hi"}]


@dataclass
class Workers:
    """A supervisor and its workers."""

    gateway: Gateway
    config: Path

    @property
    def url(self) -> str:
        """Where they serve HTTP."""
        return self.gateway.http[1]

    @property
    def grpc(self) -> str:
        """Where they serve gRPC."""
        return self.gateway.grpc[1]

    @property
    def supervisor(self) -> int:
        """Its process."""
        return self.gateway.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Signal the supervisor."""
        self.gateway.process.send_signal(number)

    def pids(self) -> set[int]:
        """The workers' processes."""
        return {one for one in children(self.supervisor) if "-m trunkline" in command(one)}

    def valkey(self) -> set[int]:
        """The processes of their own Valkey."""
        return {one for one in descendants(self.supervisor) if "unixsocket" in command(one)}

    async def call(self, model: str = "sim/echo", key: str = "") -> httpx.Response:
        """One call, on a connection of its own: it may come to any worker."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, headers=headers) as client:
            return await client.post("/v1/chat/completions", json={"model": model, "messages": SAY})

    async def metrics(self) -> str:
        """What all workers tell of themselves."""
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE) as client:
            return (await client.get("/metrics")).text

    async def all_tell(self) -> None:
        """Return when every worker tells of its metrics."""
        await until_true(self._all_told)

    async def _all_told(self) -> bool:
        told = await self.metrics()
        return all(f'worker="{index}"' in told for index in range(2))


def children(process: int) -> set[int]:
    """The processes that another started."""
    found: set[int] = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{process}/task").iterdir():
            found |= {int(one) for one in (task / "children").read_text().split()}
    return found


def descendants(process: int) -> set[int]:
    """The processes that another started, and those that they did."""
    found = children(process)
    return found.union(*(descendants(one) for one in found))


def command(process: int) -> str:
    """The command line of a process; empty where it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def listening(process: int) -> set[int]:
    """The ports of TCP on which a process listens."""
    sockets = set()
    for file in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            sockets.add(str(file.readlink()).removeprefix("socket:[").removesuffix("]"))
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and fields[9] in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


async def gone(processes: set[int]) -> None:
    """Return when none of the processes runs."""

    async def none() -> bool:
        return not any(command(one) for one in processes)

    await until_true(none)


async def until_true(condition: Callable[[], Any]) -> None:
    """Return when `condition` is met; what another process does can only be asked for."""
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, "it took too long"
        await asyncio.sleep(0.02)


@contextmanager
def started(
    folder: Path,
    settings: dict[str, Any],
    *arguments: str,
    stderr: IO[str] | None = None,
    **variables: str,
) -> Iterator[Workers]:
    """Two workers, their log in `stderr`; whatever becomes of the test, none of their processes is left."""
    path = folder / "trunkline.yaml"
    path.write_text(yaml.safe_dump({"workers": 2, "shutdown_grace": 20, **settings}))
    left: set[int] = set()
    store = f"sqlite:///{folder}/store.db"
    with serving(
        *("--config", str(path), *arguments),
        stderr=stderr,
        TRUNKLINE_STORE_URL=store,
        TRUNKLINE_DATA=str(folder),
        **variables,
    ) as gateway:
        workers = Workers(gateway, path)
        try:
            yield workers
        finally:
            left = descendants(workers.supervisor)
            workers.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                gateway.process.wait(PATIENCE)
            for one in left:
                if command(one):
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    """Two workers without keys."""
    with started(tmp_path, {}) as one:
        yield one


@asynccontextmanager
async def client_of(workers: Workers) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps its connections."""
    async with httpx.AsyncClient(base_url=workers.url, timeout=PATIENCE) as client:
        yield client
