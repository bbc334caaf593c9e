"""A provider to which only so many calls go at once."""

from __future__ import annotations

import asyncio
import time

import pytest
from core.plans import SetPulse, calling, candidate, plan_of
from fakes import virtual_time
from fakes.scripted_provider import Act, ScriptedProvider, asking, events
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.call import Attempt
from trunkline.core.attempts import Attempts
from trunkline.core.plan import Policy
from trunkline.errors import GatewayError
from trunkline.providers.queue import Gate, Queued
from trunkline.routing.health import Breaker, Health
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest


def attempt(deadline: float | None = None) -> Attempt:
    """An attempt of a call of its own."""
    return Attempt(calling(deadline), "p", "m")


async def stay(gate: Gate, seconds: float, order: list[int] | None = None, number: int = 0) -> None:
    """Be inside for some time."""
    async with gate.enter(attempt()):
        if order is not None:
            order.append(number)
        await asyncio.sleep(seconds)


def test_no_more_than_so_many() -> None:
    """The others follow in the order in which they came."""

    async def main() -> None:
        gate, order = Gate("p", 2, 100), list[int]()
        began = time.monotonic()
        await asyncio.gather(*(stay(gate, 1.0, order, number) for number in range(10)))
        assert order == list(range(10))
        assert time.monotonic() - began == pytest.approx(5.0)

    virtual_time.run(main())


def test_no_more_wait_than_may() -> None:
    """The next one is told at once, when to come again, and that nothing was sent."""

    async def main() -> None:
        gate = Gate("p", 1, 2)
        waiting = [asyncio.create_task(stay(gate, 3.0)) for _ in range(3)]
        await asyncio.sleep(1)
        one = attempt()
        with pytest.raises(GatewayError) as told:
            async with gate.enter(one):
                pass
        assert told.value.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
        assert told.value.retry_after is not None
        assert one.held
        await asyncio.gather(*waiting)
        await stay(gate, 1.0)

    virtual_time.run(main())


def test_nobody_waits_in_vain() -> None:
    """Who could not be let in before his deadline is told at once, as soon as it is known how long calls take."""

    async def main() -> None:
        gate = Gate("p", 1, 100)
        await stay(gate, 10.0)
        running = asyncio.create_task(stay(gate, 10.0))
        await asyncio.sleep(0)
        hurried, patient = attempt(time.monotonic() + 5), attempt(time.monotonic() + 50)
        with pytest.raises(GatewayError) as told:
            async with gate.enter(hurried):
                pass
        assert "deadline" in told.value.message
        assert hurried.held
        async with gate.enter(patient):
            assert running.done()
        assert not patient.held

    virtual_time.run(main())


def test_who_leaves_the_queue_leaves_no_gap() -> None:
    """Also where a place becomes free at the same moment."""

    async def main() -> None:
        gate = Gate("p", 1, 100)
        for moment in (1.0, 3.0, 2.0):  # while it waits, when it is let in, when a place becomes free
            first = asyncio.create_task(stay(gate, 2.0))
            await asyncio.sleep(0)
            leaver = asyncio.create_task(stay(gate, 2.0))
            last = asyncio.create_task(stay(gate, 1.0))
            asyncio.get_running_loop().call_later(moment, leaver.cancel)
            await asyncio.wait([first, leaver, last])
            assert leaver.cancelled()
            assert last.exception() is None
            await stay(gate, 0.1)

    virtual_time.run(main())


def test_who_leaves_just_when_a_place_becomes_free() -> None:
    """The place goes to the next one, whichever is noticed first."""

    async def main() -> None:
        gate = Gate("p", 1, 100)
        free = asyncio.Event()

        async def inside() -> None:
            async with gate.enter(attempt()):
                await free.wait()

        for leave_first in (True, False):
            free.clear()
            first = asyncio.create_task(inside())
            await asyncio.sleep(0)
            leaver, last = asyncio.create_task(stay(gate, 1.0)), asyncio.create_task(stay(gate, 1.0))
            await asyncio.sleep(0)
            if leave_first:
                leaver.cancel()
                free.set()
            else:
                free.set()
                leaver.cancel()
            await asyncio.wait([first, leaver, last])
            assert last.exception() is None
            await stay(gate, 0.1)

    virtual_time.run(main())


@settings(max_examples=60, deadline=None)
@given(
    most=st.integers(1, 3),
    calls=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.none() | st.floats(0, 8)), min_size=1, max_size=20),
)
def test_whatever_calls_do(most: int, calls: list[tuple[float, float, float | None]]) -> None:
    """However they come, stay and leave: never are there more than may be, and at the end every place is free."""

    async def main() -> None:
        gate = Gate("p", most, 10)
        inside = greatest = 0

        async def call(start: float, stays: float) -> None:
            nonlocal inside, greatest
            await asyncio.sleep(start)
            async with gate.enter(attempt()):
                inside += 1
                greatest = max(greatest, inside)
                try:
                    await asyncio.sleep(stays)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(call(start, stays)) for start, stays, _ in calls]
        for task, (_, _, leaves) in zip(tasks, calls, strict=True):
            if leaves is not None:
                asyncio.get_running_loop().call_later(leaves, task.cancel)
        await asyncio.wait(tasks)
        for task in tasks:
            assert task.cancelled() or task.exception() is None or isinstance(task.exception(), GatewayError)
        assert greatest <= most
        began = time.monotonic()
        await asyncio.gather(*(stay(gate, 1.0) for _ in range(most)))
        assert time.monotonic() - began == pytest.approx(1.0)

    virtual_time.run(main())


@pytest.mark.parametrize("streamed", [False, True])
def test_calls_of_a_provider_are_queued(streamed: bool) -> None:
    """Unary and streamed ones alike; a stream holds its place until its end."""

    async def main() -> None:
        inner = ScriptedProvider("p", [Act([events()], wait=1.0)])
        provider = Queued(inner, Gate("p", 1, 100))

        async def call() -> None:
            if streamed:
                async for _ in provider.stream_chat(asking(), attempt()):
                    assert inner.running == 1
            else:
                await provider.chat(asking(), attempt())

        began = time.monotonic()
        await asyncio.gather(*(call() for _ in range(4)))
        assert time.monotonic() - began == pytest.approx(4.0)

    virtual_time.run(main())


def test_a_full_queue_is_no_fault_of_the_provider() -> None:
    """Calls that are turned away go elsewhere, and the breaker stays closed."""

    async def main() -> None:
        busy, free = ScriptedProvider("busy", [Act([events()], wait=60.0)]), ScriptedProvider("free")
        health = Health(Breaker())
        candidates = [
            candidate("busy", health, Queued(busy, Gate("busy", 1, 0))),
            candidate("free", SetPulse(), free),
        ]

        async def call() -> str:
            attempts: Attempts[ChatRequest] = Attempts(plan_of(candidates, policy=Policy(retries=0)), calling())
            await attempts.ask(lambda one, made: one.target.provider.chat(one.request, made))
            return attempts.call.provider

        assert sorted(await asyncio.gather(*(call() for _ in range(50)))) == ["busy"] + ["free"] * 49
        assert health.state(time.monotonic()) == "closed"
        assert health.error_rate(time.monotonic()) == 0

    virtual_time.run(main())
