"""The calls that run: how many there are, and that each is counted when it begins and when it ends."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from trunkline.call import Call
from trunkline.core.meter import Meter, Tab
from trunkline.core.plan import Plan
from trunkline.errors import GatewayError, internal


class Running:
    """Counts the calls that run; `none` is set while there is none. `meter` is asked for each, where there is one."""

    def __init__(self, meter: Meter | None = None) -> None:
        self.meter = meter
        self.none = asyncio.Event()
        self.none.set()
        self._count = 0

    def __call__(self, call: Call, plan: Plan[Any]) -> _One:
        """An async context, within which `call` runs. Entering it raises `GatewayError` where it may not run; leaving
        it, where what it used could not be recorded."""
        return _One(self, call, plan)

    def begin(self) -> None:
        """One more runs."""
        self._count += 1
        self.none.clear()

    def end(self) -> None:
        """One less runs."""
        self._count -= 1
        if not self._count:
            self.none.set()


class _One:
    __slots__ = ("_call", "_plan", "_running", "_tab")

    def __init__(self, running: Running, call: Call, plan: Plan[Any]) -> None:
        self._running = running
        self._call = call
        self._plan = plan
        self._tab: Tab | None = None

    async def __aenter__(self) -> None:
        self._running.begin()
        meter = self._running.meter
        if meter is not None:
            try:
                self._tab = await meter.begin(self._call, self._plan)
            except BaseException:
                self._running.end()
                raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            tab = self._tab
            if tab is None:
                return
            if isinstance(error, GatewayError):
                self._call.fail(error)
            elif isinstance(error, asyncio.CancelledError | GeneratorExit):
                # Whoever went away waits for nothing, and a cancelled task should not.
                self._call.cancel()
                tab.leave()
                return
            elif error is not None:
                self._call.fail(internal("The gateway failed; its log tells why."))
            await tab.end()
        finally:
            self._running.end()
