"""Limits while Valkey is away, and when it is back: nothing is lost, and nothing is booked twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from servers.valkey import ValkeyServer
from valkey.asyncio import Valkey

from trunkline.access.limits.fallback import FallbackLimiter, Policy
from trunkline.access.limits.limiter import UnavailableError
from trunkline.access.limits.memory import wall_clock
from trunkline.access.limits.model import HELD, SECOND, TOTAL, Claim, Granted, Limit, Refused, Unit, rolling
from trunkline.access.limits.valkey import ValkeyLimiter
from trunkline.errors import GatewayError

REQUESTS = Limit("k", Unit.REQUESTS, 100, rolling(3_600))
CALLS = Limit("k", Unit.CALLS, 8, HELD)
MONEY = Limit("k", Unit.MONEY, 1_000, TOTAL)
PATIENCE = 30
# Longer than a busy machine needs for an answer.
TIMEOUT = 0.8
ALL = [REQUESTS, CALLS, MONEY]
CLAIMS = [Claim(REQUESTS, 1), Claim(CALLS, 1), Claim(MONEY, 10)]


class Heard(logging.Handler):
    """What the log says, and the end of an outage to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.begun = asyncio.Event()
        self.over = asyncio.Event()

    async def outage(self, *, over: bool) -> None:
        """Return when one has begun, or is over."""
        event = self.over if over else self.begun
        async with asyncio.timeout(PATIENCE):
            await event.wait()
        event.clear()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if "is away" in self.said[-1]:
            self.begun.set()
        if "is back, after" in self.said[-1]:
            self.over.set()


@pytest.fixture
def heard() -> Iterator[Heard]:
    """The program's log."""
    handler = Heard()
    logging.getLogger("trunkline").addHandler(handler)
    yield handler
    logging.getLogger("trunkline").removeHandler(handler)


Made = Callable[..., Awaitable[FallbackLimiter]]


@pytest.fixture
async def made(own_valkey_server: ValkeyServer) -> AsyncIterator[Made]:
    """Limiters at a server of the test's own, each as a replica has it."""
    limiters = []

    async def make(
        policy: Policy, replicas: int = 4, rebuild: Callable[[], Awaitable[None]] | None = None
    ) -> FallbackLimiter:
        shared = ValkeyLimiter(own_valkey_server.url, timeout=TIMEOUT)
        limiters.append(FallbackLimiter(shared, policy, replicas, rebuild=rebuild))
        await limiters[-1].start()
        return limiters[-1]

    yield make
    for limiter in limiters:
        await limiter.close()


@pytest.fixture
async def shared(own_valkey_server: ValkeyServer) -> AsyncIterator[ValkeyLimiter]:
    """What is in Valkey."""
    limiter = ValkeyLimiter(own_valkey_server.url, timeout=20)
    yield limiter
    await limiter.close()


async def used(limiter: ValkeyLimiter) -> list[int]:
    """What is used of requests, calls and money."""
    return [standing.used for standing in await limiter.peek(ALL)]


async def test_calls_are_refused_until_valkey_is_back(
    own_valkey_server: ValkeyServer, made: Made, shared: ValkeyLimiter, heard: Heard
) -> None:
    """By default: with a reason and a time. The log says it once, and once that it is over."""
    limiter = await made("refuse")
    own_valkey_server.hang()
    answers = await asyncio.gather(*[limiter.reserve(str(i), CLAIMS, 60) for i in range(50)], return_exceptions=True)
    assert all(isinstance(answer, GatewayError) and answer.name == "UNAVAILABLE" for answer in answers)
    assert not limiter.available
    with pytest.raises(GatewayError, match="since Valkey is away") as caught:
        await limiter.reserve("late", CLAIMS, 60)
    assert caught.value.retry_after is not None
    with pytest.raises(UnavailableError):
        await limiter.peek(ALL)
    own_valkey_server.go_on()
    await heard.outage(over=True)
    assert limiter.available
    assert len(heard.said) == 2
    assert heard.said[0].endswith("Until it is back, calls are refused.")
    # What the server had received and not answered was undone.
    assert await used(shared) == [0, 0, 0]
    assert isinstance(await limiter.reserve("again", CLAIMS, 60), Granted)


async def test_nobody_waits_in_line_for_a_server_that_is_away(
    own_valkey_server: ValkeyServer, made: Made, heard: Heard
) -> None:
    """Once it is known to be away, calls do not ask it."""
    limiter = await made("local")
    async with Valkey.from_url(own_valkey_server.url) as client:
        before = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
        own_valkey_server.hang()
        await limiter.reserve("first", [Claim(REQUESTS, 1)], 60)
        for i in range(1_000):
            await limiter.reserve(str(i), [Claim(MONEY, 0)], 60)
            await limiter.settle(str(i), {})
        own_valkey_server.go_on()
        await heard.outage(over=True)
        asked = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"] - before
    assert asked < 50


async def test_each_replica_lets_in_its_share(
    own_valkey_server: ValkeyServer, made: Made, shared: ValkeyLimiter, heard: Heard
) -> None:
    """A quarter of each limit, and of money a quarter of what was left; when Valkey is back it knows all of it."""
    limiter = await made("local")
    assert isinstance(await limiter.reserve("before", [Claim(MONEY, 600)], 60), Granted)
    own_valkey_server.hang()
    answers = [await limiter.reserve(f"call {i}", CLAIMS, 60) for i in range(5)]
    assert [isinstance(answer, Granted) for answer in answers] == [True, True, False, False, False]
    assert isinstance(answers[-1], Refused)
    assert (answers[-1].limit.unit, answers[-1].limit.most) == (Unit.CALLS, 2)
    assert await limiter.settle("call 0", {Unit.MONEY: 7})
    money = await limiter.reserve("too dear", [Claim(MONEY, 84)], 60)
    assert isinstance(money, Refused)
    assert money.remaining == 1_000 // 4 - 600 // 4 - 10 - 7
    assert isinstance(await limiter.reserve("call 5", CLAIMS, 60), Granted)
    assert await limiter.settle("before", {Unit.MONEY: 500})
    assert await limiter.renew(["call 1", "call 5"], 60) == []
    own_valkey_server.go_on()
    await heard.outage(over=True)
    assert await used(shared) == [3, 2, 500 + 7 + 10 + 10]
    assert await limiter.settle("call 1", {Unit.MONEY: 1})
    assert not await limiter.settle("call 1", {Unit.MONEY: 1})
    assert not await limiter.settle("before", {Unit.MONEY: 1})
    assert await used(shared) == [3, 1, 500 + 7 + 1 + 10]


async def test_a_settlement_is_told_when_valkey_is_back(
    own_valkey_server: ValkeyServer, made: Made, shared: ValkeyLimiter, heard: Heard
) -> None:
    """Whether the server had received it before or not: it counts once."""
    limiter = await made("refuse")
    for name in ("a", "b"):
        await limiter.reserve(name, CLAIMS, 60)
    own_valkey_server.hang()
    assert await limiter.settle("a", {Unit.MONEY: 3})
    assert await limiter.settle("b", {Unit.MONEY: 4})
    assert not await limiter.settle("b", {Unit.MONEY: 4})
    own_valkey_server.go_on()
    await heard.outage(over=True)
    assert await used(shared) == [2, 0, 7]


async def test_an_empty_server_is_told_what_it_knew(
    own_valkey_server: ValkeyServer, made: Made, shared: ValkeyLimiter, heard: Heard
) -> None:
    """Who runs is counted again; what ended is told by who rebuilds, and that is one of all."""
    rebuilt: list[str] = []

    async def rebuild() -> None:
        rebuilt.append("now")
        await shared.book(MONEY, 3)

    one, other = await made("local", 2, rebuild), await made("local", 2, rebuild)
    assert rebuilt == ["now"]
    await shared.forget(ALL)
    await one.reserve("a", CLAIMS, 60)
    await other.reserve("b", CLAIMS, 60)
    await one.reserve("ends", CLAIMS, 60)
    own_valkey_server.kill()
    assert await one.settle("ends", {Unit.MONEY: 3})
    own_valkey_server.start()
    await heard.outage(over=True)
    assert len(rebuilt) == 2
    assert await used(shared) == [1, 1, 3 + 10]
    # The other one notices when it next asks.
    assert isinstance(await other.reserve("c", CLAIMS, 60), Granted)
    await heard.outage(over=True)
    assert len(rebuilt) == 2
    assert await used(shared) == [3, 3, 3 + 30]
    assert heard.said.count("Valkey has lost its counters.") == 2


async def test_without_a_ledger_an_empty_server_is_told_of_what_ended_too(
    own_valkey_server: ValkeyServer, made: Made, shared: ValkeyLimiter, heard: Heard
) -> None:
    """Where nobody rebuilds, this is all there is to know."""
    limiter = await made("local")
    await limiter.reserve("a", CLAIMS, 60)
    await limiter.reserve("ends", CLAIMS, 60)
    own_valkey_server.kill()
    assert await limiter.settle("ends", {Unit.MONEY: 3})
    await limiter.reserve("here", CLAIMS, 60)
    await limiter.settle("here", {})
    own_valkey_server.start()
    await heard.outage(over=True)
    assert await used(shared) == [3, 1, 10 + 3 + 10]


async def test_a_rebuilding_that_fails_is_tried_again(
    own_valkey_server: ValkeyServer, made: Made, heard: Heard
) -> None:
    """Until the counters are whole, the outage goes on."""
    tries: list[int] = []

    async def rebuild() -> None:
        tries.append(len(tries))
        if len(tries) == 2:
            raise RuntimeError("no ledger")

    limiter = await made("refuse", 1, rebuild)
    own_valkey_server.kill()
    with pytest.raises(GatewayError):
        await limiter.reserve("a", CLAIMS, 60)
    own_valkey_server.start()
    await heard.outage(over=True)
    assert tries == [0, 1, 2]
    assert "The counters in Valkey could not be rebuilt." in heard.said


async def test_a_server_that_is_away_at_the_start_is_met_later(
    own_valkey_server: ValkeyServer, made: Made, heard: Heard
) -> None:
    """A replica starts without it."""
    own_valkey_server.kill()
    limiter = await made("local")
    assert not limiter.available
    assert isinstance(await limiter.reserve("a", CLAIMS, 60), Granted)
    own_valkey_server.start()
    await heard.outage(over=True)
    assert [standing.used for standing in await limiter.peek(ALL)] == [1, 1, 10]


async def test_a_caller_that_goes_away_leaves_nothing_booked(
    own_valkey_server: ValkeyServer, made: Made, shared: ValkeyLimiter
) -> None:
    """Neither when it was let in and did not hear of it, nor when its settlement was under way."""
    limiter = await made("refuse")
    await limiter.reserve("ends", CLAIMS, 60)
    own_valkey_server.hang()
    given_up = [
        asyncio.create_task(work)
        for work in (limiter.reserve("never", CLAIMS, 60), limiter.settle("ends", {Unit.MONEY: 3}))
    ]
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    own_valkey_server.go_on()
    async with asyncio.timeout(PATIENCE):
        while await used(shared) != [1, 0, 3]:
            await shared.peek([])


async def test_an_end_that_nobody_waits_for_is_told_all_the_same(
    own_valkey_server: ValkeyServer, made: Made, shared: ValkeyLimiter, heard: Heard
) -> None:
    """Its caller went away while Valkey did; Valkey came back empty."""
    limiter = await made("refuse")
    await limiter.reserve("ends", CLAIMS, 60)
    own_valkey_server.hang()
    task = asyncio.create_task(limiter.settle("ends", {Unit.MONEY: 3}))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    own_valkey_server.kill()
    own_valkey_server.start()
    await heard.outage(over=True)
    assert await used(shared) == [1, 0, 3]


async def test_leases_that_end_in_an_outage_go_on_after_it(own_valkey_server: ValkeyServer, heard: Heard) -> None:
    """A call that runs holds its slot, though it could not be renewed."""
    later = 0
    shared = ValkeyLimiter(own_valkey_server.url, timeout=TIMEOUT, clock=lambda: wall_clock() + later)
    limiter = FallbackLimiter(shared)
    await limiter.start()
    await limiter.reserve("runs", CLAIMS, 60)
    own_valkey_server.hang()
    assert await limiter.renew(["runs"], 60) == []
    later = 100 * SECOND
    own_valkey_server.go_on()
    await heard.outage(over=True)
    assert await used(shared) == [1, 1, 10]
    await limiter.close()


async def test_the_same_holds_for_many_calls_in_many_outages(
    own_valkey_server: ValkeyServer, made: Made, shared: ValkeyLimiter, heard: Heard
) -> None:
    """Calls come and go while the server hangs and goes on: at the end it has exactly what they used."""
    limiter = await made("local", 1)
    roomy = Limit("roomy", Unit.MONEY, 10**9, TOTAL)
    slots = Limit("roomy", Unit.CALLS, 10**6, HELD)
    spent = 0
    going_on = True

    async def calls(task: int) -> None:
        nonlocal spent
        number = 0
        while going_on:
            number += 1
            name = f"{task}.{number}"
            assert isinstance(await limiter.reserve(name, [Claim(roomy, 100), Claim(slots, 1)], 60), Granted)
            # Long enough that some run when Valkey goes, and some when it comes back.
            await asyncio.sleep((task + number) % 4 / 1_000)
            cost = (task * 31 + number * 17) % 150
            assert await limiter.settle(name, {Unit.MONEY: cost})
            spent += cost

    tasks = [asyncio.create_task(calls(task)) for task in range(50)]
    for _ in range(3):
        own_valkey_server.hang()
        await heard.outage(over=False)
        own_valkey_server.go_on()
        await heard.outage(over=True)
    going_on = False
    await asyncio.gather(*tasks)
    async with asyncio.timeout(PATIENCE):
        while [one.used for one in await shared.peek([roomy, slots])] != [spent, 0]:
            await shared.peek([])
