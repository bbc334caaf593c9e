"""How long something is waited for, with one timer for a whole attempt rather than one for each wait."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from trunkline.errors import GatewayError

_T = TypeVar("_T")


class Patience:
    """Waits until a time that moves on. The timer is set anew only where it went off too early, so that a stream whose
    every event has a bound of its own costs no timer for each."""

    def __init__(self) -> None:
        self._due = math.inf
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    async def wait(self, awaitable: Awaitable[_T], due: float, late: Callable[[], GatewayError]) -> _T:
        """The result of `awaitable`. Raises what `late` gives where it takes beyond `due`, a time of
        `time.monotonic()`."""
        if due == math.inf:
            return await awaitable
        task = self._task = asyncio.current_task()
        self._due = due
        loop = asyncio.get_running_loop()
        at = loop.time() + (due - time.monotonic())
        if self._timer is None or self._timer.when() > at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(at, self._ring)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._over and task is not None and not task.uncancel():
                raise late() from None
            raise
        finally:
            self._task = None

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:
            return
        left = self._due - time.monotonic()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._ring)
            return
        self._over = True
        self._task.cancel()
