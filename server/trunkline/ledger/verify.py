"""Whether the ledger is whole: entries against their sums, and against the journal on this machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.ledger.disk import Disk
from trunkline.ledger.folders import Folders
from trunkline.ledger.frame import Kind
from trunkline.ledger.kept import kept_from
from trunkline.ledger.recovery import ABANDONED, Part
from trunkline.ledger.rows import Rollups, Row, entry_row, unpriced
from trunkline.ledger.segment import HEAD, SUFFIX, segment_seed
from trunkline.ledger.verify_summaries import check_summaries
from trunkline.store.database import Database
from trunkline.store.tables import COSTS, DIMENSIONS, LEDGER_ENTRIES, USAGE_ROLLUPS
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

_HOUR: Final = 3600
_MICROS: Final = 1_000_000
_AT_ONCE: Final = 500
_MOST_PROBLEMS: Final = 100


@dataclass(slots=True)
class Report:
    """What was found. `problems` are in words, the first hundred of `wrong`; the ledger is whole where there are none.

    `unshipped` entries are in the journal on this machine and not in the database yet. `estimated`, `abandoned` and
    `unpriced` calls are no problem of the ledger's, but worth a look.
    """

    entries: int = 0
    calls: int = 0
    corrections: int = 0
    total_nanos: int = 0
    estimated: int = 0
    abandoned: int = 0
    unpriced: int = 0
    sums: int = 0
    unshipped: int = 0
    damaged: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def tell(self, problem: str) -> None:
        """Note something that is wrong."""
        self.wrong += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


async def verify(
    database: Database, *, start: int | None = None, end: int | None = None, journal: Path | None = None
) -> Report:
    """Check what ended from `start` on and before `end`, in seconds since the epoch; whole hours are checked, of which
    a part lies between these. `journal` is the folder of the journals on this machine. The gateway may run meanwhile.

    Raises `GatewayError` (INTERNAL), and `OSError`.
    """
    report = Report()
    async with database.reading() as connection:
        entries_from, _ = await kept_from(connection)
    # Of what is no longer kept, the sums alone are left.
    start = entries_from if start is None else max(entries_from, start)
    for hour in await _hours(database, start, end):
        await _check_hour(database, hour, report)
    await check_summaries(database, start, end, report.tell)
    await _check_corrections(database, entries_from, report)
    if journal is not None:
        await _check_journal(database, journal, entries_from, report)
    return report


async def _hours(database: Database, start: int | None, end: int | None) -> list[int]:
    """The hours in which anything is."""
    ended = LEDGER_ENTRIES.c.ended_at
    async with database.snapshot() as connection:
        hours = {row.hour for row in await connection.execute(select(USAGE_ROLLUPS.c.hour).distinct())}
        # From entry to entry by the index, as there may be many more of them than of hours.
        first = (await connection.execute(select(func.min(ended)))).scalar()
        while first is not None:
            hour = first // _MICROS // _HOUR * _HOUR
            hours.add(hour)
            after = select(func.min(ended)).where(ended >= (hour + _HOUR) * _MICROS)
            first = (await connection.execute(after)).scalar()
    return sorted(hour for hour in hours if (start is None or hour + _HOUR > start) and (end is None or hour < end))


async def _check_hour(database: Database, hour: int, report: Report) -> None:
    """Add up all entries of an hour anew."""
    rollups = Rollups()
    async with database.snapshot() as connection:
        ended = LEDGER_ENTRIES.c.ended_at
        within = (ended >= hour * _MICROS, ended < (hour + _HOUR) * _MICROS)
        rows = await connection.stream(select(LEDGER_ENTRIES).where(*within))
        async for found_row in rows.mappings():
            _check_entry(dict(found_row), rollups, report)
        found = await connection.execute(select(USAGE_ROLLUPS).where(USAGE_ROLLUPS.c.hour == hour))
        there: dict[str, Row] = {row["id"]: dict(row) for row in found.mappings()}
    for expected in rollups.rows():
        report.sums += 1
        if expected["id"] not in there:
            report.tell(f"no sums for {_named(expected)}")
            continue
        row = there.pop(expected["id"])
        wrong = [f"{name} is {row[name]} and not {count}" for name, count in expected.items() if row[name] != count]
        if wrong:
            report.tell(f"the sums of {_named(expected)}: {', '.join(wrong)}")
    for row in there.values():
        report.tell(f"sums without entries: {_named(row)}")


def _check_entry(row: Row, rollups: Rollups, report: Report) -> None:
    name = row["id"]
    try:
        entry = LedgerEntry.FromString(row["body"])
    except DecodeError:
        report.tell(f"entry {name}: its body cannot be read")
        return
    expected = entry_row(entry, row["body"])
    wrong = [column for column in expected if row[column] != expected[column]]
    if wrong:
        report.tell(f"entry {name}: what stands in {', '.join(wrong)} is not what its body says")
    cost = entry.cost
    if cost.total_nanos != sum(getattr(cost, part) for part in COSTS[:-1]):
        report.tell(f"entry {name}: its cost is not the sum of its parts")
    report.entries += 1
    report.total_nanos += cost.total_nanos
    if entry.kind == ledger_pb2.LEDGER_ENTRY_KIND_CORRECTION:
        report.corrections += 1
    else:
        report.calls += 1
        report.estimated += entry.usage_estimated
        report.abandoned += entry.outcome == ABANDONED
        report.unpriced += unpriced(entry)
    rollups.add(entry, expected)


def _named(row: Row) -> str:
    return " ".join(f"{name}={row[name]!r}" for name in DIMENSIONS if row[name] != "")


async def _check_corrections(database: Database, entries_from: int, report: Report) -> None:
    """Each correction must be of an entry that there is."""
    corrected = LEDGER_ENTRIES.alias("corrected")
    lonely = (
        select(LEDGER_ENTRIES.c.id, LEDGER_ENTRIES.c.corrects)
        .outerjoin(corrected, corrected.c.id == LEDGER_ENTRIES.c.corrects)
        .where(LEDGER_ENTRIES.c.corrects.is_not(None), corrected.c.id.is_(None))
        .where(LEDGER_ENTRIES.c.ended_at >= entries_from * _MICROS)
        .limit(_MOST_PROBLEMS)
    )
    async with database.reading() as connection:
        for row in await connection.execute(lonely):
            report.tell(f"entry {row.id}: there is no entry {row.corrects} that it could correct")


async def _check_journal(database: Database, root: Path, entries_from: int, report: Report) -> None:
    """What was recorded is shipped in order: an entry that is not in the database is lost where a later one is."""
    folders = Folders(root, Disk())
    for damaged in folders.damaged():
        report.damaged += 1
        report.tell(f"{damaged} is damaged: entries are lost")
    for folder in await asyncio.to_thread(folders.all):
        recorded = await asyncio.to_thread(_recorded, folder, entries_from)
        there: set[str] = set()
        async with database.reading() as connection:
            there |= await _present(connection, recorded)
            last = max((place for place, name in enumerate(recorded) if name in there), default=-1)
            missing = [name for name in recorded[: last + 1] if name not in there]
            # What came in between the questions is there by now.
            there |= await _present(connection, missing)
        for name in missing:
            if name not in there:
                report.tell(f"entry {name} was recorded in {folder} and is not in the database, as later ones are")
        report.unshipped += sum(name not in there for name in recorded[last + 1 :])


def _recorded(folder: Path, entries_from: int) -> list[str]:
    """The ids of the entries in a folder that are still kept, in order. Its process may live and remove segments
    meanwhile."""
    disk = Disk()
    names: list[str] = []
    for file in disk.names(folder):
        if file.endswith(SUFFIX):
            try:
                data = disk.read(folder / file)
            except FileNotFoundError:
                continue
            part = Part(data, segment_seed(folder, file), len(HEAD))
            ended = [entry for kind, entry, _ in part if kind is Kind.CLOSED]
            names += [entry.id for entry in ended if entry.end_time.seconds >= entries_from]
    return names


async def _present(connection: AsyncConnection, names: list[str]) -> set[str]:
    """Those of the entries that are in the database."""
    there: set[str] = set()
    for start in range(0, len(names), _AT_ONCE):
        asked = select(LEDGER_ENTRIES.c.id).where(LEDGER_ENTRIES.c.id.in_(names[start : start + _AT_ONCE]))
        there |= {row.id for row in await connection.execute(asked)}
    return there
