"""What is old is dropped, sums later than entries, and everything that is left is still exact."""

from __future__ import annotations

import logging
import random

import pytest
from sqlalchemy import func, select, text
from usage.history import SPAN, START, ended, history, insert
from usage.test_sums import ADMIN, answer, asked, check, questions

from trunkline.errors import GatewayError
from trunkline.ledger.calendar import DAY, MICROS
from trunkline.ledger.retention import Retention
from trunkline.ledger.summaries import Summaries
from trunkline.ledger.verify import verify
from trunkline.store.database import Database
from trunkline.store.tables import LEDGER_ENTRIES, USAGE_ROLLUPS
from trunkline.usage.usage import Usage
from trunkline.v1 import usage_pb2

NOW = START // MICROS + 34 * DAY


async def count(database: Database, table: object) -> int:
    """The rows of a table."""
    async with database.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]


async def test_entries_go_first(database: Database) -> None:
    """Whole hours are told as before; what would need single entries is refused, with what to do."""
    usage = Usage(database)
    entries = history(150)
    await insert(database, entries)
    await Summaries(database).fold(NOW + 40 * DAY)
    assert await Retention(database, entries_days=10).sweep(NOW) > 0
    midnight = (NOW - NOW % DAY - 10 * DAY) * MICROS
    async with database.reading() as connection:
        oldest = (await connection.execute(select(func.min(LEDGER_ENTRIES.c.ended_at)))).scalar_one()
    assert oldest >= midnight
    assert await count(database, LEDGER_ENTRIES) == sum(ended(entry) >= midnight for entry in entries)
    hour = START - START % (3600 * MICROS)
    await check(usage, entries, asked(hour, hour + SPAN, group_by=[usage_pb2.USAGE_DIMENSION_KEY]))
    with pytest.raises(GatewayError, match="no longer kept"):
        await answer(usage, asked(hour + 1, hour + SPAN))
    assert (await verify(database)).ok


async def test_sums_follow(database: Database) -> None:
    """Entries are never kept longer than sums; what is told begins where sums do."""
    usage = Usage(database)
    entries = history(150)
    await insert(database, entries)
    await Summaries(database).fold(NOW + 40 * DAY)
    retention = Retention(database, sums_days=20)
    assert await retention.sweep(NOW) > 0
    assert await retention.sweep(NOW) == 0
    midnight = (NOW - NOW % DAY - 20 * DAY) * MICROS
    left = [entry for entry in entries if ended(entry) >= midnight]
    assert await count(database, LEDGER_ENTRIES) == len(left)
    for request in questions(random.Random(3), 20):  # noqa: S311
        if request.start_time.ToMicroseconds() >= midnight:
            await check(usage, left, request)
    whole = asked(START - SPAN, START + 2 * SPAN, bucket=usage_pb2.USAGE_BUCKET_MONTH)
    told = await answer(usage, whole, ADMIN)
    assert told.start_time.ToMicroseconds() == midnight
    assert sum(row.calls for row in told.rows) == sum(not entry.corrects for entry in left)
    assert (await verify(database)).ok


async def test_for_ever(database: Database) -> None:
    """By default nothing is dropped."""
    await insert(database, history(20))
    before = await count(database, USAGE_ROLLUPS)
    assert await Retention(database).sweep(NOW + 10_000 * DAY) == 0
    assert await count(database, USAGE_ROLLUPS) == before


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_what_comes_too_late(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """It may have been counted and dropped since: it is not counted twice, and told of."""
    entries = history(50)
    await insert(database, entries)
    await Retention(database, entries_days=10).sweep(NOW)
    before = await count(database, LEDGER_ENTRIES)
    with caplog.at_level(logging.ERROR):
        await insert(database, entries)
    assert await count(database, LEDGER_ENTRIES) == before
    assert "come too late" in caplog.text
    assert (await verify(database)).ok


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_sums_of_sums_that_were_changed(database: Database) -> None:
    """The check of the ledger finds them, be they of an hour, a day or a month."""
    await insert(database, history(20))
    await Summaries(database).fold(NOW + 40 * DAY)
    assert (await verify(database)).ok
    async with database.writing() as connection:
        for span in range(3):
            await connection.execute(
                text(
                    "UPDATE usage_summaries SET calls = 9 "
                    "WHERE id = (SELECT min(id) FROM usage_summaries WHERE span = :span)"
                ),
                {"span": span},
            )
    report = await verify(database)
    for name in ("hour", "day", "month"):
        assert any(f"the sums of the {name} " in told for told in report.problems)
