"""What one process writes, others read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from store.conftest import response

from trunkline.errors import GatewayError
from trunkline.store import events as module
from trunkline.store.database import Database
from trunkline.store.events import News
from trunkline.store.stores import Stores

EVENTS = [b"event %d" % number for number in range(10)]


async def running(stores: Stores, name: str = "a") -> Any:
    """A response that is being written."""
    stored = response(name, status="in_progress")
    await stores.responses.put(stored)
    return stored


async def rows(database: Database) -> int:
    """How many rows of events there are."""
    async with database.reading() as connection:
        return (await connection.execute(text("SELECT count(*) FROM response_events"))).scalar() or 0


async def test_what_is_put_is_read(stores: Stores) -> None:
    """From any place, in order, each once; what it is told besides is how the response stands."""
    await running(stores)
    assert (await stores.events.read("a", "ann", 0)).told == 0
    for first in range(0, 10, 3):
        await stores.events.put([News("a", first, EVENTS[first : first + 3])])
    for place in range(12):
        progress = await stores.events.read("a", "ann", place)
        assert progress.events == EVENTS[place:]
        assert (progress.told, progress.over, progress.lost, progress.gap) == (10, False, False, False)


async def test_callers_see_their_own_alone(stores: Stores) -> None:
    """Another's events are as if they were not there."""
    await running(stores)
    await stores.events.put([News("a", 0, EVENTS)])
    with pytest.raises(GatewayError, match="not found"):
        await stores.events.read("a", "bob", 0)


async def test_the_end_comes_with_the_last_events(stores: Stores) -> None:
    """Who reads that a response is over can read all of it; what was cancelled meanwhile gets no other end."""
    stored = await running(stores)
    await stores.events.put([News("a", 0, EVENTS[:4])])
    done = replace(stored, body={**stored.body, "status": "completed"})
    assert await stores.end("ann", done, None, running=True, news=News("a", 4, EVENTS[4:]))
    progress = await stores.events.read("a", "ann", 2)
    assert progress.over
    assert progress.events == EVENTS[2:]
    assert not await stores.end("ann", done, None, running=True, news=News("a", 10, [b"more"]))
    assert (await stores.events.read("a", "ann", 0)).told == 10


async def test_what_is_late_takes_nothing_back(stores: Stores) -> None:
    """The same events may be stored twice, in any order: the most of them stay."""
    await running(stores)
    await stores.events.put([News("a", 0, EVENTS)])
    await stores.events.put([News("a", 0, EVENTS[:3])])
    assert (await stores.events.read("a", "ann", 0)).events == EVENTS


async def test_what_nobody_vouches_for_is_lost(stores: Stores, database: Database) -> None:
    """Its process is gone, also where it was called off."""
    await running(stores)
    await running(stores, "b")
    await stores.responses.call_off("b")
    async with database.writing() as connection:
        await connection.execute(text("UPDATE responses SET lease_until = 1"))
    assert (await stores.events.read("a", "ann", 0)).lost
    assert (await stores.events.read("b", "ann", 0)).lost
    assert (await stores.responses.get("b", "ann")).lost


async def test_what_is_called_off_can_only_end(stores: Stores) -> None:
    """Its process hears of it; it is no longer in progress, but has the last word."""
    stored = await running(stores)
    assert await stores.responses.unwanted(["a"]) == set()
    await stores.responses.call_off("a")
    assert await stores.responses.unwanted(["a"]) == {"a"}
    assert await stores.responses.vouch(["a"]) == {"a"}
    assert (await stores.responses.get("a", "ann")).status == "in_progress"
    assert not await stores.responses.change(stored)
    assert await stores.responses.change(replace(stored, body={**stored.body, "status": "cancelled"}))
    await stores.responses.call_off("a")
    assert (await stores.responses.get("a", "ann")).status == "cancelled"


async def test_what_is_not_held_is_a_gap(stores: Stores) -> None:
    """It is told so, and never passed over."""
    await running(stores)
    await stores.events.put([News("a", 4, EVENTS[4:6]), News("a", 8, EVENTS[8:])])
    assert (await stores.events.read("a", "ann", 0)).gap
    before = await stores.events.read("a", "ann", 5)
    assert (before.events, before.gap, before.over) == (EVENTS[5:6], False, False)
    assert (await stores.events.read("a", "ann", 6)).gap
    await stores.events.drop(["a"])
    assert (await stores.events.read("a", "ann", 0)).told == 0


async def test_what_need_not_be_held_is_swept(stores: Stores, database: Database) -> None:
    """The events of what ended long ago, of what was lost long ago, and of what is no longer there; nothing else."""
    old, lost, young = [await running(stores, name) for name in ("old", "lost", "young")]
    for stored in (old, lost, young):
        await stores.events.put([News(stored.id, 0, EVENTS)])
    for stored in (old, young):
        await stores.responses.change(replace(stored, body={**stored.body, "status": "completed"}))
    await stores.events.put([News("gone", 0, EVENTS)])
    async with database.writing() as connection:
        await connection.execute(
            text(f"UPDATE responses SET lease_until = lease_until - {module.HELD_FOR + 60} WHERE id <> 'young'")  # noqa: S608
        )
    await stores.sweep()
    assert await rows(database) == 1
    assert (await stores.events.read("young", "ann", 0)).events == EVENTS
    assert (await stores.events.read("old", "ann", 0)).told == 0
    await stores.responses.delete("young", "ann")
    assert await rows(database) == 0


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_bounded(sizes: list[int], data: st.DataObject) -> None:
    """However much comes at once, and however often the same is stored: it lies in rows of a bounded size, each at the
    same place as before, and in order."""
    events = [b"x" * size for size in sizes]
    cut = data.draw(st.integers(0, len(events)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROW", 50)
        whole = list(module._rows(News("a", 5, events)))
        part = list(module._rows(News("a", 5, events[:cut])))
    assert [event for _, some in whole for event in some] == events
    assert all(sum(map(len, some)) < 100 for _, some in whole)
    assert [first for first, _ in part] == [first for first, _ in whole][: len(part)]
    at = 5
    for first, some in whole:
        assert first == at
        at += len(some)


async def test_many_write_at_once(stores: Stores) -> None:
    """What several say of one response stays whole."""
    await running(stores)
    await asyncio.gather(*(stores.events.put([News("a", 0, EVENTS[: 1 + number])]) for number in range(10)))
    assert (await stores.events.read("a", "ann", 0)).events == EVENTS


async def test_many_rows_are_read_bit_by_bit(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more at once than is bounded, and it is not over before the last."""
    monkeypatch.setattr(module, "_ROW", 1)
    monkeypatch.setattr(module, "_ROWS", 3)
    stored = await running(stores)
    done = replace(stored, body={**stored.body, "status": "completed"})
    await stores.end("ann", done, None, running=True, news=News("a", 0, EVENTS))
    read: list[bytes] = []
    while (progress := await stores.events.read("a", "ann", len(read))).events:
        assert len(progress.events) <= 3
        read += progress.events
    assert read == EVENTS
