"""A second attempt beside a slow first one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from core.plans import SetPulse, calling, candidate, plan_of
from fakes import virtual_time
from fakes.scripted_provider import Act, ScriptedProvider, events, failure

from trunkline.core.attempts import Attempts
from trunkline.core.hedge import Hedge, race
from trunkline.core.plan import Candidate, Policy
from trunkline.core.streaming import stream_answer
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse


class Runner:
    """Attempts of which each takes its time, and then gives its name or fails."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.discarded: list[str] = []

    async def one(self, name: str, seconds: float, error: GatewayError | None = None) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        if error is not None:
            raise error
        return name

    async def discard(self, name: str) -> None:
        self.discarded.append(name)


@pytest.mark.parametrize(
    ("first", "second", "winner", "cancelled", "took"),
    [
        (1, 1, "first", [], 1),
        (9, 1, "second", ["first"], 3),
        (4, 9, "first", ["second"], 4),
    ],
)
def test_the_first_to_answer_wins(first: float, second: float, winner: str, cancelled: list[str], took: float) -> None:
    """The second begins after the delay; the loser is cancelled at once."""

    async def main() -> None:
        runner = Runner()
        began = time.monotonic()
        won = await race(runner.one("first", first), lambda: runner.one("second", second), 2.0, runner.discard)
        assert won == winner
        assert runner.cancelled == cancelled
        assert time.monotonic() - began == pytest.approx(took)

    virtual_time.run(main())


def test_both_at_once() -> None:
    """One of them wins, and what the other gave is discarded."""

    async def main() -> None:
        runner = Runner()
        gate = asyncio.Event()

        async def at_the_gate(name: str) -> str:
            await gate.wait()
            return name

        asyncio.get_running_loop().call_later(5, gate.set)
        won = await race(at_the_gate("first"), lambda: at_the_gate("second"), 2.0, runner.discard)
        assert won == "first"
        assert runner.discarded == ["second"]

    virtual_time.run(main())


@pytest.mark.parametrize("fails", ["first", "second", "both"])
def test_a_failure_leaves_the_other_running(fails: str) -> None:
    """And where both fail, the first one's error is told."""

    async def main() -> None:
        runner = Runner()
        errors = {name: failure() for name in ("first", "second") if fails in (name, "both")}

        def second() -> Coroutine[Any, Any, str]:
            return runner.one("second", 4, errors.get("second"))

        racing = race(runner.one("first", 5, errors.get("first")), second, 2.0, runner.discard)
        if fails == "both":
            with pytest.raises(GatewayError) as told:
                await racing
            assert told.value is errors["first"]
        else:
            assert await racing == ({"first", "second"} - {fails}).pop()

    virtual_time.run(main())


def test_no_second_where_the_first_fails_at_once() -> None:
    """A fast failure is a matter of falling back."""

    async def main() -> None:
        runner = Runner()
        with pytest.raises(GatewayError):
            await race(runner.one("first", 1, failure()), lambda: pytest.fail("was made"), 2.0, runner.discard)

    virtual_time.run(main())


def test_the_caller_goes_away() -> None:
    """Both are cancelled, and nothing is left."""

    async def main() -> None:
        runner = Runner()
        racing = race(runner.one("first", 90), lambda: runner.one("second", 90), 2.0, runner.discard)
        task = asyncio.create_task(racing)
        await asyncio.sleep(3)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert sorted(runner.cancelled) == ["first", "second"]

    virtual_time.run(main())


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_the_share_is_kept(share: float) -> None:
    """Of a thousand calls that are all slow, no more are made twice than the share, and one to begin with."""
    hedge = Hedge(share, 1.0)
    made = 0
    for _ in range(1000):
        hedge.after(None)
        made += hedge.take()

    assert made == pytest.approx(1000 * share + 1, abs=1)


def test_a_delay_of_the_targets_own() -> None:
    """The configured one, or else the target's 95th percentile; none where that is not known."""
    assert Hedge(delay=2.0).after(7.0) == 2.0
    assert Hedge().after(7.0) == 7.0
    assert Hedge().after(None) is None


def _hedged(first: Act, second: Act, pulses: tuple[SetPulse, SetPulse]) -> tuple[list[Candidate[Any]], Policy]:
    providers = ScriptedProvider("a", [first]), ScriptedProvider("b", [second])
    found = [candidate(one.name, pulse, one) for one, pulse in zip(providers, pulses, strict=True)]
    return found, Policy(hedge=Hedge(delay=2.0))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("slow", "winner"), [(9.0, "b"), (3.0, "a")])
def test_calls_are_hedged(streamed: bool, slow: float, winner: str) -> None:
    """Both attempts are in the record, the winner is who answered, and its usage is its own."""
    pulses = SetPulse(), SetPulse()
    acts = [Act([events(name)], wait=wait) for name, wait in (("a", slow), ("b", 4.0))]
    candidates, policy = _hedged(acts[0], acts[1], pulses)

    async def main() -> None:
        call = calling()
        attempts: Attempts[ChatRequest] = Attempts(plan_of(candidates, policy=policy), call)
        if streamed:
            told = [event async for batch in stream_answer(attempts, call) for event in batch]
            assert told[0].start.provider == winner
        else:
            said: ChatResponse = await attempts.ask(lambda one, made: one.target.provider.chat(one.request, made))
            assert said.choices[0].message.parts[0].text == winner
        assert [one.provider for one in call.attempts] == ["a", "b"]
        assert {one.provider: one.outcome for one in call.attempts} == {
            winner: "ok",
            ({"a", "b"} - {winner}).pop(): "abandoned",
        }
        assert call.provider == winner
        assert attempts.answered.target.provider.name == winner

    virtual_time.run(main())
    for pulse in pulses:
        assert pulse.begun == pulse.over
        assert len(pulse.begun) == 1


def test_who_is_left_alone_is_no_spare() -> None:
    """A target in trouble is not asked beside a slow one, and nothing of the share is spent."""
    pulses = SetPulse(), SetPulse(until=1e9)
    candidates, policy = _hedged(Act([events()], wait=9.0), Act([events()]), pulses)

    async def main() -> None:
        call = calling()
        attempts: Attempts[ChatRequest] = Attempts(plan_of(candidates, policy=policy), call)
        await attempts.ask(lambda one, made: one.target.provider.chat(one.request, made))
        assert len(call.attempts) == 1
        assert policy.hedge is not None
        assert policy.hedge.take()

    virtual_time.run(main())


async def test_a_caller_who_leaves_while_the_loser_ends_takes_nothing() -> None:
    """What won is given back, too: a connection hangs on it."""
    ending, discarded = asyncio.Event(), []

    async def slow() -> str:
        try:
            return await asyncio.Future()
        finally:
            ending.set()
            await asyncio.Future()

    async def quick() -> str:
        return "second"

    async def discard(result: str) -> None:
        discarded.append(result)

    running = asyncio.create_task(race(slow(), quick, 0, discard))
    await ending.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert discarded == ["second"]
