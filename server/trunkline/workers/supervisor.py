"""Several processes that serve the same addresses, and the one that starts them and looks after them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from trunkline.config.address import Address
from trunkline.config.model import Config
from trunkline.config.problem import ConfigError
from trunkline.store.database import database_url
from trunkline.store.engine import MEMORY
from trunkline.workers.membership import Membership, socket_of
from trunkline.workers.valkey import LocalValkey

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
"""Seconds before a worker that died is started again."""
_STEADY: Final = 60.0
"""Seconds after which a worker that died had lived well."""
_EXTRA_GRACE: Final = 10.0
"""Seconds beyond its own grace that a worker has to end."""

_HTTP_ADDRESS: Final = "TRUNKLINE_HTTP_ADDRESS"
_GRPC_ADDRESS: Final = "TRUNKLINE_GRPC_ADDRESS"
_ADMIN_ADDRESS: Final = "TRUNKLINE_ACCESS_ADMIN_ADDRESS"
_ADMIN_GRPC_ADDRESS: Final = "TRUNKLINE_ACCESS_ADMIN_GRPC_ADDRESS"
_METRICS_ADDRESS: Final = "TRUNKLINE_METRICS_ADDRESS"
"""The variables that tell workers where to listen."""

_log = logging.getLogger("trunkline")


class Ready(NamedTuple):
    """What a worker tells when it takes calls."""

    http_port: int
    grpc_port: int
    admin_port: int | None
    admin_grpc_port: int | None
    providers: Sequence[str]
    open: bool


class Supervisor:
    """Runs `config.workers` processes of `command`, each of which serves the addresses of `config` (SO_REUSEPORT).

    One that dies is started again. SIGHUP makes all of them read their configuration anew, SIGUSR2 replaces one after
    the other, each when its successor takes calls, and SIGTERM ends them in peace.
    """

    def __init__(self, config: Config, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._config = config
        self._command = command
        self._environ = dict(environ)
        self._workers: dict[int, _Worker] = {}
        self._living: set[_Worker] = set()
        self._stopping = asyncio.Event()
        self._rolling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[Ready], None]) -> None:
        """Run until SIGTERM or SIGINT. Raises `ConfigError`, and `OSError` where an address cannot be had."""
        if database_url(self._config.store, self._environ) == MEMORY:
            raise ConfigError(["store.url: several workers need a database that they share, and not `:memory:`"])
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trunkline-")))
            # Held, not listened on: nobody else can take the addresses, and port 0 is one port for all workers.
            for variable, address, what in _addresses(self._config):
                held = stack.enter_context(_held(address, what))
                self._environ[variable] = str(_with_port(address, held))
            self._folder = folder
            self._listen_to_signals()
            valkey = LocalValkey(folder) if self._config.counters.url is None else None
            try:
                if valkey is not None:
                    await valkey.start()
                    self._environ["TRUNKLINE_COUNTERS_URL"] = valkey.url
                ready(await self._start_all())
                await self._stopping.wait()
            finally:
                await self._stop_all()
                if valkey is not None:
                    await valkey.stop()

    async def _start_all(self) -> Ready:
        """Start every worker; what the first one tells."""
        starts = (self._start(index) for index in range(self._config.workers))
        told = await asyncio.gather(*starts, return_exceptions=True)
        for one in told:
            if isinstance(one, BaseException):
                raise one
        first = told[0]
        assert isinstance(first, Ready)  # noqa: S101 - the others were raised
        return first

    async def _start(self, index: int) -> Ready:
        """Start a worker, and return when it takes calls. Raises `ConfigError` where it ended before."""
        worker = await self._launch(index)
        told = await worker.told()
        if told is None:
            raise ConfigError([f"worker {index} ended before it took calls; its log tells why"])
        self._workers[index] = worker
        self._spawn(self._watch(index, worker))
        return told

    async def _launch(self, index: int) -> _Worker:
        worker = await _Worker.start(index, self._folder, self._command, self._environ)
        self._living.add(worker)
        self._spawn(self._bury(worker))
        return worker

    async def _bury(self, worker: _Worker) -> None:
        await worker.process.wait()
        worker.close()
        # What it listened on for the others, where it was killed.
        worker.socket(self._folder).unlink(missing_ok=True)
        self._living.discard(worker)

    async def _watch(self, index: int, worker: _Worker) -> None:
        """Start another one where `worker` dies."""
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), _FIRST_PAUSE
        while True:
            code = await worker.process.wait()
            if self._stopping.is_set() or self._workers.get(index) is not worker:
                return
            if loop.time() - began > _STEADY:
                pause = _FIRST_PAUSE
            _log.error("worker %d ended with %d; another is started in %g seconds", index, code, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
                return
            pause = min(pause * 2, _LONGEST_PAUSE)
            began = loop.time()
            worker = self._workers[index] = await self._launch(index)
            await worker.told()

    async def _roll(self) -> None:
        """Replace every worker, one after the other; one whose successor does not start stays."""
        async with self._rolling:
            for index, old in list(self._workers.items()):
                try:
                    await self._start(index)
                except ConfigError as error:
                    _log.error("a worker could not be replaced, and the old one stays: %s", error)
                    return
                await self._end(old, signal.SIGUSR2)
            _log.info("every worker was replaced")

    async def _end(self, worker: _Worker, how: signal.Signals = signal.SIGTERM) -> None:
        worker.signal(how)
        patience = self._config.shutdown_delay + self._config.shutdown_grace + _EXTRA_GRACE
        try:
            await asyncio.wait_for(worker.process.wait(), patience)
        except TimeoutError:
            _log.error("worker %d does not end, and is killed", worker.index)
            worker.signal(signal.SIGKILL)
            await worker.process.wait()

    async def _stop_all(self) -> None:
        self._stopping.set()
        while self._living:
            await asyncio.gather(*(self._end(worker) for worker in tuple(self._living)))
            await asyncio.sleep(0)  # for those who bury them
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_signal_handler(signal.SIGUSR2, lambda: self._spawn(self._roll()))

    def _stop(self) -> None:
        if self._stopping.is_set():
            for worker in self._living:  # told once more, they wait no longer for load balancers to notice
                worker.signal(signal.SIGTERM)
        self._stopping.set()

    def _reload(self) -> None:
        for worker in self._workers.values():
            if worker.ready:  # another reads the new configuration anyway, and would die of the signal
                worker.signal(signal.SIGHUP)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Worker:
    """One worker. It ends when this process does: the pipe that it watches ends then."""

    def __init__(self, index: int, process: asyncio.subprocess.Process, ready: int, alive: int) -> None:
        self.index = index
        self.process = process
        self.ready = False
        self._ready = ready
        self._alive = alive

    @classmethod
    async def start(cls, index: int, folder: Path, command: Sequence[str], environ: Mapping[str, str]) -> _Worker:
        """Start one; it does not take calls yet."""
        ready_read, ready_write = os.pipe()
        alive_read, alive_write = os.pipe()
        member = Membership(index, folder, ready_write, alive_read)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**environ, **member.environ()},
                pass_fds=(ready_write, alive_read),
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends the workers in peace
            )
        finally:
            os.close(ready_write)
            os.close(alive_read)
        return cls(index, process, ready_read, alive_write)

    async def told(self) -> Ready | None:
        """What it tells when it takes calls; None where it ended before."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._ready, "rb", 0)
        )
        try:
            line = await reader.readline()
        finally:
            transport.close()
        if not line:
            return None
        self.ready = True
        return Ready(**json.loads(line))

    def socket(self, folder: Path) -> Path:
        """Where it tells the others of its metrics; see `Membership.socket`."""
        return socket_of(folder, self.index, self.process.pid)

    def close(self) -> None:
        """Let go of what was held for it; it has ended."""
        os.close(self._alive)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, where it is still there."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


def worker_command(arguments: Sequence[str]) -> list[str]:
    """The command of a worker: this program again, with the same arguments."""
    return [sys.executable, "-m", "trunkline", *arguments]


def _addresses(config: Config) -> Iterator[tuple[str, Address, str]]:
    """Where workers listen: the variable that tells them, the address, and what it is for."""
    yield _HTTP_ADDRESS, config.http.address, "HTTP"
    yield _GRPC_ADDRESS, config.grpc.address, "gRPC"
    for variable, address, what in (
        (_ADMIN_ADDRESS, config.access.admin_address, "HTTP for admins"),
        (_ADMIN_GRPC_ADDRESS, config.access.admin_grpc_address, "gRPC for admins"),
        (_METRICS_ADDRESS, config.metrics.address, "metrics"),
    ):
        if address is not None:
            yield variable, address, what


def _held(address: Address, what: str) -> socket.socket:
    """A socket that is bound to `address` and shares it with the workers."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        held = socket.socket(family, kind, protocol)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A program that listens alone is noticed only by one that does not share.
        if address.port:
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(where)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(where)
    except OSError as error:
        raise OSError(error.errno, f"{what} cannot listen on {address}: {error.strerror}") from None
    return held


def _with_port(address: Address, held: socket.socket) -> Address:
    return Address(address.host, held.getsockname()[1])
