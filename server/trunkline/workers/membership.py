"""What a worker is told by its supervisor, through its environment."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INDEX: Final = "TRUNKLINE_WORKER"
"""The variable that holds a worker's number; its folder and its pipes are in two others."""
_FOLDER: Final = "TRUNKLINE_WORKER_FOLDER"
_READY: Final = "TRUNKLINE_WORKER_READY"
_ALIVE: Final = "TRUNKLINE_WORKER_ALIVE"


@dataclass(frozen=True, slots=True)
class Membership:
    """A worker among others: its number, the folder where they meet, the pipe by which it says that it is ready, and
    the one that ends when its supervisor does."""

    index: int
    folder: Path
    ready: int
    alive: int

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Membership | None:
        """What `environ` tells; None where this process is alone."""
        if INDEX not in environ:
            return None
        return cls(int(environ[INDEX]), Path(environ[_FOLDER]), int(environ[_READY]), int(environ[_ALIVE]))

    def environ(self) -> dict[str, str]:
        """The variables that tell it."""
        return {
            INDEX: str(self.index),
            _FOLDER: str(self.folder),
            _READY: str(self.ready),
            _ALIVE: str(self.alive),
        }

    @property
    def socket(self) -> Path:
        """Where this worker tells the others of its metrics."""
        return socket_of(self.folder, self.index, os.getpid())

    def tell_ready(self, told: Mapping[str, object]) -> None:
        """Tell the supervisor that calls are taken, and what it tells of them."""
        os.write(self.ready, json.dumps(told).encode() + b"\n")
        os.close(self.ready)

    def watch(self, ended: Callable[[], object]) -> None:
        """Call `ended` when the supervisor has ended, however that was. From within the event loop."""
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self.alive)
            ended()

        loop.add_reader(self.alive, gone)


def socket_of(folder: Path, index: int, process: int) -> Path:
    """Where a worker tells the others of its metrics."""
    return folder / f"{index}.{process}.sock"
