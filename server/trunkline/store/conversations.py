"""The conversations that callers keep here, item by item."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.dialects.wire import Json, dumps, loads
from trunkline.errors import GatewayError
from trunkline.store.database import Database, unbroken
from trunkline.store.responses import too_large
from trunkline.store.seal import Seal
from trunkline.store.tables import CONVERSATION_ITEMS, CONVERSATIONS
from trunkline.v1 import errors_pb2

_LONGEST_ID: Final = 128


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, without its items. `created_at` is in seconds since the epoch."""

    id: str
    created_at: int
    metadata: dict[str, Json]


class ConversationStore:
    """Conversations by their ids, for `lifetime` seconds after their last turn, each of at most `most` bytes.

    Callers see their own alone. What is given a `connection` is part of its transaction.
    """

    def __init__(self, database: Database, seal: Seal, lifetime: float, most: int) -> None:
        self._database = database
        self._seal = seal
        self._lifetime = int(lifetime)
        self._most = most

    @unbroken
    async def create(self, owner: str, metadata: dict[str, Json], items: Sequence[dict[str, Json]]) -> Conversation:
        """A new conversation that begins with `items`, each with its id. Raises `GatewayError` (REQUEST_TOO_LARGE)."""
        now = int(time.time())
        made = Conversation(f"conv_{secrets.token_hex(24)}", now, metadata)
        sealed = self._seal.close(dumps(metadata), made.id)
        async with self._database.writing() as connection:
            await connection.execute(
                insert(CONVERSATIONS).values(
                    id=made.id,
                    owner=owner,
                    created_at=now,
                    expires_at=now + self._lifetime,
                    size=len(sealed),
                    metadata=sealed,
                )
            )
            await self.add(connection, made.id, owner, items)
        return made

    @unbroken
    async def get(self, conversation_id: str, owner: str) -> Conversation:
        """One conversation. Raises `GatewayError` (NOT_FOUND), also for another caller's."""
        async with self._database.reading() as connection:
            return await self._get(connection, conversation_id, owner)

    @unbroken
    async def change(self, conversation_id: str, owner: str, metadata: dict[str, Json]) -> Conversation:
        """Replace the metadata. Raises `GatewayError` (NOT_FOUND)."""
        async with self._database.writing() as connection:
            found = await self._get(connection, conversation_id, owner)
            await connection.execute(
                update(CONVERSATIONS)
                .where(CONVERSATIONS.c.id == conversation_id)
                .values(metadata=self._seal.close(dumps(metadata), conversation_id))
            )
        return Conversation(found.id, found.created_at, metadata)

    @unbroken
    async def delete(self, conversation_id: str, owner: str) -> None:
        """Forget a conversation and its items. Raises `GatewayError` (NOT_FOUND)."""
        async with self._database.writing() as connection:
            await self._get(connection, conversation_id, owner)
            await connection.execute(
                delete(CONVERSATION_ITEMS).where(CONVERSATION_ITEMS.c.conversation_id == conversation_id)
            )
            await connection.execute(delete(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id))

    @unbroken
    async def items(self, conversation_id: str, owner: str) -> list[Json]:
        """Every item, oldest first. Raises `GatewayError` (NOT_FOUND)."""
        async with self._database.reading() as connection:
            await self._get(connection, conversation_id, owner)
            rows = (
                await connection.execute(
                    select(CONVERSATION_ITEMS.c.body)
                    .where(CONVERSATION_ITEMS.c.conversation_id == conversation_id)
                    .order_by(CONVERSATION_ITEMS.c.position)
                )
            ).all()
        return [loads(self._seal.open(row.body, conversation_id)) for row in rows]

    @unbroken
    async def item(self, conversation_id: str, owner: str, item_id: str) -> Json:
        """One item. Raises `GatewayError` (NOT_FOUND)."""
        async with self._database.reading() as connection:
            await self._get(connection, conversation_id, owner)
            found = await connection.execute(
                select(CONVERSATION_ITEMS.c.body).where(
                    CONVERSATION_ITEMS.c.conversation_id == conversation_id,
                    CONVERSATION_ITEMS.c.id == item_id[:_LONGEST_ID],
                )
            )
            row = found.first()
        if row is None:
            raise missing(f"Item with id '{item_id[:_LONGEST_ID]}'")
        return loads(self._seal.open(row.body, conversation_id))

    @unbroken
    async def append(self, conversation_id: str, owner: str, items: Sequence[dict[str, Json]]) -> None:
        """As `add`, in a transaction of its own."""
        async with self._database.writing() as connection:
            await self.add(connection, conversation_id, owner, items)

    async def add(
        self, connection: AsyncConnection, conversation_id: str, owner: str, items: Sequence[dict[str, Json]]
    ) -> None:
        """Add items, each with its id, at the end; the conversation lives as long again from now.

        Raises `GatewayError`: NOT_FOUND, REQUEST_TOO_LARGE.
        """
        sealed = [self._seal.close(dumps(item), conversation_id) for item in items]
        found = await connection.execute(
            update(CONVERSATIONS)
            .where(
                CONVERSATIONS.c.id == conversation_id,
                CONVERSATIONS.c.owner == owner,
                CONVERSATIONS.c.expires_at > int(time.time()),
            )
            .values(expires_at=int(time.time()) + self._lifetime, size=CONVERSATIONS.c.size + sum(map(len, sealed)))
            .returning(CONVERSATIONS.c.size)
        )
        size = found.scalar()
        if size is None:
            raise _missing(conversation_id)
        if size > self._most:
            raise too_large(size, self._most)
        last = await connection.execute(
            select(func.max(CONVERSATION_ITEMS.c.position)).where(
                CONVERSATION_ITEMS.c.conversation_id == conversation_id
            )
        )
        position = last.scalar()
        rows = [
            {
                "conversation_id": conversation_id,
                "position": index,
                "id": str(item.get("id", ""))[:_LONGEST_ID],
                "body": body,
            }
            for index, (item, body) in enumerate(
                zip(items, sealed, strict=True), 0 if position is None else position + 1
            )
        ]
        if rows:
            await connection.execute(insert(CONVERSATION_ITEMS), rows)

    @unbroken
    async def delete_item(self, conversation_id: str, owner: str, item_id: str) -> None:
        """Forget one item. Raises `GatewayError` (NOT_FOUND)."""
        where = (
            CONVERSATION_ITEMS.c.conversation_id == conversation_id,
            CONVERSATION_ITEMS.c.id == item_id[:_LONGEST_ID],
        )
        async with self._database.writing() as connection:
            await self._get(connection, conversation_id, owner)
            size = (
                await connection.execute(select(func.sum(func.length(CONVERSATION_ITEMS.c.body))).where(*where))
            ).scalar()
            if size is None:
                raise missing(f"Item with id '{item_id[:_LONGEST_ID]}'")
            await connection.execute(delete(CONVERSATION_ITEMS).where(*where))
            await connection.execute(
                update(CONVERSATIONS)
                .where(CONVERSATIONS.c.id == conversation_id)
                .values(size=CONVERSATIONS.c.size - size)
            )

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
            raise _missing(conversation_id)
        return Conversation(row.id, row.created_at, loads(self._seal.open(row.metadata, row.id)))


def _missing(conversation_id: str) -> GatewayError:
    return missing(f"Conversation with id '{conversation_id[:64]}'")


def missing(what: str) -> GatewayError:
    """There is no such thing, or it is another caller's."""
    return GatewayError(errors_pb2.ERROR_REASON_NOT_FOUND, f"{what} not found.")
