"""Limits in memory: what is over takes no memory."""

from __future__ import annotations

from access.limits.conftest import Clock

from trunkline.access.limits.memory import MemoryLimiter
from trunkline.access.limits.model import HELD, SECOND, TOTAL, Claim, Limit, Unit, rolling


async def test_counters_that_are_empty_are_dropped(clock: Clock) -> None:
    """However many keys there have been, only those are kept of which something is used."""
    limiter = MemoryLimiter(clock)
    kept = Limit("kept", Unit.MONEY, 10, TOTAL)
    await limiter.reserve("kept", [Claim(kept, 1)], 60)
    for i in range(2_000):
        claims = [
            Claim(Limit(f"{i}", Unit.REQUESTS, 10, rolling(60)), 1),
            Claim(Limit(f"{i}", Unit.CALLS, 10, HELD), 1),
        ]
        await limiter.reserve(str(i), claims, 60)
        await limiter.settle(str(i), {})
        clock.now += SECOND
    assert limiter.counters < 2 * 61 + 8
    [standing] = await limiter.peek([kept])
    assert standing.used == 1


async def test_reservations_that_nobody_settles_are_forgotten(clock: Clock) -> None:
    """After a week; what they booked stays."""
    limiter = MemoryLimiter(clock, retention=100)
    limit = Limit("k", Unit.MONEY, 10, TOTAL)
    await limiter.reserve("a", [Claim(limit, 1)], 60)
    clock.now += 60 * SECOND
    await limiter.reserve("b", [Claim(limit, 1)], 60)
    clock.now += 60 * SECOND
    await limiter.reserve("c", [Claim(limit, 1)], 60)
    assert not await limiter.settle("a", {Unit.MONEY: 0})
    assert await limiter.settle("b", {Unit.MONEY: 0})
    [standing] = await limiter.peek([limit])
    assert standing.used == 2
