"""The events of the responses that are written in the background, for the processes that do not write them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.store.database import Database, unbroken
from trunkline.store.responses import UNFINISHED, missing
from trunkline.store.seal import Seal
from trunkline.store.tables import RESPONSE_EVENTS, RESPONSES

HELD_FOR: Final = 300
"""Seconds for which the events of a response are held after its end."""

_ROW: Final = 128 * 1024
"""Bytes of events after which another row begins."""

_ROWS: Final = 16
"""The most rows that are read at once."""

_AT_ONCE: Final = 500

_decoder: Final = msgspec.msgpack.Decoder(list[bytes])


@dataclass(frozen=True, slots=True)
class News:
    """Events of one response; `first` is the number of the first of them."""

    response_id: str
    first: int
    events: list[bytes]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a response has come.

    `events` are those from the place that was asked for, as far as they were read at once; `gap` tells that the first
    of them is not held. `told` is how many there are in all, 0 where none are held. `over` tells that no more will
    come, `lost` that its process is gone.
    """

    told: int
    over: bool
    lost: bool
    gap: bool = False
    events: list[bytes] = field(default_factory=list)


class EventStore:
    """Events by their response and number. What is given a `connection` is part of its transaction."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        self.shared = database.shared

    @unbroken
    async def put(self, news: Sequence[News]) -> None:
        """Store what came of some responses. Raises `GatewayError` (INTERNAL) where the database fails."""
        async with self._database.writing() as connection:
            for one in news:
                await self.add(connection, one)

    async def add(self, connection: AsyncConnection, news: News) -> None:
        """Store what came of a response. What was stored already may be stored again, and more behind it."""
        rows = [
            {
                "response_id": news.response_id,
                "first": first,
                "count": len(events),
                "body": self._seal.close(msgspec.msgpack.encode(events), _place(news.response_id, first)),
            }
            for first, events in _rows(news)
        ]
        if not rows:
            return
        statement = self._database.insert(RESPONSE_EVENTS)
        new = statement.excluded
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["response_id", "first"],
                set_={"count": new["count"], "body": new.body},
                # The end of a response may be faster than what came before it.
                where=RESPONSE_EVENTS.c["count"] < new["count"],
            ),
            rows,
        )

    @unbroken
    async def drop(self, ids: Iterable[str]) -> None:
        """Hold the events of some responses no longer."""
        async with self._database.writing() as connection:
            await connection.execute(delete(RESPONSE_EVENTS).where(RESPONSE_EVENTS.c.response_id.in_(list(ids))))

    @unbroken
    async def read(self, response_id: str, owner: str, place: int) -> Progress:
        """The events from number `place`. Raises `GatewayError` (NOT_FOUND), also for another caller's response."""
        now = time.time()
        mine = RESPONSE_EVENTS.c.response_id == response_id
        behind = RESPONSE_EVENTS.c.first + RESPONSE_EVENTS.c["count"]
        async with self._database.reading() as connection:
            # How it stands comes first: where it is over, its last events are there already.
            found = await connection.execute(
                select(RESPONSES.c.status, RESPONSES.c.lease_until).where(
                    RESPONSES.c.id == response_id, RESPONSES.c.owner == owner, RESPONSES.c.expires_at > int(now)
                )
            )
            response = found.first()
            if response is None:
                raise missing(response_id)
            rows = (
                await connection.execute(
                    select(RESPONSE_EVENTS.c.first, RESPONSE_EVENTS.c.body)
                    .where(mine, behind > place)
                    .order_by(RESPONSE_EVENTS.c.first)
                    .limit(_ROWS)
                )
            ).all()
            told = (await connection.execute(select(func.max(behind)).where(mine))).scalar() or 0
        events: list[bytes] = []
        for row in rows:
            skipped = place + len(events) - row.first
            if skipped < 0:
                return Progress(told, over=False, lost=False, gap=not events, events=events)
            events += _decoder.decode(self._seal.open(row.body, _place(response_id, row.first)))[skipped:]
        unfinished = response.status in UNFINISHED
        return Progress(told, over=not unfinished, lost=unfinished and response.lease_until <= now, events=events)

    @unbroken
    async def sweep(self) -> bool:
        """Forget the events of some responses that ended long enough ago, or are gone; whether there may be more."""
        over = (
            select(RESPONSE_EVENTS.c.response_id)
            .distinct()
            .outerjoin(RESPONSES, RESPONSES.c.id == RESPONSE_EVENTS.c.response_id)
            .where(or_(RESPONSES.c.id.is_(None), RESPONSES.c.lease_until <= int(time.time()) - HELD_FOR))
            .limit(_AT_ONCE)
        )
        async with self._database.reading() as connection:
            ids = [row.response_id for row in await connection.execute(over)]
        if ids:
            await self.drop(ids)
        return len(ids) == _AT_ONCE


def _rows(news: News) -> Iterable[tuple[int, list[bytes]]]:
    """`news` in rows of a bounded size, each with the number of its first event."""
    first, size, events = news.first, 0, list[bytes]()
    for event in news.events:
        events.append(event)
        size += len(event)
        if size >= _ROW:
            yield first, events
            first, size, events = first + len(events), 0, []
    if events:
        yield first, events


def _place(response_id: str, first: int) -> str:
    return f"{response_id}/{first}"
