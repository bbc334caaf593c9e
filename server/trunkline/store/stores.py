"""What the gateway keeps, joined: turns are stored whole, and what is no longer kept is forgotten."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.dialects.wire import Json
from trunkline.store.conversations import ConversationStore
from trunkline.store.database import Database, unbroken
from trunkline.store.events import EventStore, News
from trunkline.store.responses import ResponseStore, Stored
from trunkline.store.seal import Seal
from trunkline.store.tables import CONVERSATION_ITEMS, CONVERSATIONS, RESPONSE_ITEMS, RESPONSES

_AT_ONCE: Final = 500
"""The most rows that are forgotten in one transaction: others want to write, too."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a turn adds to a conversation: items, each with its id."""

    conversation_id: str
    items: list[dict[str, Json]]


class Stores:
    """Responses and conversations in one database.

    Each is kept for `lifetime` seconds after it was last used, and all of them together for as long as they have at
    most `most` bytes: above that, the caller who keeps the most loses what he used the longest ago.
    """

    def __init__(self, database: Database, seal: Seal, lifetime: float, most: int) -> None:
        self._database = database
        self._most = most
        self.responses = ResponseStore(database, seal, lifetime, most)
        self.events = EventStore(database, seal)
        self.conversations = ConversationStore(database, seal, lifetime, most)

    @unbroken
    async def end(
        self, owner: str, stored: Stored | None, said: Said | None, *, running: bool, news: News | None = None
    ) -> bool:
        """Store the end of a turn, all of it or nothing; tells whether it did.

        `running` tells that the response is stored already: it may then have been cancelled meanwhile, or deleted.
        `news` are its last events.
        Raises `GatewayError`: NOT_FOUND where the conversation is gone, REQUEST_TOO_LARGE.
        """
        async with self._database.writing() as connection:
            if stored is not None:
                if not running:
                    await self.responses.add(connection, stored)
                elif not await self.responses.replace(connection, stored):
                    return False
            if news is not None:
                await self.events.add(connection, news)
            if said is not None:
                await self.conversations.add(connection, said.conversation_id, owner, said.items)
        return True

    async def sweep(self) -> None:
        """Forget what has outlived its time, and what there is no room for. Raises `GatewayError` (INTERNAL)."""
        while await self._sweep_expired():
            pass
        while await self._sweep_largest():
            pass
        while await self.events.sweep():
            pass

    @unbroken
    async def _sweep_expired(self) -> bool:
        """Forget some of what has outlived its time; whether there may be more."""
        now = int(time.time())
        full = False
        for table in (RESPONSES, CONVERSATIONS):
            async with self._database.reading() as connection:
                rows = await connection.execute(select(table.c.id).where(table.c.expires_at <= now).limit(_AT_ONCE))
                old = [row.id for row in rows]
            if old:
                async with self._database.writing() as connection:
                    await _forget(connection, table, old)
            full = full or len(old) == _AT_ONCE
        return full

    @unbroken
    async def _sweep_largest(self) -> bool:
        """Where there is too much, forget some of what its largest keeper used the longest ago; whether it did."""
        async with self._database.reading() as connection:
            sizes: dict[str, int] = {}
            for table in (RESPONSES, CONVERSATIONS):
                found = await connection.execute(
                    select(table.c.owner, func.sum(table.c.size).label("size")).group_by(table.c.owner)
                )
                for row in found:
                    sizes[row.owner] = sizes.get(row.owner, 0) + row.size
            over = sum(sizes.values()) - self._most
            if over <= 0:
                return False
            owner = max(sizes, key=lambda name: sizes[name])
            rest = max((size for name, size in sizes.items() if name != owner), default=0)
            # As much as makes room, or as makes another the largest.
            over = min(over, sizes[owner] - rest + 1)
            oldest = []
            for table in (RESPONSES, CONVERSATIONS):
                rows = await connection.execute(
                    select(table.c.id, table.c.expires_at, table.c.size)
                    .where(table.c.owner == owner)
                    .order_by(table.c.expires_at)
                    .limit(_AT_ONCE)
                )
                oldest += [(row.expires_at, row.size, row.id, table) for row in rows]
        oldest.sort(key=lambda entry: entry[0])
        chosen: dict[Table, list[str]] = {RESPONSES: [], CONVERSATIONS: []}
        for _, size, name, table in oldest[:_AT_ONCE]:
            if over <= 0:
                break
            over -= size
            chosen[table].append(name)
        async with self._database.writing() as connection:
            for table, names in chosen.items():
                await _forget(connection, table, names)
        return any(chosen.values())


async def _forget(connection: AsyncConnection, table: Table, ids: list[str]) -> None:
    items, column = (
        (RESPONSE_ITEMS, RESPONSE_ITEMS.c.response_id)
        if table is RESPONSES
        else (CONVERSATION_ITEMS, CONVERSATION_ITEMS.c.conversation_id)
    )
    await connection.execute(items.delete().where(column.in_(ids)))
    await connection.execute(table.delete().where(table.c.id.in_(ids)))
