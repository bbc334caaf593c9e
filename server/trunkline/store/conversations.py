"""The conversations that callers keep here, item by item."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.dialects.wire import Json, dumps, loads
from trunkline.errors import GatewayError
from trunkline.store.database import Database
from trunkline.store.seal import Seal
from trunkline.store.tables import CONVERSATION_ITEMS, CONVERSATIONS
from trunkline.v1 import errors_pb2


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, without its items. `created_at` is in seconds since the epoch."""

    id: str
    created_at: int
    metadata: dict[str, Json]


class ConversationStore:
    """Conversations by their ids, for `days` after their last turn. Callers see their own alone."""

    def __init__(self, database: Database, seal: Seal, days: int) -> None:
        self._engine = database.engine
        self._seal = seal
        self._seconds = days * 86_400

    async def create(self, owner: str, metadata: dict[str, Json], items: Sequence[dict[str, Json]]) -> Conversation:
        """A new conversation that begins with `items`, each with its id."""
        now = int(time.time())
        made = Conversation(f"conv_{secrets.token_hex(24)}", now, metadata)
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(CONVERSATIONS).values(
                    id=made.id,
                    owner=owner,
                    created_at=now,
                    expires_at=now + self._seconds,
                    metadata=self._seal.close(dumps(metadata), made.id),
                )
            )
            await self._append(connection, made.id, items)
        return made

    async def get(self, conversation_id: str, owner: str) -> Conversation:
        """One conversation. Raises `GatewayError` (NOT_FOUND), also for another caller's."""
        async with self._engine.connect() as connection:
            return await self._get(connection, conversation_id, owner)

    async def change(self, conversation_id: str, owner: str, metadata: dict[str, Json]) -> Conversation:
        """Replace the metadata. Raises `GatewayError` (NOT_FOUND)."""
        async with self._engine.begin() as connection:
            found = await self._get(connection, conversation_id, owner)
            await connection.execute(
                update(CONVERSATIONS)
                .where(CONVERSATIONS.c.id == conversation_id)
                .values(metadata=self._seal.close(dumps(metadata), conversation_id))
            )
        return Conversation(found.id, found.created_at, metadata)

    async def delete(self, conversation_id: str, owner: str) -> None:
        """Forget a conversation and its items. Raises `GatewayError` (NOT_FOUND)."""
        async with self._engine.begin() as connection:
            await self._get(connection, conversation_id, owner)
            await self._forget(connection, [conversation_id])

    async def items(self, conversation_id: str, owner: str) -> list[Json]:
        """Every item, oldest first. Raises `GatewayError` (NOT_FOUND)."""
        async with self._engine.connect() as connection:
            await self._get(connection, conversation_id, owner)
            rows = await connection.execute(
                select(CONVERSATION_ITEMS.c.body)
                .where(CONVERSATION_ITEMS.c.conversation_id == conversation_id)
                .order_by(CONVERSATION_ITEMS.c.position)
            )
            return [loads(self._seal.open(row.body, conversation_id)) for row in rows]

    async def append(self, conversation_id: str, owner: str, items: Sequence[dict[str, Json]]) -> None:
        """Add items, each with its id, at the end; the conversation lives as long again from now.

        Raises `GatewayError` (NOT_FOUND).
        """
        async with self._engine.begin() as connection:
            await connection.execute(
                update(CONVERSATIONS)
                .where(CONVERSATIONS.c.id == conversation_id)
                .values(expires_at=int(time.time()) + self._seconds)
            )
            await self._get(connection, conversation_id, owner)
            await self._append(connection, conversation_id, items)

    async def delete_item(self, conversation_id: str, owner: str, item_id: str) -> None:
        """Forget one item. Raises `GatewayError` (NOT_FOUND)."""
        async with self._engine.begin() as connection:
            await self._get(connection, conversation_id, owner)
            done = await connection.execute(
                delete(CONVERSATION_ITEMS).where(
                    CONVERSATION_ITEMS.c.conversation_id == conversation_id, CONVERSATION_ITEMS.c.id == item_id
                )
            )
        if not done.rowcount:
            raise missing(f"Item with id '{item_id[:128]}'")

    async def sweep(self) -> None:
        """Forget what has outlived its time."""
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.expires_at <= int(time.time()))
            )
            await self._forget(connection, [row.id for row in rows])

    async def _get(self, connection: AsyncConnection, conversation_id: str, owner: str) -> Conversation:
        found = await connection.execute(
            select(CONVERSATIONS).where(
                CONVERSATIONS.c.id == conversation_id,
                CONVERSATIONS.c.owner == owner,
                CONVERSATIONS.c.expires_at > int(time.time()),
            )
        )
        row = found.first()
        if row is None:
            raise missing(f"Conversation with id '{conversation_id[:64]}'")
        return Conversation(row.id, row.created_at, loads(self._seal.open(row.metadata, row.id)))

    async def _append(
        self, connection: AsyncConnection, conversation_id: str, items: Sequence[dict[str, Json]]
    ) -> None:
        last = await connection.execute(
            select(func.max(CONVERSATION_ITEMS.c.position)).where(
                CONVERSATION_ITEMS.c.conversation_id == conversation_id
            )
        )
        position = last.scalar()
        begin = 0 if position is None else position + 1
        for index, item in enumerate(items, begin):
            await connection.execute(
                insert(CONVERSATION_ITEMS).values(
                    conversation_id=conversation_id,
                    position=index,
                    id=str(item.get("id", ""))[:128],
                    body=self._seal.close(dumps(item), conversation_id),
                )
            )

    async def _forget(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        for conversation_id in ids:
            await connection.execute(
                delete(CONVERSATION_ITEMS).where(CONVERSATION_ITEMS.c.conversation_id == conversation_id)
            )
            await connection.execute(delete(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id))


def missing(what: str) -> GatewayError:
    """There is no such thing, or it is another caller's."""
    return GatewayError(errors_pb2.ERROR_REASON_NOT_FOUND, f"{what} not found.")
