"""What holds for limits in Valkey alone: its scripts, its keys, and what arrives out of order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from access.limits.conftest import Clock
from servers.valkey import ValkeyServer
from valkey.asyncio import Valkey

from trunkline.access.limits.limiter import UnavailableError
from trunkline.access.limits.model import (
    CALENDAR_DAY,
    CALENDAR_MONTH,
    HELD,
    SECOND,
    TOTAL,
    Claim,
    Granted,
    Limit,
    Unit,
    rolling,
)
from trunkline.access.limits.valkey import ValkeyLimiter

MONEY = Limit("k", Unit.MONEY, 1_000, TOTAL)
CALLS = Limit("k", Unit.CALLS, 2, HELD)


@pytest.fixture
async def client(valkey_server: ValkeyServer) -> AsyncIterator[Valkey]:
    """The server as it is."""
    async with Valkey.from_url(valkey_server.url) as made:
        yield made


@pytest.fixture
async def limiter(valkey_server: ValkeyServer, namespace: str) -> AsyncIterator[ValkeyLimiter]:
    """By the server's clock."""
    made = ValkeyLimiter(valkey_server.url, namespace=namespace, timeout=20)
    yield made
    await made.close()


async def heard_again(limiter: ValkeyLimiter) -> None:
    """Return when it answers."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(UnavailableError):
                await limiter.peek([MONEY])
                return


async def test_a_script_that_the_server_forgot_is_loaded_again(limiter: ValkeyLimiter, client: Valkey) -> None:
    """As after a restart or a failover: each call is carried out, and once."""
    await client.script_flush()
    answers = await asyncio.gather(*[limiter.reserve(str(i), [Claim(MONEY, 1)], 60) for i in range(10)])
    assert all(isinstance(answer, Granted) for answer in answers)
    await client.script_flush()
    assert await limiter.settle("0", {Unit.MONEY: 0})
    assert (await limiter.peek([MONEY]))[0].used == 9


async def test_many_calls_share_a_pipeline(limiter: ValkeyLimiter, client: Valkey) -> None:
    """Each step is one command; what waits together travels together."""
    await limiter.peek([MONEY])
    before = await client.info("commandstats"), await client.info("stats")
    await asyncio.gather(*[limiter.reserve(str(i), [Claim(MONEY, 1), Claim(CALLS, 1)], 60) for i in range(100)])
    after = await client.info("commandstats"), await client.info("stats")
    assert after[0]["cmdstat_evalsha"]["calls"] - before[0]["cmdstat_evalsha"]["calls"] == 100
    assert after[1]["total_reads_processed"] - before[1]["total_reads_processed"] < 20


async def test_a_reservation_that_comes_after_its_settlement_is_not_let_in(limiter: ValkeyLimiter) -> None:
    """What was given up must not be booked by a message that was under way."""
    assert not await limiter.settle("late", {})
    with pytest.raises(ValueError, match="has been settled"):
        await limiter.reserve("late", [Claim(MONEY, 1)], 60)
    await limiter.adopt("late", [Claim(MONEY, 1)], 60, 0)
    assert (await limiter.peek([MONEY]))[0].used == 0


async def test_what_was_let_in_elsewhere_is_booked_once(
    valkey_server: ValkeyServer, namespace: str, clock: Clock
) -> None:
    """As of when it was, even beyond the limit, and settled like all else."""
    limiter = ValkeyLimiter(valkey_server.url, namespace=namespace, timeout=20, clock=clock)
    tokens = Limit("k", Unit.TOKENS, 10, rolling(60))
    for _ in range(2):
        await limiter.adopt("a", [Claim(tokens, 100), Claim(CALLS, 1)], 60, clock.now / SECOND - 30)
    assert [one.used for one in await limiter.peek([tokens, CALLS])] == [100, 1]
    clock.now += 31 * SECOND
    assert [one.used for one in await limiter.peek([tokens, CALLS])] == [0, 1]
    assert await limiter.settle("a", {})
    await limiter.close()


async def test_every_key_ends(limiter: ValkeyLimiter, client: Valkey, namespace: str) -> None:
    """Whatever was asked, each key has an end: only totals are for ever, and the mark of the generation."""
    windows = [rolling(60), rolling(30 * 86_400), CALENDAR_DAY, CALENDAR_MONTH, TOTAL]
    limits = [CALLS, *[Limit("k", Unit.MONEY, 1_000, window) for window in windows]]
    await limiter.meet()
    for name in ("open", "settled"):
        await limiter.reserve(name, [Claim(limit, 1) for limit in limits], 60)
    await limiter.settle("settled", {Unit.MONEY: 2})
    await limiter.settle("unknown", {})
    await limiter.renew(["open"], 120)
    for limit in limits[1:]:
        await limiter.book(limit, 5)
    keys = [key async for key in client.scan_iter(f"{{{namespace}}}*", count=10_000)]
    ends = {key.decode().removeprefix(f"{{{namespace}}}:"): await client.ttl(key) for key in keys}
    assert {name for name, end in ends.items() if end < 0} == {"n:k:total", "generation"}
    assert len(ends) == len(limits) + 4
    assert 120 <= ends["h:k:held"] <= 181
    assert 60 <= ends["n:k:r60"] <= 122


async def test_the_first_who_asks_is_told_so(limiter: ValkeyLimiter) -> None:
    """So that one alone rebuilds what an empty server lacks."""
    told = await asyncio.gather(*[limiter.meet() for _ in range(5)])
    assert [first for _, first in told] == [True, False, False, False, False]
    assert len({generation for generation, _ in told}) == 1


async def test_an_empty_server_is_not_taken_for_a_full_one(
    limiter: ValkeyLimiter, client: Valkey, namespace: str
) -> None:
    """Who has met the counters is told when they are gone."""
    limiter.generation, _ = await limiter.meet()
    await limiter.reserve("a", [Claim(MONEY, 1_000)], 60)
    async for key in client.scan_iter(f"{{{namespace}}}*", count=10_000):
        await client.delete(key)
    with pytest.raises(UnavailableError, match="lost its counters"):
        await limiter.reserve("b", [Claim(MONEY, 1)], 60)
    limiter.generation, first = await limiter.meet()
    assert first
    assert isinstance(await limiter.reserve("b", [Claim(MONEY, 1)], 60), Granted)


async def test_a_server_that_answers_nothing_is_unavailable(own_valkey_server: ValkeyServer, namespace: str) -> None:
    """Nobody waits longer than the time-out, however many ask; and it is heard again when it answers."""
    limiter = ValkeyLimiter(own_valkey_server.url, namespace=namespace, timeout=0.25)
    await limiter.ping()
    own_valkey_server.hang()
    answers = await asyncio.gather(*[limiter.peek([MONEY]) for _ in range(300)], return_exceptions=True)
    assert all(isinstance(answer, UnavailableError) for answer in answers)
    own_valkey_server.go_on()
    await heard_again(limiter)
    own_valkey_server.kill()
    with pytest.raises(UnavailableError):
        await limiter.peek([MONEY])
    await limiter.close()
