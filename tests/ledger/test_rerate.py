"""A corrected price changes what calls cost by what is recorded beside them, once and exactly."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from ledger.entries import BEGIN, HOUR, closed, opened
from sqlalchemy import select

from trunkline.catalog.price import Price
from trunkline.ledger.insertion import Insertion
from trunkline.ledger.rerate import PriceOf, Rerated, Rerating
from trunkline.ledger.verify import verify
from trunkline.store.database import Database
from trunkline.store.tables import LEDGER_ENTRIES
from trunkline.usage.filters import Filter
from trunkline.usage.pages import Entries
from trunkline.v1.chat_pb2 import Usage
from trunkline.v1.ledger_pb2 import LedgerEntry

START = BEGIN // 10**9
END = START + 10 * 3600

DEAR = Price("dear", input=3_000_000_000, output=7_000_000_001)


async def insert(database: Database, *entries: LedgerEntry) -> None:
    """Put entries into the database."""
    await Insertion(database).insert([(entry, entry.SerializeToString()) for entry in entries])


async def corrections(database: Database) -> list[LedgerEntry]:
    """Every correction."""
    asked = select(LEDGER_ENTRIES.c.body).where(LEDGER_ENTRIES.c.corrects.is_not(None))
    async with database.reading() as connection:
        return [LedgerEntry.FromString(row.body) for row in await connection.execute(asked)]


async def rate(database: Database, price_of: PriceOf, *, dry: bool = False, models: tuple[str, ...] = ()) -> Rerated:
    """Rate everything anew."""
    return await Rerating(database, price_of).run(START, END, models, dry=dry)


def dear(provider: str, model: str, at: datetime, tier: str) -> Price | None:
    """One price for everything."""
    return DEAR


async def test_the_difference_is_recorded(database: Database) -> None:
    """It brings each class to what it should have been, and names whose call it was and what was right."""
    entry = closed(opened(at=BEGIN), tags=["blue"], service_tier="flex")
    await insert(database, entry)
    done = await rate(database, dear)
    (correction,) = await corrections(database)
    right = DEAR.cost(entry.usage)
    assert correction.cost.input_nanos == right.input - entry.cost.input_nanos
    assert correction.cost.total_nanos == right.total - entry.cost.total_nanos == done.nanos
    assert (done.calls, done.corrected, done.by_model) == (1, 1, {entry.model: done.nanos})
    assert (correction.corrects, correction.price_version, correction.owner) == (entry.id, "dear", entry.owner)
    assert (correction.end_time, list(correction.tags)) == (entry.end_time, ["blue"])
    assert not correction.HasField("usage")
    assert abs(correction.correct_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=5)
    record = await Entries(database).record(entry.id, Filter({}))
    assert record is not None
    assert (record.entry, record.cost.total_nanos) == (entry, right.total)
    assert (await verify(database)).ok


async def test_again(database: Database) -> None:
    """Nothing is added, by one or by many at once; a third price is a difference to the second."""
    entries = [closed(opened(at=BEGIN + number * HOUR)) for number in range(5)]
    await insert(database, *entries)
    done = await asyncio.gather(*(rate(database, dear) for _ in range(4)))
    assert sorted(one.corrected for one in done) == [0, 0, 0, 5]
    assert len(await corrections(database)) == 5
    cheap = Price("cheap", input=1, output=2)
    assert (await rate(database, lambda *_: cheap)).corrected == 5
    assert len(await corrections(database)) == 10
    for entry in entries:
        record = await Entries(database).record(entry.id, Filter({}))
        assert record is not None
        assert record.cost.total_nanos == cheap.cost(entry.usage).total
    assert (await verify(database)).ok


async def test_many_calls(database: Database) -> None:
    """Each once, however many there are at one moment."""
    entries = [closed(opened(at=BEGIN), duration_ms=number // 600) for number in range(1300)]
    for start in range(0, len(entries), 500):
        await insert(database, *entries[start : start + 500])
    done = await rate(database, dear)
    assert (done.calls, done.corrected) == (1300, 1300)
    assert {one.corrects for one in await corrections(database)} == {entry.id for entry in entries}


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_what_is_not_meant(database: Database) -> None:
    """Other times, other models; and a rehearsal changes nothing."""
    inside = closed(opened(at=BEGIN), model="good", served_model="gpt-6")
    await insert(database, inside, closed(opened(at=BEGIN + 11 * HOUR)), closed(opened(at=BEGIN - HOUR)))
    assert (await rate(database, dear, models=("other",))).calls == 0
    for model in ("good", "gpt-6"):
        assert (await rate(database, dear, models=(model,), dry=True)).corrected == 1
    assert await corrections(database) == []
    assert (await rate(database, dear)).corrected == 1


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_what_has_no_price(database: Database) -> None:
    """It stays what it was; a call that was abandoned, too, as nothing tells what it used."""
    abandoned = opened(at=BEGIN)
    abandoned.end_time.CopyFrom(abandoned.start_time)
    abandoned.outcome = "abandoned"
    await insert(database, closed(opened(at=BEGIN)), abandoned)
    done = await rate(database, lambda *_: None)
    assert (done.calls, done.corrected, done.unpriced) == (2, 0, 1)


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_a_price_that_was_not_known(database: Database) -> None:
    """It is asked for as the attempt was made: provider, model, time, class of service; each attempt for itself."""
    entry = closed(opened(at=BEGIN), service_tier="flex")
    entry.price_version = ""
    entry.ClearField("cost")
    entry.attempts[0].ClearField("cost")
    second = entry.attempts.add(provider="groq", model="fast", usage=Usage(input_tokens=1))
    entry.attempts.add(provider="none", model="unused")
    await insert(database, entry)
    asked = []

    def price_of(provider: str, model: str, at: datetime, tier: str) -> Price | None:
        asked.append((provider, model, at.timestamp(), tier))
        return Price(f"{provider}-1", input=10_000_000)

    await rate(database, price_of)
    assert asked == [("openai", "gpt-5", START, "flex"), ("groq", "fast", START, "flex")]
    (correction,) = await corrections(database)
    assert correction.price_version == "openai-1, groq-1"
    assert correction.cost.total_nanos == 10 * (entry.attempts[0].usage.input_tokens + second.usage.input_tokens)
