"""How many replies are open, and a way to wait for a number of them."""

from __future__ import annotations

import asyncio


class Occupancy:
    """Counts what is open."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def count(self) -> int:
        """How many are open now."""
        return self._count

    def enter(self) -> None:
        """One more is open."""
        self._change(1)

    def leave(self) -> None:
        """One less is open."""
        self._change(-1)

    async def reach(self, count: int) -> None:
        """Return once `count` are open; at once where they are."""
        if self._count != count:
            reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((count, reached))
            await reached

    def _change(self, by: int) -> None:
        self._count += by
        if self._waiting:
            for count, reached in self._waiting:
                if count == self._count and not reached.done():
                    reached.set_result(None)
            self._waiting = [entry for entry in self._waiting if not entry[1].done()]
