"""A second attempt beside a slow first one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class Hedge:
    """When a second attempt is made: after `delay` seconds, or where that is None after the time in which nineteen of
    twenty calls are answered. At most `share` of the calls are made twice."""

    def __init__(self, share: float = 0.05, delay: float | None = None) -> None:
        self.share = share
        self.delay = delay
        self._saved = 1.0

    def after(self, slow: float | None) -> float | None:
        """Seconds after which a call is made a second time, where nineteen of twenty take `slow`; None for never."""
        self._saved = min(self._saved + self.share, 10.0)
        return slow if self.delay is None else self.delay

    def take(self) -> bool:
        """Whether one more call may be made twice; it is counted."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True


async def race(
    first: Coroutine[Any, Any, _T],
    second: Callable[[], Coroutine[Any, Any, _T] | None],
    delay: float,
    discard: Callable[[_T], Awaitable[None]],
) -> _T:
    """The result that comes first; `second` begins where `first` has none after `delay` seconds, and may be None.

    The one that comes too late is cancelled, and what it had is given to `discard`. Where both fail, raises the error
    of the first.
    """
    tasks = [asyncio.create_task(first)]
    winner: asyncio.Task[_T] | None = None
    try:
        done, _ = await asyncio.wait(tasks, timeout=delay)
        if not done and (other := second()) is not None:
            tasks.append(asyncio.create_task(other))
        pending = set(tasks)
        while pending and winner is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            winner = next((task for task in tasks if task in done and task.exception() is None), None)
        return (winner or tasks[0]).result()
    finally:
        late = [task for task in tasks if task is not winner]
        for task in late:
            task.cancel()
        try:
            if late:
                await asyncio.wait(late)
        except asyncio.CancelledError:
            if winner is not None:
                # Nobody takes it any more.
                await discard(winner.result())
            raise
        for task in late:
            if not task.cancelled() and task.exception() is None:
                await discard(task.result())
