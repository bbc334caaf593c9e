"""The processes of a run: started on one core each, and stopped with the run, however it ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import yaml

_START = 30.0
"""Seconds that a process may take to be ready."""
_STOP = 10.0
"""Seconds that a process may take to end, before it is killed."""

_HERE = Path(__file__).parent
_libc = ctypes.CDLL(None, use_errno=True)


class ProcessError(Exception):
    """A process did not start, or ended too early."""


class Meter:
    """What a process has used so far."""

    def __init__(self, pid: int) -> None:
        clock = ctypes.c_int()
        if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
            raise ProcessError(f"the processor time of process {pid} cannot be read")
        self._clock = clock.value
        self._pid = pid

    def cpu(self) -> int:
        """Nanoseconds of user and system time of all its threads, to the nanosecond, unlike `/proc/PID/stat`."""
        return time.clock_gettime_ns(self._clock)

    def memory(self) -> int:
        """Bytes of resident memory."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


class Role:
    """A process of the bench itself, of `role.py`."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port
        self.meter = Meter(process.pid)

    async def ask(self, line: bytes) -> int:
        """Write a line, and read the number that answers it."""
        cast(asyncio.StreamWriter, self._process.stdin).write(line + b"\n")
        return await _number(self._process)


class Gateway:
    """A `trunkline serve`."""

    def __init__(self, pid: int, http_port: int, grpc_port: int) -> None:
        self.http_port = http_port
        self.grpc_port = grpc_port
        self.meter = Meter(pid)


@asynccontextmanager
async def role(name: str, core: int, upstream: str = "") -> AsyncIterator[Role]:
    """Run a process of `role.py`."""
    with pinned(core):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(_HERE / "role.py"),
            name,
            upstream,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(_START):
            port = await _number(process)
        yield Role(process, port)
    finally:
        await _stop(process)


@asynccontextmanager
async def gateway(
    core: int, upstream: str, directory: Path, settings: Mapping[str, object] | None = None
) -> AsyncIterator[Gateway]:
    """Run a gateway as it comes, with one provider; its log, as JSON, goes to `/dev/null`. With `settings` it keeps its
    store and its ledger in `directory`."""
    http_port, grpc_port = _free_ports(2)
    config = directory / "trunkline.yaml"
    config.write_text(
        f"http:\n  address: 127.0.0.1:{http_port}\n"
        f"grpc:\n  address: 127.0.0.1:{grpc_port}\n"
        f"log:\n  format: json\n"
        f"providers:\n  fake:\n    kind: openai-compatible\n    base_url: {upstream}\n"
        + (yaml.safe_dump(dict(settings)) if settings else "store:\n  url: ':memory:'\n")
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
    environ["TRUNKLINE_DATA"] = str(directory)
    with pinned(core):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trunkline",
            "serve",
            "--config",
            str(config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(_START):
            while not await asyncio.to_thread(_is_ready, http_port):
                if process.returncode is not None:
                    raise ProcessError(
                        f"the gateway ended with code {process.returncode}; `trunkline serve` with this configuration "
                        f"tells why:\n{config.read_text()}"
                    )
                await asyncio.sleep(0.05)
        yield Gateway(process.pid, http_port, grpc_port)
    finally:
        await _stop(process)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run what is started within on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _number(process: asyncio.subprocess.Process) -> int:
    line = await cast(asyncio.StreamReader, process.stdout).readline()
    if not line:
        raise ProcessError("a process of the bench ended too early; what it wrote tells why")
    return int(line)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are bound before the first is let go, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
