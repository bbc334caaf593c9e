"""What dead processes left is read as far as it can be, and what cannot be is kept and told of."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from pathlib import Path

import pytest
from ledger.conftest import SMALL, Start, remains
from ledger.entries import closed, opened

from trunkline.ledger.folders import DAMAGED
from trunkline.ledger.ledger import JOURNAL, Ledger
from trunkline.ledger.segment import HEAD
from trunkline.ledger.verify import verify
from trunkline.store import database as databases
from trunkline.v1.ledger_pb2 import LedgerEntry


@pytest.fixture
async def left(start: Start, tmp_path: Path) -> tuple[Path, list[LedgerEntry]]:
    """A journal as a killed process leaves it: a folder with several segments, and the entries in it."""
    journal = await start()
    entries = [closed() for _ in range(400)]
    for part in range(0, 400, 20):
        await asyncio.gather(*(journal.append(entry) for entry in entries[part : part + 20]))
    root = tmp_path / "data" / JOURNAL
    shutil.copytree(journal.folder.path, root / journal.folder.path.name)
    return root / journal.folder.path.name, entries


def segments(folder: Path) -> list[Path]:
    """Those of a folder in which anything stands."""
    return [path for path in sorted(folder.glob("*.seg")) if path.read_bytes()[len(HEAD) :].strip(b"\0")]


def flip(path: Path, offset: int) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)


async def test_damage_in_the_midst(left: tuple[Path, list[LedgerEntry]], caplog: pytest.LogCaptureFixture) -> None:
    """Of what was promised to last, one record is lost: that is loud, all others are shipped, and the segment stays."""
    folder, entries = left
    hurt = segments(folder)[1]
    before = len(remains(folder.parent)[0])
    flip(hurt, 5000)
    database = await databases.opened(f"sqlite:///{folder.parent.parent}/t.db")
    with caplog.at_level(logging.ERROR, "trunkline"):
        ledger = await Ledger.start(folder.parent.parent, database, segment_bytes=SMALL, keep_free=0)
        await ledger.shipped()
    await ledger.close()
    assert "IS DAMAGED" in caplog.text
    report = await verify(database, journal=folder.parent)
    assert report.entries == before - 1 == len(entries) - 1
    assert report.damaged == 1
    assert "damaged: entries are lost" in report.problems[0]
    assert [path.name for path in (folder.parent / DAMAGED).iterdir()] == [f"{folder.name}-{hurt.name}"]
    assert not os.path.exists(folder)  # noqa: ASYNC240
    await database.close()


@pytest.mark.parametrize("segment", [0, -1])
def test_a_segment_that_was_cut_at_every_length(left: tuple[Path, list[LedgerEntry]], segment: int) -> None:
    """Its records up to the cut are read, and those of all other segments."""
    folder, entries = left
    path = segments(folder)[segment]
    whole = path.read_bytes()
    used = len(whole.rstrip(b"\0"))
    last = len(entries) + 1
    for size in range(used, 0, -997):
        path.write_bytes(whole[:size])
        found, _ = remains(folder.parent)
        assert len({entry.id for entry in found} & {entry.id for entry in entries}) == len(found)
        assert last >= len(found) >= last - 8
        last = len(found)


async def test_a_torn_end_is_told_quietly(
    left: tuple[Path, list[LedgerEntry]], caplog: pytest.LogCaptureFixture
) -> None:
    """What was written when its process ended had been promised to nobody."""
    folder, entries = left
    path = segments(folder)[-1]
    flip(path, len(path.read_bytes().rstrip(b"\0")) - 5)
    with caplog.at_level(logging.WARNING, "trunkline"):
        found, damaged = remains(folder.parent)
    assert len(found) == len(entries) - 1
    assert damaged == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the torn end" in caplog.text


def test_segments_that_were_being_made(left: tuple[Path, list[LedgerEntry]]) -> None:
    """An empty one, one of zeros, and one with a damaged head."""
    folder, entries = left
    (folder / "00000098.seg").touch()
    (folder / "00000099.seg").write_bytes(bytes(SMALL))
    flip(segments(folder)[0], 25)
    found, damaged = remains(folder.parent)
    assert [entry.id for entry in found] == [entry.id for entry in entries]
    assert damaged == []


async def test_a_newer_format_is_left_alone(
    left: tuple[Path, list[LedgerEntry]], caplog: pytest.LogCaptureFixture
) -> None:
    """It stays for the version that can read it, which is told once; this process's own entries are shipped."""
    folder, _ = left
    path = segments(folder)[0]
    path.write_bytes(path.read_bytes().replace(b"journal 1", b"journal 2", 1))
    kept = path.read_bytes()
    database = await databases.opened(f"sqlite:///{folder.parent.parent}/t.db")
    ledger = await Ledger.start(folder.parent.parent, database)
    await ledger.journal.append(closed())
    await ledger.shipped()
    await ledger.close()
    assert caplog.text.count("was written by another version of Trunkline") == 1
    assert path.read_bytes() == kept
    assert (await verify(database)).entries == 1
    await database.close()


async def test_a_call_that_ended_is_not_abandoned(start: Start, tmp_path: Path) -> None:
    """Though it was opened in another segment than the one that has its end."""
    journal = await start()
    calls = [opened() for _ in range(300)]
    await asyncio.gather(*(journal.open(call) for call in calls))
    await asyncio.gather(*(journal.append(closed(call)) for call in calls))
    shutil.copytree(journal.folder.path, tmp_path / "copy" / journal.folder.path.name)
    found, _ = remains(tmp_path / "copy")
    assert {entry.outcome for entry in found} == {"ok"}
    assert len(found) == 300
