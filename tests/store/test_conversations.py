"""Conversations, item by item."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from store.conftest import MONTH

from trunkline.errors import GatewayError
from trunkline.store.conversations import ConversationStore
from trunkline.store.database import Database
from trunkline.store.seal import Seal
from trunkline.store.stores import Stores

ONE, TWO, THREE = ({"id": f"msg_{number}", "type": "message", "content": f"word {number}"} for number in range(3))


async def test_items_keep_their_order(stores: Stores) -> None:
    """Those it begins with, those that are added, less those that are deleted."""
    store = stores.conversations
    made = await store.create("ann", {"topic": "x"}, [ONE])
    await store.append(made.id, "ann", [TWO, THREE])
    assert await store.items(made.id, "ann") == [ONE, TWO, THREE]
    assert await store.item(made.id, "ann", "msg_1") == TWO
    await store.delete_item(made.id, "ann", "msg_1")
    await store.append(made.id, "ann", [TWO])
    assert await store.items(made.id, "ann") == [ONE, THREE, TWO]


async def test_metadata_are_replaced(stores: Stores) -> None:
    """All of them at once."""
    made = await stores.conversations.create("ann", {"a": "1"}, [])
    assert made.metadata == {"a": "1"}
    assert (await stores.conversations.change(made.id, "ann", {"b": "2"})).metadata == {"b": "2"}
    assert (await stores.conversations.get(made.id, "ann")).metadata == {"b": "2"}


async def test_callers_see_their_own_alone(stores: Stores) -> None:
    """Another's conversation is as if it were not there, whatever is asked of it."""
    store = stores.conversations
    made = await store.create("ann", {}, [ONE])
    for tried in (
        store.get(made.id, "bob"),
        store.items(made.id, "bob"),
        store.item(made.id, "bob", "msg_0"),
        store.change(made.id, "bob", {}),
        store.append(made.id, "bob", [TWO]),
        store.delete_item(made.id, "bob", "msg_0"),
        store.delete(made.id, "bob"),
    ):
        with pytest.raises(GatewayError) as refused:
            await tried
        assert refused.value.name == "NOT_FOUND"
    assert await store.items(made.id, "ann") == [ONE]


async def test_a_deleted_conversation_leaves_nothing(stores: Stores, database: Database) -> None:
    """Its items go with it."""
    made = await stores.conversations.create("ann", {}, [ONE, TWO])
    await stores.conversations.delete(made.id, "ann")
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM conversation_items"))).scalar() == 0


async def test_its_size_is_known(stores: Stores, database: Database) -> None:
    """The size is that of what is stored, whatever was added and deleted."""
    made = await stores.conversations.create("ann", {}, [ONE])
    await stores.conversations.append(made.id, "ann", [TWO, THREE])
    await stores.conversations.delete_item(made.id, "ann", "msg_0")
    async with database.reading() as connection:
        told = (await connection.execute(text("SELECT size - length(metadata) FROM conversations"))).scalar()
        held = (await connection.execute(text("SELECT sum(length(body)) FROM conversation_items"))).scalar()
    assert told == held


async def test_what_is_too_large(database: Database) -> None:
    """A conversation that grew too large takes nothing more, and keeps what it has."""
    store = ConversationStore(database, Seal(None), MONTH, 1000)
    made = await store.create("ann", {}, [ONE])
    with pytest.raises(GatewayError, match="max_stored_bytes"):
        await store.append(made.id, "ann", [{"id": "x", "content": "x" * 1000}])
    assert await store.items(made.id, "ann") == [ONE]
