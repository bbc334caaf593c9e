"""Two gateways over one database: what one writes in the background can be followed and cancelled at the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from e2e.conftest import Running, Start

from trunkline.web.responses import background, follow, run

Event = dict[str, Any]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_LOOK", 0.05)
    monkeypatch.setattr(background, "_ASK", 0.02)
    monkeypatch.setattr(follow, "_SOON", 0.02)
    monkeypatch.setattr(follow, "_LATER", 0.05)


@asynccontextmanager
async def replica(start: Start, url: str) -> AsyncIterator[tuple[httpx.AsyncClient, Running]]:
    """One of them, as a client sees it."""
    async with (
        start(store={"url": url}, shutdown_grace=0) as house,
        httpx.AsyncClient(base_url=f"{house.url}/v1", timeout=30) as http,
    ):
        yield http, house


async def begin(http: httpx.AsyncClient, model: str = "fake/fault/stall") -> str:
    """The id of a new response in the background."""
    answer = await http.post("/responses", json={"model": model, "input": "Hello there, you", "background": True})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def events(http: httpx.AsyncClient, name: str, after: int = -1) -> AsyncIterator[Event]:
    """The events of a response behind one of them."""
    query = {"stream": "true", "starting_after": str(after)}
    async with http.stream("GET", f"/responses/{name}", params=query) as answer:
        if answer.status_code != 200:
            yield {"status": answer.status_code, **json.loads(await answer.aread())}
            return
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


async def heard(told: AsyncIterator[Event], upto: str = "") -> list[Event]:
    """The events until one of a type, or all."""
    found: list[Event] = []
    async for event in told:
        found.append(event)
        if event.get("type") == upto:
            break
    return found


async def test_a_stream_goes_on_elsewhere(start: Start, shared_url: str) -> None:
    """A client that left one gateway in the middle goes on at the other, while the first writes and after; both tell
    the same, each event once."""
    async with replica(start, shared_url) as (one, _), replica(start, shared_url) as (two, _):
        name = await begin(one, "fake/long")
        first = await heard(events(one, name), "response.output_text.delta")
        rest = await heard(events(two, name, first[-1]["sequence_number"]))
        whole = [*first, *rest]

        assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
        assert whole[-1]["type"] == "response.completed"
        assert await heard(events(one, name)) == whole
        assert await heard(events(two, name)) == whole
        assert await heard(events(two, name, 10_000)) == []
        assert (await two.get(f"/responses/{name}")).json() == whole[-1]["response"]


async def test_it_is_cancelled_elsewhere(start: Start, shared_url: str) -> None:
    """The one that writes leaves its provider. Whoever listens, wherever, hears all that was written and then that no
    more comes, but no end that it has not."""
    async with replica(start, shared_url) as (one, house), replica(start, shared_url) as (two, _):
        name = await begin(one)
        told = events(two, name)
        first = await heard(told, "response.output_text.delta")
        here = asyncio.ensure_future(heard(events(one, name)))
        there = asyncio.ensure_future(heard(told))
        cancelled = (await two.post(f"/responses/{name}/cancel")).json()
        async with asyncio.timeout(30):
            await house.upstream.replies_reach(0)
            assert await here == [*first, *await there]

        assert cancelled["status"] == "cancelled"
        assert (await one.get(f"/responses/{name}")).json() == cancelled
        assert (await two.post(f"/responses/{name}/cancel")).json() == cancelled


async def test_it_is_deleted_elsewhere(start: Start, shared_url: str) -> None:
    """The one that writes leaves its provider, and the stream of the other ends."""
    async with replica(start, shared_url) as (one, house), replica(start, shared_url) as (two, _):
        name = await begin(one)
        told = events(two, name)
        await heard(told, "response.output_text.delta")
        assert (await two.delete(f"/responses/{name}")).json()["deleted"]
        async with asyncio.timeout(30):
            await house.upstream.replies_reach(0)
            assert all(event["type"] == "response.output_text.delta" for event in await heard(told))
        assert (await heard(events(two, name)))[0]["status"] == 404


async def test_a_gateway_that_stops(start: Start, shared_url: str) -> None:
    """What it still wrote ends at the other, too: as failed."""
    async with replica(start, shared_url) as (two, _):
        async with replica(start, shared_url) as (one, _):
            name = await begin(one)
            told = events(two, name)
            first = await heard(told, "response.output_text.delta")
        rest = await heard(told)
        whole = [*first, *rest]

        assert [event["type"] for event in whole[-2:]] == ["error", "response.failed"]
        assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
        assert "stopped" in whole[-1]["response"]["error"]["message"]
        assert await heard(events(two, name)) == whole


async def test_a_gateway_that_crashed(start: Start, shared_url: str) -> None:
    """Where nobody vouches any more for what is followed at another gateway, it ends as failed. Nothing of it is
    cancelled any more."""
    async with replica(start, shared_url) as (one, _), replica(start, shared_url) as (two, house):
        name = await begin(one)
        told = events(two, name)
        first = await heard(told, "response.output_text.delta")
        async with house.app._database.writing() as connection:
            # As if it had said its last word a minute ago.
            await connection.exec_driver_sql("UPDATE responses SET lease_until = lease_until - 60")
        whole = [*first, *await heard(told)]

        assert [event["type"] for event in whole[-2:]] == ["error", "response.failed"]
        assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
        assert "gone" in whole[-1]["response"]["error"]["message"]
        assert (await two.get(f"/responses/{name}")).json() == whole[-1]["response"]
        assert (await two.post(f"/responses/{name}/cancel")).json()["status"] == "failed"


async def test_one_that_cannot_be_heard(start: Start, shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the gateway that writes does not stop in time, what it writes is cancelled all the same."""
    monkeypatch.setattr(background, "_LOOK", 3600)
    monkeypatch.setattr(background, "_PATIENCE", 0.1)
    async with replica(start, shared_url) as (one, _), replica(start, shared_url) as (two, _):
        name = await begin(one)
        await heard(events(one, name), "response.output_text.delta")
        assert (await two.post(f"/responses/{name}/cancel")).json()["status"] == "cancelled"
        assert (await one.get(f"/responses/{name}")).json()["status"] == "cancelled"


async def test_what_is_too_long_to_be_held(start: Start, shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told so at the other gateway, too, and its end can be polled."""
    monkeypatch.setattr(run, "_MOST_HELD", 3000)
    async with replica(start, shared_url) as (one, _), replica(start, shared_url) as (two, house):
        name = await begin(one, "fake/echo")
        async with asyncio.timeout(30):
            while (await two.get(f"/responses/{name}")).json()["status"] != "completed":
                pass
            while (await heard(events(two, name)))[-1].get("status") != 400:
                pass
        async with house.app._database.reading() as connection:
            assert (await connection.exec_driver_sql("SELECT count(*) FROM response_events")).scalar() == 0


async def test_a_store_of_its_own_holds_no_events(start: Start) -> None:
    """Nobody else could read them."""
    async with replica(start, ":memory:") as (one, house):
        name = await begin(one, "fake/echo")
        assert (await heard(events(one, name)))[-1]["type"] == "response.completed"
        async with house.app._database.reading() as connection:
            assert (await connection.exec_driver_sql("SELECT count(*) FROM response_events")).scalar() == 0
