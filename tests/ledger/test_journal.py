"""What a journal promises, on disks that work and on disks that do not."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest
from ledger.conftest import SMALL, Start, remains
from ledger.entries import closed, opened
from ledger.simulated import FailingDisk

from trunkline.errors import GatewayError
from trunkline.ledger.journal import Journal
from trunkline.v1.ledger_pb2 import LedgerEntry


def found(journal: Journal, copy: Path) -> dict[str, LedgerEntry]:
    """What would be found if the process were killed now: its folder is read while it lives."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(journal.folder.path, copy / journal.folder.path.name)
    entries, damaged = remains(copy)
    assert not damaged
    left: dict[str, LedgerEntry] = {}
    for entry in entries:
        # What was written anew may stand there twice: the database takes the first.
        left.setdefault(entry.id, entry)
    return left


async def test_what_was_appended_is_there(start: Start, tmp_path: Path) -> None:
    """Every entry as it was, over many segments, and those of calls that run as abandoned, with their estimate."""
    journal = await start()
    calls = [opened() for _ in range(600)]
    ended = [closed(call) for call in calls[:500]]
    await asyncio.gather(*(journal.open(call) for call in calls))
    await asyncio.gather(*(journal.append(entry) for entry in ended))

    left = found(journal, tmp_path / "copy")
    assert [left[entry.id] for entry in ended] == ended
    assert len(left) == 600
    for call in calls[500:]:
        entry = left[call.id]
        assert (entry.outcome, entry.usage_estimated) == ("abandoned", True)
        assert (entry.usage, entry.cost, entry.owner) == (call.usage, call.cost, call.owner)
        assert entry.end_time.ToNanoseconds() >= call.start_time.ToNanoseconds()


async def test_the_latest_that_is_known_of_a_call(start: Start, tmp_path: Path) -> None:
    """What was noted last takes the place of what was; an attempt that had not ended is abandoned, too."""
    journal = await start()
    call = opened()
    await journal.open(call)
    call.attempts.add(provider="openai", model="gpt-5", start_time=call.start_time)
    call.usage.output_tokens = 7
    journal.note(call)
    await journal.append(closed())

    entry = found(journal, tmp_path / "copy")[call.id]
    assert entry.usage.output_tokens == 7
    assert [(one.provider, one.outcome, one.usage_estimated) for one in entry.attempts] == [
        ("openai", "abandoned", True)
    ]


async def test_one_sync_for_all_that_waited(start: Start) -> None:
    """Whatever came while one ran shares the next; nobody waits for a third."""
    disk = FailingDisk()
    journal = await start(disk, segment_bytes=1 << 20)
    await journal.append(closed())
    before = disk.syncs
    disk.hold = threading.Event()
    first = asyncio.ensure_future(journal.append(closed()))
    # Written means that the sync of it has begun, or is about to.
    await journal.open(opened())
    others = [asyncio.ensure_future(journal.append(closed())) for _ in range(300)]
    await journal.open(opened())
    assert not any(task.done() for task in (first, *others))
    disk.hold.set()
    await asyncio.gather(first, *others)
    assert disk.syncs - before <= 2


async def test_who_no_longer_waits_is_recorded(start: Start, tmp_path: Path) -> None:
    """A caller who left does not take his entry along."""
    journal = await start()
    entry = closed()
    task = asyncio.ensure_future(journal.append(entry))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.append(closed())
    assert entry.id in found(journal, tmp_path / "copy")


@pytest.mark.parametrize("what", ["failing_syncs", "failing_writes"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_disk_that_fails_for_a_moment(start: Start, tmp_path: Path, what: str, times: int) -> None:
    """What it did not take goes to another segment: nobody notices, and nothing is lost."""
    disk = FailingDisk()
    journal = await start(disk)
    calls = [opened() for _ in range(40)]
    await asyncio.gather(*(journal.open(call) for call in calls))
    setattr(disk, what, times)
    ended = [closed(call) for call in calls[:30]]
    await asyncio.gather(*(journal.append(entry) for entry in ended))
    await journal.append(closed())

    assert journal.accepting
    left = found(journal, tmp_path / "copy")
    assert [left[entry.id] for entry in ended] == ended
    assert sum(entry.outcome == "abandoned" for entry in left.values()) == 10


@pytest.mark.parametrize("what", ["failing_syncs", "failing_writes"])
async def test_a_disk_that_fails(start: Start, tmp_path: Path, what: str) -> None:
    """The append fails, with the cause; no new calls are taken until the disk takes something again, and then the call
    can be ended after all."""
    disk = FailingDisk()
    journal = await start(disk)
    call = opened()
    await journal.open(call)
    setattr(disk, what, 1000)
    with pytest.raises(GatewayError, match="could not record the call: Input/output error") as failed:
        await journal.append(closed(call))
    assert failed.value.name == "UNAVAILABLE"
    assert not journal.accepting
    with pytest.raises(GatewayError, match="takes no calls, as it could not record them"):
        journal.admit()

    setattr(disk, what, 0)
    await journal.append(closed(call))
    journal.admit()
    assert found(journal, tmp_path / "copy")[call.id].outcome == "ok"


async def test_a_disk_that_works_again_is_noticed(start: Start) -> None:
    """Though nothing is recorded meanwhile, as no calls are taken."""
    disk = FailingDisk()
    journal = await start(disk)
    disk.failing_syncs = 1000
    with pytest.raises(GatewayError):
        await journal.append(closed())
    disk.failing_syncs = 0
    journal.synced.clear()
    with pytest.raises(GatewayError):
        journal.admit()
    # The look at the disk that this began ends with something that is synced.
    await asyncio.wait_for(journal.synced.wait(), 10)
    journal.admit()


@pytest.mark.parametrize("how", ["full", "free_bytes"])
async def test_a_full_disk(start: Start, tmp_path: Path, how: str) -> None:
    """New calls are refused while there is still room to end all that run, and each of these is recorded."""
    disk = FailingDisk()
    journal = await start(disk, keep_free=1 << 20)
    await journal.append(closed())
    setattr(disk, how, True if how == "full" else 1 << 19)
    running = []
    with pytest.raises(GatewayError, match="takes no calls") as refused:
        while True:
            journal.admit()
            call = opened()
            await journal.open(call)
            running.append(call)
    assert refused.value.name == "UNAVAILABLE"
    assert running
    ended = [closed(call, metadata={"x": "y" * 500}) for call in running]
    await asyncio.gather(*(journal.append(entry) for entry in ended))
    left = found(journal, tmp_path / "copy")
    assert [left[entry.id] for entry in ended] == ended


async def test_no_room_at_all(start: Start) -> None:
    """Where even the room that was kept is used up, a call is told so, rather than left waiting."""
    disk = FailingDisk()
    journal = await start(disk)
    await journal.append(closed())
    disk.full = True
    with pytest.raises(GatewayError, match="No space left on device"):
        while True:
            await journal.append(closed(metadata={"x": "y" * 10_000}))


async def test_segments_that_are_shipped_leave_running_calls(start: Start, tmp_path: Path) -> None:
    """What a segment told of calls that run is recorded anew before it is removed."""
    journal = await start()
    call = opened()
    await journal.open(call)
    while len(found(journal, tmp_path / "copy")) < 500:
        await asyncio.gather(*(journal.append(closed()) for _ in range(100)))
    oldest = journal.oldest()
    assert oldest is not None
    while (segment := journal.oldest()) is not None and segment.settled:
        await journal.remove_oldest()

    assert not oldest.path.exists()
    left = found(journal, tmp_path / "copy")
    assert left[call.id].outcome == "abandoned"
    await journal.append(closed(call))
    assert found(journal, tmp_path / "copy")[call.id].outcome == "ok"


async def test_what_is_too_large(start: Start) -> None:
    """A record that a caller made too large is refused before his call begins."""
    journal = await start()
    with pytest.raises(GatewayError, match="Send less metadata") as refused:
        await journal.open(opened(metadata={"x": "y" * SMALL}))
    assert refused.value.name == "REQUEST_TOO_LARGE"
    await journal.append(closed())


async def test_folders_of_the_living_are_left_alone(start: Start, tmp_path: Path) -> None:
    """Only what belongs to dead processes is read, and by one at a time."""
    one, other = await start(), await start()
    await one.append(closed())
    await other.append(closed())
    assert remains(tmp_path) == ([], [])
    await one.close()
    await one.leave()
    assert len(remains(tmp_path)[0]) == 1


async def test_an_empty_journal_leaves_nothing(start: Start, tmp_path: Path) -> None:
    """Where nothing was recorded, no folder stays."""
    journal = await start()
    await journal.close()
    await journal.leave()
    assert os.listdir(tmp_path) == ["lock"]
