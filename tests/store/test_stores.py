"""Turns are stored whole, and what is no longer kept is forgotten."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from store.conftest import MONTH, response

from trunkline.errors import GatewayError
from trunkline.store.database import Database
from trunkline.store.responses import Stored
from trunkline.store.seal import Seal
from trunkline.store.stores import Said, Stores

ITEM = {"id": "msg_1", "type": "message"}


async def names(database: Database) -> list[str]:
    """The responses and conversations that are kept."""
    async with database.reading() as connection:
        rows = await connection.execute(text("SELECT id FROM responses UNION ALL SELECT id FROM conversations"))
        return sorted(row.id for row in rows)


async def test_a_turn_is_stored_whole(stores: Stores) -> None:
    """The response and what it adds to its conversation are there together."""
    made = await stores.conversations.create("ann", {}, [])
    assert await stores.end("ann", response("a"), Said(made.id, [ITEM]), running=False)
    assert (await stores.responses.get("a", "ann")).status == "completed"
    assert await stores.conversations.items(made.id, "ann") == [ITEM]


async def test_or_not_at_all(stores: Stores) -> None:
    """Where the conversation is gone, the response is not stored either; where the response is, nothing is added."""
    made = await stores.conversations.create("ann", {}, [])
    with pytest.raises(GatewayError, match="conv_gone"):
        await stores.end("ann", response("a"), Said("conv_gone", [ITEM]), running=False)
    assert not await stores.end("ann", response("b"), Said(made.id, [ITEM]), running=True)

    with pytest.raises(GatewayError, match="'a' not found"):
        await stores.responses.get("a", "ann")
    assert await stores.conversations.items(made.id, "ann") == []


async def test_what_has_outlived_its_time_is_swept(stores: Stores, database: Database) -> None:
    """All of it, and nothing else."""
    for number in range(3):
        await stores.responses.put(response(f"old_{number}"))
    made = await stores.conversations.create("ann", {}, [ITEM])
    async with database.writing() as connection:
        await connection.execute(text("UPDATE responses SET expires_at = 1"))
        await connection.execute(text("UPDATE conversations SET expires_at = 1"))
    await stores.responses.put(response("new"))
    await stores.sweep()

    assert await names(database) == ["new"]
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM conversation_items"))).scalar() == 0
        assert (await connection.execute(text("SELECT count(*) FROM response_items"))).scalar() == 1
    with pytest.raises(GatewayError):
        await stores.conversations.get(made.id, "ann")


async def test_who_keeps_the_most_makes_room(database: Database) -> None:
    """Where there is too much, the largest keeper loses what he used the longest ago; others lose nothing."""
    stores = Stores(database, Seal(None), MONTH, 20_000)
    for number in range(20):
        big = Stored(f"big_{number:02}", "ann", None, {"status": "completed", "text": "x" * 2000}, [])
        await stores.responses.put(big)
        async with database.writing() as connection:
            await connection.execute(text(f"UPDATE responses SET expires_at = expires_at + {number}"))  # noqa: S608
    made = await stores.conversations.create("bob", {}, [{"id": "x", "content": "x" * 1000}])
    await stores.sweep()

    left = await names(database)
    assert made.id in left
    kept = [name for name in left if name.startswith("big")]
    assert 8 <= len(kept) <= 9
    # Each later one made those before it older by its number, so that the first is now the newest.
    assert kept == [f"big_{number:02}" for number in range(len(kept))]
    await stores.sweep()
    assert await names(database) == left
