"""What was recorded comes into the database once, and is counted once, however long that takes."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ledger.conftest import SMALL
from ledger.entries import BEGIN, HOUR, closed, new_id, opened
from ledger.simulated import FailingDisk
from servers.postgres import PostgresServer
from sqlalchemy import func, select

from trunkline.ledger.insertion import Insertion
from trunkline.ledger.ledger import JOURNAL, Ledger
from trunkline.ledger.verify import verify
from trunkline.store import database as databases
from trunkline.store.database import Database
from trunkline.store.tables import LATENCY_BUCKETS, LEDGER_ENTRIES, USAGE_ROLLUPS
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry


class Listener(logging.Handler):
    """Hears when the log tells something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.told = asyncio.Event()
        self._text = text
        logging.getLogger("trunkline").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Called on the event loop, as shipping is."""
        if self._text in record.getMessage():
            self.told.set()


async def start(data: Path, database: Database, **options: Any) -> Ledger:
    """A ledger whose segments are soon full."""
    return await Ledger.start(data, database, **{"segment_bytes": SMALL, "keep_free": 0, **options})


async def stored(database: Database) -> dict[str, LedgerEntry]:
    """The entries in the database, as they were written."""
    async with database.reading() as connection:
        rows = await connection.execute(select(LEDGER_ENTRIES.c.id, LEDGER_ENTRIES.c.body))
        return {row.id: LedgerEntry.FromString(row.body) for row in rows}


async def sums(database: Database, tag: str = "") -> dict[str, int]:
    """The sums over everything under a tag."""
    counters = [column for column in USAGE_ROLLUPS.columns if column.type.python_type is int]
    asked = select(*(func.sum(column).label(column.name) for column in counters)).where(USAGE_ROLLUPS.c.tag == tag)
    async with database.reading() as connection:
        row = (await connection.execute(asked)).one()
        return {name: int(value or 0) for name, value in row._mapping.items()}


async def test_what_is_recorded_is_shipped(database: Database, tmp_path: Path) -> None:
    """Each entry as it was, and counted; of the journal nothing stays but what is written to."""
    ledger = await start(tmp_path, database)
    entries = [closed(duration_ms=number) for number in range(700)]
    await asyncio.gather(*(ledger.journal.append(entry) for entry in entries))
    await ledger.shipped()
    assert ledger.journal.pending().bytes < 2 * SMALL
    assert await stored(database) == {entry.id: entry for entry in entries}
    await ledger.close()

    assert os.listdir(tmp_path / JOURNAL) == ["lock"]
    report = await verify(database, journal=tmp_path / JOURNAL)
    assert report.problems == []
    assert (report.entries, report.total_nanos) == (700, 700 * 140)
    counted = await sums(database)
    assert counted["calls"] == counted["attempts"] == counted["first_events"] == 700
    assert (counted["input_tokens"], counted["output_tokens"]) == (700 * 100, 700 * 20)
    assert (counted["input_nanos"], counted["output_nanos"], counted["total_nanos"]) == (70_000, 28_000, 98_000)
    assert counted["duration_ms"] == sum(range(700))
    buckets = [counted[f"duration_{bucket:02}"] for bucket in range(LATENCY_BUCKETS)]
    expected = Counter(next(n for n in range(LATENCY_BUCKETS) if ms <= 2 ** (n / 2)) for ms in range(700))
    assert buckets == [expected[bucket] for bucket in range(LATENCY_BUCKETS)]


async def test_what_comes_twice_counts_once(database: Database) -> None:
    """Within a batch, in the next one, and among others that are new."""
    insertion = Insertion(database)
    entries = [(entry, entry.SerializeToString()) for entry in (closed() for _ in range(20))]
    assert await insertion.insert([*entries[:10], *entries[:10]]) == 10
    before = await sums(database)
    assert await insertion.insert(entries[:10]) == 0
    assert await sums(database) == before
    assert await insertion.insert(entries) == 10
    assert (await sums(database))["calls"] == 20
    assert (await verify(database)).problems == []


async def test_many_ship_the_same_at_once(database: Database) -> None:
    """Whoever comes first counts; nobody fails for that, and none waits for another in a circle."""
    entries = [(entry, entry.SerializeToString()) for entry in (closed(tags=["a", "b"]) for _ in range(60))]
    shuffled = [entries, entries[::-1], entries[30:] + entries[:30]]
    new = await asyncio.gather(*(Insertion(database).insert(some) for some in shuffled))
    assert sum(new) == 60
    assert (await verify(database)).problems == []


async def test_a_correction_adds_to_what_it_corrects(database: Database) -> None:
    """It is an entry of its own, the old one stays, and the hour of the call has the sum of both."""
    call = closed(opened(at=BEGIN))
    change = LedgerEntry()
    change.CopyFrom(call)
    change.id, change.kind, change.corrects = new_id(), ledger_pb2.LEDGER_ENTRY_KIND_CORRECTION, call.id
    change.usage.Clear()
    change.cost.Clear()
    change.cost.output_nanos = change.cost.total_nanos = -15
    insertion = Insertion(database)
    await insertion.insert([(call, call.SerializeToString())])
    await insertion.insert([(change, change.SerializeToString())])

    counted = await sums(database)
    # One row of sums has both: a second one would add its own hour.
    assert (counted["calls"], counted["corrections"], counted["hour"]) == (1, 1, BEGIN // 10**9)
    assert (counted["output_nanos"], counted["total_nanos"], counted["output_tokens"]) == (25, 125, 20)
    report = await verify(database)
    assert report.problems == []
    assert (report.calls, report.corrections, report.total_nanos) == (1, 1, 125)


async def test_each_tag_has_its_sums(database: Database) -> None:
    """And what has none is under the empty one, as all is; tags that are alike when cut count once."""
    long = "x" * 200
    entries = [closed(tags=["a"]), closed(tags=["a", "b"]), closed(), closed(tags=[long, long + "y"])]
    await Insertion(database).insert([(entry, entry.SerializeToString()) for entry in entries])
    counts = [(await sums(database, tag))["calls"] for tag in ("", "a", "b", "x" * 128)]
    assert counts == [4, 2, 1, 1]
    assert (await verify(database)).problems == []


@pytest.mark.parametrize("text", ["a\0b", "\0", "x" * 5000, "\U0001f600" * 300, "é\u202e'\";--", "\ufffe", ""])
async def test_any_text_is_kept(database: Database, text: str) -> None:
    """Whatever a caller calls things: none of it stops the others, and the body has it as it was."""
    entry = closed(
        call_id=text, model=text, provider=text, served_model=text, upstream_id=text, outcome=text, price_version=text,
        operation=text, surface=text, metadata={text: text}, tags=[text],
    )  # fmt: skip
    entry.owner.key_id = entry.owner.user_id = entry.owner.organization_id = text
    await Insertion(database).insert([(entry, entry.SerializeToString())])
    assert await stored(database) == {entry.id: entry}
    assert (await verify(database)).problems == []


async def test_any_number_is_kept(database: Database) -> None:
    """Up to the largest, and below zero."""
    most = 2**63 - 1
    entry = closed(opened(at=-HOUR), duration_ms=1)
    entry.duration_ms, entry.first_event_ms = most, -5
    entry.usage.input_tokens = -(2**31)
    entry.cost.total_nanos = entry.cost.input_nanos = -most
    entry.cost.output_nanos = 0
    await Insertion(database).insert([(entry, entry.SerializeToString())])
    assert await stored(database) == {entry.id: entry}
    assert (await verify(database)).problems == []


async def test_postgres_stops_and_starts(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls go on meanwhile, and all that they recorded is shipped when it is back. The log tells it once, and once
    when it is over."""
    database = await databases.opened(postgres_url)
    ledger = await start(tmp_path, database)
    await ledger.journal.append(closed())
    await ledger.shipped()
    postgres.kill()
    away = Listener("the journal keeps them")
    entries = [closed() for _ in range(300)]
    with caplog.at_level(logging.WARNING, "trunkline"):
        try:
            await asyncio.gather(*(ledger.journal.append(entry) for entry in entries))
            assert ledger.journal.pending().entries == 300
            assert ledger.journal.accepting
            await asyncio.wait_for(away.told.wait(), 30)
        finally:
            postgres.start()
        await ledger.shipped()
    assert len(await stored(database)) == 301
    told = [record.message for record in caplog.records]
    assert sum("the journal keeps them" in message for message in told) == 1
    assert sum("takes entries again" in message for message in told) == 1
    assert (await verify(database, journal=tmp_path / JOURNAL)).problems == []
    logging.getLogger("trunkline").removeHandler(away)
    await ledger.close()
    await database.close()


async def test_a_disk_that_fails_now_and_then(database: Database, tmp_path: Path) -> None:
    """What was written anew is shipped once, and the segments that failed are removed like others."""
    disk = FailingDisk()
    ledger = await start(tmp_path, database, disk=disk)
    entries = []
    for _ in range(6):
        call = opened()
        await ledger.journal.open(call)
        disk.failing_syncs, disk.failing_writes = 1, 1
        some = [closed(call), *(closed() for _ in range(50))]
        await asyncio.gather(*(ledger.journal.append(entry) for entry in some))
        entries += some
    await ledger.shipped()
    assert await stored(database) == {entry.id: entry for entry in entries}
    assert (await verify(database, journal=tmp_path / JOURNAL)).problems == []
    await ledger.close()
    assert os.listdir(tmp_path / JOURNAL) == ["lock"]


async def test_sqlite_is_locked_by_another(tmp_path: Path) -> None:
    """Who else writes to the file holds up what is shipped, not what is recorded."""
    database = await databases.opened(f"sqlite:///{tmp_path}/t.db")
    ledger = await start(tmp_path, database)
    other = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await asyncio.gather(*(ledger.journal.append(closed()) for _ in range(50)))
    assert ledger.journal.pending().entries == 50
    other.execute("ROLLBACK")
    other.close()
    await ledger.shipped()
    assert len(await stored(database)) == 50
    await ledger.close()
    await database.close()


@pytest.mark.parametrize("store_url", ["file", "postgres"], indirect=True)
async def test_what_was_not_shipped_is_at_the_next_start(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the database is away to the end, whoever starts next ships it, with the calls that had not ended."""
    async with database.writing() as connection:
        await connection.exec_driver_sql("ALTER TABLE ledger_entries RENAME TO away")
    ledger = await start(tmp_path, database)
    call, entries = opened(), [closed() for _ in range(200)]
    await ledger.journal.open(call)
    await asyncio.gather(*(ledger.journal.append(entry) for entry in entries))
    await ledger.close(grace=0.05)
    assert "200 entries stay in the journal" in caplog.text

    async with database.writing() as connection:
        await connection.exec_driver_sql("ALTER TABLE away RENAME TO ledger_entries")
    ledger = await start(tmp_path, database)
    await ledger.shipped()
    left = await stored(database)
    assert {name: entry.outcome for name, entry in left.items()} == dict.fromkeys(
        [entry.id for entry in entries], "ok"
    ) | {call.id: "abandoned"}
    report = await verify(database, journal=tmp_path / JOURNAL)
    assert (report.problems, report.abandoned, report.estimated) == ([], 1, 1)
    await ledger.close()
