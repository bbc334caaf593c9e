"""Whatever is wrong with a ledger is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger.conftest import SMALL, Start
from ledger.entries import BEGIN, HOUR, closed, new_id, opened
from sqlalchemy import text

from trunkline.ledger.insertion import Insertion
from trunkline.ledger.ledger import JOURNAL, Ledger
from trunkline.ledger.verify import Report, verify
from trunkline.store.database import Database
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry


async def insert(database: Database, *entries: LedgerEntry) -> None:
    """Insert entries."""
    await Insertion(database).insert([(entry, entry.SerializeToString()) for entry in entries])


async def tampered(database: Database, statement: str) -> Report:
    """What is found after somebody changed something by hand."""
    entries = [closed(opened(at=BEGIN + hour * HOUR), tags=["a"]) for hour in (0, 0, 1, 5)]
    await insert(database, *entries)
    assert (await verify(database)).ok
    async with database.writing() as connection:
        await connection.execute(text(statement))
    return await verify(database)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM ledger_entries WHERE ended_at < 1760004000000000", "sums without entries"),
        ("DELETE FROM ledger_entries WHERE id = (SELECT max(id) FROM ledger_entries)", "sums without entries"),
        ("DELETE FROM usage_rollups WHERE tag = 'a'", "no sums for hour="),
        ("DELETE FROM usage_rollups WHERE hour = 1760004000", "no sums for hour=1760004000"),
        ("UPDATE usage_rollups SET total_nanos = total_nanos + 1", "total_nanos is 141 and not 140"),
        ("UPDATE usage_rollups SET duration_16 = 9", "duration_16 is 9 and not"),
        ("UPDATE usage_rollups SET team_id = 'x'", "team_id is x and not team_1"),
        ("UPDATE usage_rollups SET hour = hour + 3600 * 100", "no sums for"),
        ("UPDATE ledger_entries SET total_nanos = 0", "what stands in total_nanos is not what its body says"),
        ("UPDATE ledger_entries SET key_id = 'x'", "what stands in key_id is not what its body says"),
        ("UPDATE ledger_entries SET ended_at = ended_at + 1", "what stands in ended_at is not what its body says"),
        ("UPDATE ledger_entries SET id = 'x' || id", "what stands in id is not what its body says"),
    ],
)
@pytest.mark.parametrize("store_url", ["file"], indirect=True)
async def test_what_was_changed_by_hand(database: Database, statement: str, problem: str) -> None:
    """Sums that were changed, or lost; entries that were; and columns that do not say what their entry says."""
    report = await tampered(database, statement)
    assert not report.ok
    assert any(problem in told for told in report.problems), report.problems


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_a_sum_that_was_changed_in_postgres(database: Database) -> None:
    """There as here."""
    report = await tampered(database, "UPDATE usage_rollups SET calls = calls + 1 WHERE tag = 'a'")
    assert report.problems
    assert all("calls is 2 and not 1" in told or "calls is 3 and not 2" in told for told in report.problems)


async def test_a_body_that_cannot_be_read(database: Database) -> None:
    """It is named."""
    entry = closed()
    await insert(database, entry)
    async with database.writing() as connection:
        await connection.execute(text("UPDATE ledger_entries SET body = :body"), {"body": b"\xff\xff"})
    report = await verify(database)
    assert f"entry {entry.id}: its body cannot be read" in report.problems


async def test_a_cost_that_is_not_the_sum_of_its_parts(database: Database) -> None:
    """Whoever reckoned it was wrong."""
    entry = closed()
    entry.cost.media_nanos = 1
    await insert(database, entry)
    assert (await verify(database)).problems == [f"entry {entry.id}: its cost is not the sum of its parts"]


async def test_a_correction_of_nothing(database: Database) -> None:
    """What it corrects must be there."""
    entry = closed(corrects=new_id(), kind=ledger_pb2.LEDGER_ENTRY_KIND_CORRECTION)
    await insert(database, entry)
    assert f"there is no entry {entry.corrects}" in (await verify(database)).problems[0]


async def test_a_part_of_the_time(database: Database) -> None:
    """Hours outside of what was asked for are not looked at."""
    for hour in range(4):
        await insert(database, closed(opened(at=BEGIN + hour * HOUR)))
    begin = BEGIN // 10**9
    for start, end, count in ((None, None, 4), (begin + 3600, None, 3), (begin + 1, begin + 3601, 2), (None, begin, 0)):
        assert (await verify(database, start=start, end=end)).entries == count


async def test_what_is_worth_a_look(database: Database) -> None:
    """Calls without a price, and those whose usage is estimated, are counted."""
    unpriced = closed()
    unpriced.price_version = ""
    await insert(database, unpriced, closed(usage_estimated=True), closed(outcome="abandoned"))
    report = await verify(database)
    assert (report.calls, report.unpriced, report.estimated, report.abandoned, report.ok) == (3, 1, 1, 1, True)


async def test_an_entry_that_was_shipped_and_is_gone(database: Database, tmp_path: Path) -> None:
    """The journal of a running gateway still has it, as it has later ones: it is missed."""
    ledger = await Ledger.start(tmp_path, database, segment_bytes=SMALL, keep_free=0)
    entries = [closed() for _ in range(3)]
    for entry in entries:
        await ledger.journal.append(entry)
    await ledger.shipped()
    assert (await verify(database, journal=tmp_path / JOURNAL)).ok
    async with database.writing() as connection:
        await connection.execute(text("DELETE FROM ledger_entries WHERE id = :id"), {"id": entries[1].id})
    report = await verify(database, journal=tmp_path / JOURNAL)
    assert any(f"entry {entries[1].id} was recorded in" in told for told in report.problems)
    await ledger.close()


async def test_what_is_not_shipped_yet_is_no_problem(database: Database, start: Start, tmp_path: Path) -> None:
    """It is counted, be its process dead or alive."""
    journal = await start()
    shipped, other = closed(), closed()
    await journal.append(shipped)
    await journal.append(other)
    await insert(database, shipped)
    report = await verify(database, journal=tmp_path)
    assert (report.problems, report.entries, report.unshipped) == ([], 1, 1)
