"""One specification of all limiters: any steps, in any order, at any times, against a list of what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from access.limits.model import EPOCH, Model
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from servers.valkey import ValkeyServer

from trunkline.access.limits.limiter import Limiter
from trunkline.access.limits.memory import MemoryLimiter
from trunkline.access.limits.model import (
    CALENDAR_DAY,
    CALENDAR_MONTH,
    HELD,
    MOST,
    SECOND,
    TOTAL,
    Claim,
    Granted,
    Limit,
    Refused,
    Unit,
    rolling,
)
from trunkline.access.limits.valkey import ValkeyLimiter

Answer = TypeVar("Answer")

LONG = 100 * 365 * 86_400.0

LIMITS = [
    Limit("requests", Unit.REQUESTS, 5, rolling(60)),
    Limit("tokens", Unit.TOKENS, 100, rolling(60)),
    Limit("tokens", Unit.TOKENS, 30, rolling(7)),
    Limit("calls", Unit.CALLS, 2, HELD),
    Limit("streams", Unit.STREAMS, 1, HELD),
    Limit("money", Unit.MONEY, 1_000, CALENDAR_DAY),
    Limit("money", Unit.MONEY, 2_000, CALENDAR_MONTH),
    Limit("money", Unit.MONEY, 2**53 - 1, TOTAL),
    Limit("money", Unit.MONEY, 1_500, rolling(30 * 86_400)),
]
SUMS = [limit for limit in LIMITS if limit.window != HELD]
UNITS = [Unit.REQUESTS, Unit.TOKENS, Unit.MONEY]

STARTS = ["2026-11-21T12:00:00", "2028-02-28T23:59:58.999999", "2027-12-31T23:59:00", "2100-02-28T23:00:00"]
LEASES = st.sampled_from([1.0, 10.0, 90.0])
AMOUNTS = st.one_of(st.integers(0, 40), st.integers(0, 1_200), st.sampled_from([2**52, 2**53 - 1]))
STEPS = st.one_of(
    st.integers(1, 3 * SECOND),
    st.integers(1, 90).map(lambda seconds: seconds * SECOND),
    st.sampled_from([1, 999_999, 60 * SECOND, 61 * SECOND, 3_600 * SECOND, 43_200 * SECOND]),
    st.integers(1, 45).map(lambda days: days * 86_400 * SECOND),
)


def claim(limit: Limit) -> st.SearchStrategy[Claim]:
    """A claim, of which some fit exactly, and some do not by one."""
    parts = [0, 1, limit.most // 3, limit.most // 2, limit.most - 1, limit.most, min(limit.most + 1, MOST)]
    return st.builds(Claim, st.just(limit), st.just(1) if limit.window == HELD else AMOUNTS | st.sampled_from(parts))


CLAIMS = st.lists(st.sampled_from(LIMITS), max_size=5, unique=True).flatmap(
    lambda limits: st.tuples(*[claim(limit) for limit in limits])
)


class Specification(RuleBasedStateMachine):
    """Calls come and go. Where there are several limiters, all of them answer alike."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = 0
        self.model = Model()
        self.limiters = self.made()
        self.known: list[str] = []

    def made(self) -> list[Limiter]:
        """The limiters under test."""
        raise NotImplementedError

    def clock(self) -> int:
        """The time, which passes by `wait` alone."""
        return self.now

    def run(self, *asked: Coroutine[Any, Any, Answer]) -> Answer:
        """What all limiters answer."""

        async def all_of_them() -> list[Answer]:
            return [await one for one in asked]

        first, *others = self.runner.run(all_of_them())
        assert all(other == first for other in others)
        return first

    def room(self) -> int:
        """How much more can be counted: what goes beyond `MOST` has a test of its own."""
        return MOST - max(self.model.most(limit, self.now) for limit in SUMS)

    def reserve(self, name: str, claims: tuple[Claim, ...], lease: float) -> Granted | Refused:
        """Ask, and hold the answer to the model."""
        answer = self.run(*(limiter.reserve(name, claims, lease) for limiter in self.limiters))
        assert [standing.limit for standing in answer.standings] == [claim.limit for claim in claims]
        if name not in self.model.open:
            self.model.check(answer, claims, self.now)
            if isinstance(answer, Granted):
                self.model.reserved(name, claims, self.now, lease)
                self.known.append(name)
        for standing in answer.standings:
            self.model.check_standing(standing, self.now)
        return answer

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: str) -> None:
        """Shortly before something changes."""
        self.now = round((datetime.fromisoformat(f"{start}+00:00") - EPOCH).total_seconds() * SECOND)

    @rule(claims=CLAIMS, lease=LEASES)
    def call(self, claims: tuple[Claim, ...], lease: float) -> None:
        """A call asks to be let in; refused, it asks again when it was told to."""
        answer = self.reserve(uuid4().hex, claims, lease)
        if isinstance(answer, Refused) and answer.retry_after is not None:
            self.now += round(answer.retry_after * SECOND)
            again = self.reserve(uuid4().hex, (Claim(answer.limit, answer.amount),), lease)
            assert isinstance(again, Granted)

    @rule(data=st.data(), claims=CLAIMS)
    def ask_twice(self, data: st.DataObject, claims: tuple[Claim, ...]) -> None:
        """An open call that asks again is let in, and changes nothing."""
        if self.model.open:
            name = data.draw(st.sampled_from(sorted(self.model.open, key=self.known.index)))
            assert isinstance(self.reserve(name, self.model.open[name].claims or claims[:0], 1.0), Granted)

    @rule(data=st.data(), actual=st.dictionaries(st.sampled_from(UNITS), AMOUNTS))
    def settle(self, data: st.DataObject, actual: dict[Unit, int]) -> None:
        """A call is settled; or again, which changes nothing."""
        name = data.draw(st.sampled_from(self.known)) if self.known else "unknown"
        actual = {unit: min(amount, self.room()) for unit, amount in actual.items()}
        settled = self.run(*(limiter.settle(name, actual) for limiter in self.limiters))
        assert settled == self.model.settled(name, actual, self.now)

    @rule(data=st.data(), lease=LEASES)
    def renew(self, data: st.DataObject, lease: float) -> None:
        """Leases are prolonged, also such as have ended."""
        names = data.draw(st.lists(st.sampled_from(self.known), max_size=3, unique=True)) if self.known else ["unknown"]
        unknown = self.run(*(limiter.renew(names, lease) for limiter in self.limiters))
        assert unknown == self.model.renewed(names, self.now, lease)

    @rule(limit=st.sampled_from(SUMS), amount=st.integers(-300, 300), ago=st.just(0) | STEPS)
    def book(self, limit: Limit, amount: int, ago: int) -> None:
        """A counter is corrected, as of any time. What takes back is tested where a window is one bucket."""
        amount = min(abs(amount) if limit.window.lasts else amount, self.room())
        at = (self.now - ago) / SECOND
        self.run(*(limiter.book(limit, amount, at) for limiter in self.limiters))
        self.model.booked(limit, amount, round(at * SECOND))

    @rule(step=STEPS)
    def wait(self, step: int) -> None:
        """Time passes."""
        self.now += step

    @rule(data=st.data())
    def wait_for_an_end(self, data: st.DataObject) -> None:
        """Time passes, until just before or just when something stops counting."""
        ends = sorted({end for end in self.model.ends() if end > self.now})
        if ends:
            self.now = data.draw(st.sampled_from(ends[:6]))

    @invariant()
    def stands_as_it_must(self) -> None:
        """What is told of each limit is what was let in."""
        standings = self.run(*(limiter.peek(LIMITS) for limiter in self.limiters))
        for standing in standings:
            self.model.check_standing(standing, self.now)

    def teardown(self) -> None:
        """Let go of connections."""
        self.run(*(limiter.close() for limiter in self.limiters))
        self.runner.close()


def hold(machine: type[Specification], examples: int) -> None:
    """Run a specification."""
    quick = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(machine, settings=quick)  # type: ignore[no-untyped-call]


def test_memory_keeps_the_specification() -> None:
    """Limits in memory let in what they must, and never more."""

    class InMemory(Specification):
        def made(self) -> list[Limiter]:
            return [MemoryLimiter(self.clock, LONG)]

    hold(InMemory, 80)


def test_valkey_keeps_the_specification(valkey_server: ValkeyServer) -> None:
    """Limits in Valkey do too, and answer exactly as those in memory."""

    class InValkey(Specification):
        def made(self) -> list[Limiter]:
            shared = ValkeyLimiter(
                valkey_server.url, namespace=uuid4().hex, timeout=20, retention=LONG, clock=self.clock
            )
            return [shared, MemoryLimiter(self.clock, LONG)]

    hold(InValkey, 60)


@pytest.mark.parametrize("seconds", [1, 7, 60, 61, 3_600, 86_400, 30 * 86_400])
def test_a_rolling_window_is_never_shorter_than_it_says(seconds: int) -> None:
    """The buckets before the current one cover the window, and the current one adds a sixtieth at the most."""
    window = rolling(seconds)
    assert window.lasts * window.width >= seconds * SECOND
    assert window.width <= -(-seconds * SECOND // 60)
