"""What is waited for, and how long."""

from __future__ import annotations

import asyncio
import math
import time

import pytest
from fakes import virtual_time
from fakes.scripted_provider import failure

from trunkline.core.patience import Patience
from trunkline.errors import GatewayError


async def _after(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def test_what_comes_in_time_is_given() -> None:
    """And what is bounded by nothing, however late."""

    async def main() -> None:
        patience = Patience()
        assert await patience.wait(_after(1), time.monotonic() + 2, failure) == "done"
        assert await patience.wait(_after(1e6), math.inf, failure) == "done"
        patience.close()

    virtual_time.run(main())


def test_what_comes_too_late_is_cancelled() -> None:
    """At its time, and the task may go on afterwards."""

    async def main() -> None:
        patience = Patience()
        left: list[float] = []

        async def slow() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                left.append(time.monotonic())

        began = time.monotonic()
        with pytest.raises(GatewayError):
            await patience.wait(slow(), began + 3, failure)
        assert left[0] - began == pytest.approx(3)
        await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()

    virtual_time.run(main())


def test_the_bound_moves_on() -> None:
    """Each wait has a bound of its own, earlier or later than the one before."""

    async def main() -> None:
        patience = Patience()
        for bound in (10, 2, 30, 5):
            assert await patience.wait(_after(1), time.monotonic() + bound, failure) == "done"
        await asyncio.sleep(100)  # nobody is cancelled between two waits
        began = time.monotonic()
        with pytest.raises(GatewayError):
            await patience.wait(_after(50), began + 7, failure)
        assert time.monotonic() - began == pytest.approx(7)
        patience.close()

    virtual_time.run(main())


def test_many_waits_need_one_timer() -> None:
    """A stream of a thousand pieces sets no timer for each."""

    async def main() -> int:
        patience = Patience()
        loop = asyncio.get_running_loop()
        made = 0
        real = loop.call_at

        def counted(*args: object, **options: object) -> asyncio.TimerHandle:
            nonlocal made
            made += 1
            return real(*args, **options)  # type: ignore[arg-type]

        loop.call_at = counted  # type: ignore[method-assign]
        for _ in range(1000):
            await patience.wait(asyncio.sleep(0), time.monotonic() + 60, failure)
        patience.close()
        return made

    assert virtual_time.run(main()) == 1


def test_who_is_cancelled_stays_cancelled() -> None:
    """The caller's going away is no time-out, even where both come at once."""

    async def main() -> None:
        async def waiting(due: float) -> None:
            await Patience().wait(asyncio.sleep(100), time.monotonic() + due, failure)

        for moment in (1.0, 5.0):
            task = asyncio.create_task(waiting(5.0))
            asyncio.get_running_loop().call_later(moment, task.cancel)
            await asyncio.wait([task])
            assert task.cancelled() or isinstance(task.exception(), GatewayError)
            assert moment == 5.0 or task.cancelled()

    virtual_time.run(main())
