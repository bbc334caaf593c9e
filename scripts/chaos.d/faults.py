"""What goes wrong: one thing after the other, and all of it again and again."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from deployment import Deployment

_TRIES: Final = 10


class Faults:
    """Breaks what `deployment` is made of, and mends it. `done` counts what was done."""

    def __init__(self, deployment: Deployment, chance: random.Random, tell: Callable[[str], None]) -> None:
        self.done: Counter[str] = Counter()
        self._deployment = deployment
        self._chance = chance
        self._tell = tell

    async def run(self, seconds: float, most: int | None = None) -> None:
        """Do so for so long, or so often if that is given; at the end all is mended."""
        until = math.inf if most is not None else time.monotonic() + seconds
        faults = [
            self._kill_replica,
            self._stop_database,
            self._hang_counters,
            self._kill_replica,
            self._empty_counters,
        ]
        while True:
            for fault in faults:
                if time.monotonic() >= until or self.done.total() == most:
                    return
                await asyncio.sleep(self._chance.uniform(1.0, 2.0))
                await self._do(fault)

    async def _do(self, fault: Callable[[], Awaitable[str]]) -> None:
        what = await fault()
        self.done[what] += 1

    async def _kill_replica(self) -> str:
        one = self._chance.choice(self._deployment.replicas)
        self._tell(f"kill -9 of {one.name}")
        one.kill()
        await asyncio.sleep(self._chance.uniform(0.2, 1.0))
        one.launch()
        await one.ready()
        return "gateway killed"

    async def _stop_database(self) -> str:
        self._tell("PostgreSQL is stopped")
        stop = self._chance.choice([self._deployment.postgres.stop, self._deployment.postgres.kill])
        await _until_done(stop)
        await asyncio.sleep(self._chance.uniform(1.0, 2.5))
        await _until_done(self._deployment.postgres.start)
        return "PostgreSQL stopped"

    async def _hang_counters(self) -> str:
        self._tell("Valkey hangs")
        self._deployment.valkey.hang()
        await asyncio.sleep(self._chance.uniform(0.5, 1.5))
        self._deployment.valkey.go_on()
        return "Valkey hung"

    async def _empty_counters(self) -> str:
        # What a gateway that was killed had reserved is in the ledger by then.
        await asyncio.sleep(1.5)
        self._tell("Valkey is killed, and empty when it is back")
        self._deployment.valkey.kill()
        await asyncio.sleep(self._chance.uniform(0.2, 1.0))
        await asyncio.to_thread(self._deployment.valkey.start)
        return "Valkey emptied"


async def _until_done(step: Callable[[], None]) -> None:
    """Do a step of PostgreSQL's, which may fail while what a killed server left is not gone yet. Raises
    `RuntimeError`."""
    for left in reversed(range(_TRIES)):
        try:
            await asyncio.to_thread(step)
        except RuntimeError:
            if not left:
                raise
            await asyncio.sleep(1.0)
        else:
            return
