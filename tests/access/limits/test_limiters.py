"""What holds for every limiter, case by case."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from access.limits.conftest import Clock

from trunkline.access.limits.limiter import Limiter
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
    Window,
    rolling,
)

REQUESTS = Limit("k:requests", Unit.REQUESTS, 3, rolling(60))
TOKENS = Limit("k:tokens", Unit.TOKENS, 100, rolling(60))
CALLS = Limit("k:calls", Unit.CALLS, 1, HELD)
MONEY = Limit("k:money", Unit.MONEY, 1_000, TOTAL)


async def used(limiter: Limiter, limit: Limit) -> int:
    """What is used of a limit."""
    [standing] = await limiter.peek([limit])
    return standing.used


async def test_nothing_is_booked_where_one_claim_does_not_fit(limiter: Limiter) -> None:
    """A refused call leaves no trace, and is told which limit refused it."""
    answer = await limiter.reserve("a", [Claim(REQUESTS, 1), Claim(CALLS, 1), Claim(TOKENS, 101)], 60)
    assert isinstance(answer, Refused)
    assert (answer.limit, answer.amount, answer.remaining, answer.retry_after) == (TOKENS, 101, 100, None)
    assert [standing.used for standing in await limiter.peek([REQUESTS, CALLS, TOKENS])] == [0, 0, 0]
    assert not await limiter.settle("a", {})


async def test_the_limit_that_takes_longest_is_told(limiter: Limiter, clock: Clock) -> None:
    """Who waits as long as told is not refused by another limit of the same call."""
    slow = Limit("k:tokens", Unit.TOKENS, 10, rolling(3_600))
    await limiter.reserve("a", [Claim(TOKENS, 100)], 60)
    clock.now += SECOND
    await limiter.reserve("b", [Claim(slow, 10), Claim(CALLS, 1)], 60)
    answer = await limiter.reserve("c", [Claim(TOKENS, 1), Claim(slow, 1), Claim(CALLS, 1)], 60)
    assert isinstance(answer, Refused)
    assert answer.limit == slow
    assert answer.retry_after is not None
    assert 3_600 <= answer.retry_after <= 3_660


async def test_who_waits_as_told_waits_no_longer_than_must_be(limiter: Limiter, clock: Clock) -> None:
    """A claim that fits exactly, when the first of two others stops counting, is told that moment."""
    await limiter.reserve("a", [Claim(TOKENS, 60)], 60)
    clock.now += 10 * SECOND
    await limiter.reserve("b", [Claim(TOKENS, 40)], 60)
    answer = await limiter.reserve("c", [Claim(TOKENS, 60)], 60)
    assert isinstance(answer, Refused)
    assert answer.retry_after == 51
    [standing] = await limiter.peek([TOKENS])
    assert (standing.used, standing.remaining, standing.reset) == (100, 0, 61)


async def test_all_that_ask_at_once_share_what_there_is(limiter: Limiter) -> None:
    """Of a thousand calls at once exactly as many are let in as there is room for."""
    some = Limit("k:requests", Unit.REQUESTS, 137, rolling(60))
    answers = await asyncio.gather(
        *[limiter.reserve(str(i), [Claim(some, 1), Claim(MONEY, 1)], 60) for i in range(1_000)]
    )
    assert sum(isinstance(answer, Granted) for answer in answers) == 137
    assert await used(limiter, MONEY) == 137


async def test_abandoned_calls_free_their_slots_and_stay_booked(limiter: Limiter, clock: Clock) -> None:
    """When a lease ends the slot is free, the money is not; a late settlement books what was used, once."""
    claims = [Claim(CALLS, 1), Claim(MONEY, 700)]
    await limiter.reserve("a", claims, 10)
    clock.now += 10 * SECOND
    assert [standing.used for standing in await limiter.peek([CALLS, MONEY])] == [0, 700]
    assert isinstance(await limiter.reserve("b", [Claim(CALLS, 1)], 10), Granted)
    clock.now += 3_600 * SECOND
    assert await limiter.settle("a", {Unit.MONEY: 300})
    assert not await limiter.settle("a", {Unit.MONEY: 300})
    assert await used(limiter, MONEY) == 300


async def test_a_call_that_lives_takes_its_slot_again(limiter: Limiter, clock: Clock) -> None:
    """A call that was thought dead is counted, even beyond the limit, and nothing new is let in meanwhile."""
    await limiter.reserve("a", [Claim(CALLS, 1)], 10)
    clock.now += 10 * SECOND
    await limiter.reserve("b", [Claim(CALLS, 1)], 10)
    assert await limiter.renew(["a", "b", "nobody"], 10) == ["nobody"]
    assert await used(limiter, CALLS) == 2
    await limiter.settle("b", {})
    assert isinstance(await limiter.reserve("c", [Claim(CALLS, 1)], 10), Refused)
    await limiter.settle("a", {})
    assert isinstance(await limiter.reserve("d", [Claim(CALLS, 1)], 10), Granted)


async def test_what_a_call_uses_beyond_its_reservation_counts(limiter: Limiter, clock: Clock) -> None:
    """In a rolling window from when it is known, in a calendar period where the call was let in."""
    day = Limit("k:money", Unit.MONEY, 1_000, CALENDAR_DAY)
    clock.now = round(datetime(2027, 3, 31, 23, 59, tzinfo=UTC).timestamp()) * SECOND
    await limiter.reserve("a", [Claim(TOKENS, 10), Claim(day, 10), Claim(MONEY, 10)], 60)
    clock.now += 3_600 * SECOND
    await limiter.settle("a", {Unit.TOKENS: 60, Unit.MONEY: 2_000})
    assert [standing.used for standing in await limiter.peek([TOKENS, day, MONEY])] == [50, 0, 2_000]
    answer = await limiter.reserve("b", [Claim(MONEY, 0)], 60)
    assert isinstance(answer, Refused)
    assert answer.remaining == 0


async def test_a_correction_takes_back_what_there_is(limiter: Limiter, clock: Clock) -> None:
    """No counter falls below zero, in no bucket: else a later bucket could hold more than the limit."""
    now = clock.now / SECOND
    await limiter.book(TOKENS, 60, now)
    await limiter.book(TOKENS, 30, now - 30)
    await limiter.book(TOKENS, 1_000, now - 62)
    await limiter.book(TOKENS, -50, now - 30)
    assert await used(limiter, TOKENS) == 60
    await limiter.book(TOKENS, 5, now + 3_600)
    assert await used(limiter, TOKENS) == 65
    clock.now += 61 * SECOND
    assert await used(limiter, TOKENS) == 0


async def test_slots_are_not_booked(limiter: Limiter) -> None:
    """Who holds a slot can let go of it, so there must be somebody."""
    with pytest.raises(ValueError, match="cannot be booked"):
        await limiter.book(CALLS, 1)


async def test_forgotten_counters_are_empty(limiter: Limiter) -> None:
    """What belonged to a deleted key is gone."""
    await limiter.reserve("a", [Claim(CALLS, 1), Claim(MONEY, 1_000)], 60)
    await limiter.forget([CALLS, MONEY])
    assert [standing.used for standing in await limiter.peek([CALLS, MONEY])] == [0, 0]
    assert await limiter.settle("a", {})


async def test_two_claims_on_one_counter_are_an_error(limiter: Limiter) -> None:
    """Each would fit alone, and both together would not."""
    with pytest.raises(ValueError, match="same counter"):
        await limiter.reserve("a", [Claim(REQUESTS, 2), Claim(REQUESTS, 2)], 60)


async def test_a_clock_that_is_set_back_stands_still(limiter: Limiter, clock: Clock) -> None:
    """Nothing counts for less time, and nothing for ever."""
    await limiter.reserve("a", [Claim(REQUESTS, 1)], 60)
    clock.now -= 3_600 * SECOND
    await limiter.reserve("b", [Claim(REQUESTS, 1)], 60)
    assert await used(limiter, REQUESTS) == 2
    clock.now += 3_659 * SECOND
    assert await used(limiter, REQUESTS) == 2
    clock.now += 2 * SECOND
    assert await used(limiter, REQUESTS) == 0


async def test_the_largest_amounts_are_exact(limiter: Limiter) -> None:
    """Up to 2^53 - 1, to the unit."""
    vast = Limit("k:money", Unit.MONEY, MOST, CALENDAR_MONTH)
    assert isinstance(await limiter.reserve("a", [Claim(vast, MOST - 2)], 60), Granted)
    assert isinstance(await limiter.reserve("b", [Claim(vast, 1)], 60), Granted)
    assert await used(limiter, vast) == MOST - 1
    assert isinstance(await limiter.reserve("c", [Claim(vast, 2)], 60), Refused)
    await limiter.settle("a", {Unit.MONEY: MOST - 3})
    assert await used(limiter, vast) == MOST - 2


async def test_a_counter_stands_still_at_the_most_that_is_exact(limiter: Limiter, clock: Clock) -> None:
    """What goes beyond is not counted, and nothing is let in until it stops counting."""
    day = Limit("k:money", Unit.MONEY, MOST, rolling(86_400))
    await limiter.reserve("a", [Claim(day, 5)], 60)
    await limiter.reserve("b", [Claim(day, 7)], 60)
    await limiter.settle("a", {Unit.MONEY: MOST})
    await limiter.settle("b", {Unit.MONEY: MOST - 1})
    await limiter.book(day, 3)
    assert await used(limiter, day) == MOST
    answer = await limiter.reserve("c", [Claim(day, 2)], 60)
    assert isinstance(answer, Refused)
    clock.now += 2 * 86_400 * SECOND
    assert isinstance(await limiter.reserve("d", [Claim(day, MOST)], 60), Granted)


@pytest.mark.parametrize(
    ("unit", "most", "window"),
    [(Unit.CALLS, 1, rolling(60)), (Unit.MONEY, 1, HELD), (Unit.MONEY, MOST + 1, TOTAL), (Unit.TOKENS, -1, TOTAL)],
)
def test_limits_that_make_no_sense_are_errors(unit: Unit, most: int, window: Window) -> None:
    """What runs is held, what is used up is counted, and amounts are such as can be."""
    with pytest.raises(ValueError, match="The limit k"):
        Limit("k", unit, most, window)


@pytest.mark.parametrize("year", range(1970, 2105))
def test_months_are_those_of_the_calendar(year: int) -> None:
    """Each begins with its first microsecond."""
    for month in range(1, 13):
        start = round(datetime(year, month, 1, tzinfo=UTC).timestamp()) * SECOND
        bucket = CALENDAR_MONTH.bucket(start)
        assert CALENDAR_MONTH.bucket(start - 1) == bucket - 1
        assert CALENDAR_MONTH.start(bucket) == start
