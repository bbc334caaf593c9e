"""Responses by their ids."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text
from store.conftest import MONTH, PLENTY, response

from trunkline.errors import GatewayError
from trunkline.store.database import Database
from trunkline.store.responses import ResponseStore
from trunkline.store.seal import Seal
from trunkline.store.stores import Stores


async def age(database: Database, name: str, column: str = "expires_at") -> None:
    """Make the time of a response be over."""
    async with database.writing() as connection:
        await connection.execute(text(f"UPDATE responses SET {column} = 1 WHERE id = '{name}'"))  # noqa: S608


async def refused(awaitable: object) -> str:
    """The name of the error that comes of it."""
    with pytest.raises(GatewayError) as error:
        await awaitable  # type: ignore[misc]
    return error.value.name


async def test_what_is_put_is_got(stores: Stores) -> None:
    """A response comes back whole, with the headers that told of it."""
    stored = replace(response("a"), report={"x-trunkline-dropped": "logit_bias"})
    await stores.responses.put(stored)
    assert await stores.responses.get("a", "ann") == stored


async def test_callers_see_their_own_alone(stores: Stores) -> None:
    """Another's response is as if it were not there: to get, to go on from, to delete, to name an item of."""
    store = stores.responses
    await store.put(response("a"))

    assert await refused(store.get("a", "bob")) == "NOT_FOUND"
    assert await refused(store.conversation("a", "bob")) == "NOT_FOUND"
    assert await refused(store.delete("a", "bob")) == "NOT_FOUND"
    assert await store.items(["msg_a"], "bob") == {}
    assert (await store.get("a", "ann")).id == "a"


async def test_the_same_item_of_two_callers(stores: Stores) -> None:
    """Servers give the same id to items of different answers: each caller gets his own, and of two the newest."""
    store = stores.responses
    item = {"id": "msg_0", "type": "message"}
    await store.put(response("a", output=[{**item, "by": "a"}]))
    await store.put(response("b", owner="bob", output=[{**item, "by": "b"}]))

    assert await store.items(["msg_0"], "ann") == {"msg_0": {**item, "by": "a"}}
    assert await store.items(["msg_0"], "bob") == {"msg_0": {**item, "by": "b"}}


async def test_many_items_are_found_at_once(stores: Stores) -> None:
    """However many ids are asked for."""
    names = [f"msg_{number}" for number in range(1200)]
    await stores.responses.put(response("a", output=[{"id": name} for name in names]))
    found = await stores.responses.items([*names, *(f"none_{number}" for number in range(40_000))], "ann")
    assert sorted(found) == sorted(names)


async def test_the_conversation_up_to_a_response(stores: Stores) -> None:
    """All turns come in their order, each with what it was asked and what it answered."""
    previous = None
    for name in ("a", "b", "c"):
        await stores.responses.put(response(name, previous=previous))
        previous = name
    items = await stores.responses.conversation("c", "ann")

    assert [item["id"] for item in items] == ["in_a", "msg_a", "in_b", "msg_b", "in_c", "msg_c"]


async def test_a_turn_in_the_middle_is_gone(stores: Stores) -> None:
    """A conversation that lost a turn is not gone on from as if it were whole."""
    for name, previous in (("a", None), ("b", "a"), ("c", "b")):
        await stores.responses.put(response(name, previous=previous))
    await stores.responses.delete("a", "ann")

    with pytest.raises(GatewayError, match="'a'"):
        await stores.responses.conversation("c", "ann")


async def test_going_on_keeps_a_conversation_alive(stores: Stores, database: Database) -> None:
    """What is gone on from lives as long again."""
    await stores.responses.put(response("a"))
    async with database.writing() as connection:
        await connection.execute(text("UPDATE responses SET expires_at = expires_at - 1000"))
    await stores.responses.conversation("a", "ann")
    async with database.reading() as connection:
        row = (await connection.execute(text("SELECT expires_at - created_at FROM responses"))).scalar()
    assert row >= MONTH - 1


async def test_what_has_outlived_its_time(stores: Stores, database: Database) -> None:
    """It is not found any more, before it is swept away."""
    await stores.responses.put(response("a"))
    await age(database, "a")

    assert await refused(stores.responses.get("a", "ann")) == "NOT_FOUND"
    assert await refused(stores.responses.conversation("a", "ann")) == "NOT_FOUND"
    assert await stores.responses.items(["msg_a"], "ann") == {}


async def test_only_what_runs_is_replaced(stores: Stores) -> None:
    """The end of a response is written once: who was cancelled, or deleted, does not come back."""
    store = stores.responses
    await store.put(response("a", status="queued", output=[]))
    assert await store.change(response("a", status="in_progress", output=[]))
    assert await store.change(response("a", status="cancelled"))
    assert not await store.change(response("a", status="completed"))
    assert (await store.get("a", "ann")).status == "cancelled"
    assert list(await store.items(["msg_a"], "ann")) == ["msg_a"]

    await store.put(response("b", status="queued"))
    await store.delete("b", "ann")
    assert not await store.change(response("b", status="completed"))


async def test_a_response_whose_gateway_is_gone(stores: Stores, database: Database) -> None:
    """One that nobody vouches for any more is lost; one that somebody vouches for is not."""
    store = stores.responses
    await store.put(response("a", status="in_progress"))
    assert not (await store.get("a", "ann")).lost
    await age(database, "a", "lease_until")
    assert (await store.get("a", "ann")).lost
    assert await store.vouch(["a", "gone"]) == {"gone"}
    assert not (await store.get("a", "ann")).lost


async def test_one_that_runs_is_not_gone_on_from(stores: Stores, database: Database) -> None:
    """Nobody knows its end yet. One that is lost is gone on from as far as it came."""
    await stores.responses.put(response("a", status="in_progress", output=[]))
    assert await refused(stores.responses.conversation("a", "ann")) == "INVALID_REQUEST"
    await age(database, "a", "lease_until")
    assert [item["id"] for item in await stores.responses.conversation("a", "ann")] == ["in_a"]


async def test_what_is_too_large(database: Database) -> None:
    """The error names the setting, and what to do instead."""
    store = ResponseStore(database, Seal(None), MONTH, 1000)
    with pytest.raises(GatewayError, match=r"max_stored_bytes.*store: false"):
        await store.put(response("a", text="x" * 1000))
    assert await refused(store.get("a", "ann")) == "NOT_FOUND"


async def test_nothing_can_be_read_in_the_file(stores: Stores, database: Database) -> None:
    """With a key, neither what was asked nor what was answered is in the database."""
    stored = response("a", text="a whispered answer")
    stored.input = [{"id": "x", "content": "a whispered question"}]
    await stores.responses.put(stored)
    async with database.reading() as connection:
        rows = (await connection.execute(text("SELECT body, input, report FROM responses"))).all()
    assert b"whispered" not in b"".join(rows[0])

    open_store = Stores(database, Seal(None), MONTH, PLENTY)
    assert await refused(open_store.responses.get("a", "ann")) == "INTERNAL"
