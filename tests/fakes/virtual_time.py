"""Time that passes only where everybody waits: minutes of it take no time, and the same happens each time."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")

_TICK = 1e-9
"""Seconds that each turn of the loop takes: no two turns are at the same time, as in reality."""


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 10_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for what nobody does")
        self.now += timeout + _TICK
        return super().select(0)


@contextmanager
def _clock(now: Callable[[], float]) -> Iterator[None]:
    real = time.monotonic
    time.monotonic = now
    try:
        yield
    finally:
        time.monotonic = real


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """What `coroutine` gives, on a loop of virtual time; `time.monotonic` tells that time too. Fails where a task is
    left."""
    selector = _Selector()
    with _clock(lambda: selector.now), asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as one:

        async def alone() -> _T:
            result = await coroutine
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"
            return result

        return one.run(alone())
