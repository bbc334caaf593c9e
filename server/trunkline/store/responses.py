"""The responses that callers had stored, each with what it answered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.dialects.wire import Json, dumps, loads
from trunkline.errors import GatewayError, invalid_request
from trunkline.store.database import Database, unbroken
from trunkline.store.seal import Seal
from trunkline.store.tables import RESPONSE_EVENTS, RESPONSE_ITEMS, RESPONSES
from trunkline.v1 import errors_pb2

RUNNING: Final = ("queued", "in_progress")
"""The states of a response that is not finished."""

_CALLED_OFF: Final = "called_off"
"""The state of a response that was cancelled, which its process has yet to hear; callers see the one before."""

UNFINISHED: Final = (*RUNNING, _CALLED_OFF)

LEASE: Final = 30.0
"""Seconds after which a response that nobody vouches for is taken to have failed: its gateway is gone."""

_LONGEST_ID: Final = 128

_AT_ONCE: Final = 500
"""The most ids in one statement."""

_MOST_TURNS: Final = 10_000
"""The longest chain of responses that is followed."""


@dataclass(slots=True)
class Stored:
    """One response: `body` as its caller sees it, and the items of `input` that it answered, without those before.

    `report` are the headers that tell who answered. `lost` tells that it runs no longer, though nobody ended it.
    """

    id: str
    owner: str
    previous_id: str | None
    body: dict[str, Json]
    input: list[Json]
    report: dict[str, str] = field(default_factory=dict)
    lost: bool = False

    @property
    def status(self) -> str:
        """Where it stands, such as `completed`."""
        status = self.body.get("status")
        return status if isinstance(status, str) else ""


class ResponseStore:
    """Responses by their ids, for `lifetime` seconds after they were last used, each of at most `most` bytes.

    Callers see their own alone. What is given a `connection` is part of its transaction.
    """

    def __init__(self, database: Database, seal: Seal, lifetime: float, most: int) -> None:
        self._database = database
        self._seal = seal
        self._lifetime = int(lifetime)
        self._most = most

    @unbroken
    async def put(self, stored: Stored) -> None:
        """Store a new response. When this returns, it survives whatever happens to the gateway."""
        async with self._database.writing() as connection:
            await self.add(connection, stored)

    @unbroken
    async def change(self, stored: Stored) -> bool:
        """As `replace`, in a transaction of its own."""
        async with self._database.writing() as connection:
            return await self.replace(connection, stored)

    async def add(self, connection: AsyncConnection, stored: Stored) -> None:
        """Store a new response. Raises `GatewayError` (REQUEST_TOO_LARGE)."""
        now = int(time.time())
        sealed = self._sealed(stored) | {"input": self._seal.close(dumps(stored.input), stored.id)}
        size = self._size(sealed)
        await self._index(connection, stored)
        await connection.execute(
            insert(RESPONSES).values(
                id=stored.id,
                owner=stored.owner,
                previous_id=stored.previous_id,
                created_at=now,
                expires_at=now + self._lifetime,
                size=size,
                **sealed,
            )
        )

    async def replace(self, connection: AsyncConnection, stored: Stored) -> bool:
        """Replace a response that still runs; tells whether it did: it may have been cancelled, or deleted. What was
        called off can only be ended.

        Raises `GatewayError` (REQUEST_TOO_LARGE).
        """
        sealed = self._sealed(stored)
        size = self._size({**sealed, "input": dumps(stored.input)})
        done = await connection.execute(
            update(RESPONSES)
            .where(
                RESPONSES.c.id == stored.id,
                RESPONSES.c.status.in_(RUNNING if stored.status in RUNNING else UNFINISHED),
            )
            .values(size=size, **sealed)
        )
        if done.rowcount:
            await self._index(connection, stored)
        return bool(done.rowcount)

    def _sealed(self, stored: Stored) -> dict[str, Any]:
        """What may change of a response, as it is stored."""
        return {
            "status": stored.status,
            "lease_until": int(time.time() + LEASE) if stored.status in RUNNING else int(time.time()),
            "body": self._seal.close(dumps(stored.body), stored.id),
            "report": self._seal.close(dumps(stored.report), stored.id),
        }

    def _size(self, sealed: dict[str, Any]) -> int:
        size = sum(len(value) for value in sealed.values() if isinstance(value, bytes))
        if size > self._most:
            raise too_large(size, self._most)
        return size

    async def _index(self, connection: AsyncConnection, stored: Stored) -> None:
        names = {name for name, _ in _named(stored.body)}
        if names:
            await connection.execute(delete(RESPONSE_ITEMS).where(RESPONSE_ITEMS.c.response_id == stored.id))
            await connection.execute(
                insert(RESPONSE_ITEMS), [{"id": name, "response_id": stored.id} for name in sorted(names)]
            )

    @unbroken
    async def items(self, ids: Sequence[str], owner: str) -> dict[str, Json]:
        """The items of answers that have `ids`, as far as there are any; of several with one id the newest."""
        wanted = sorted(set(ids))
        found: dict[str, Json] = {}
        for begin in range(0, len(wanted), _AT_ONCE):
            some = wanted[begin : begin + _AT_ONCE]
            holders = select(RESPONSE_ITEMS.c.response_id).where(RESPONSE_ITEMS.c.id.in_(some))
            async with self._database.reading() as connection:
                rows = (
                    await connection.execute(
                        select(RESPONSES.c.id, RESPONSES.c.body)
                        .where(
                            RESPONSES.c.id.in_(holders),
                            RESPONSES.c.owner == owner,
                            RESPONSES.c.expires_at > int(time.time()),
                        )
                        .order_by(RESPONSES.c.created_at)
                    )
                ).all()
            for row in rows:
                found |= {name: item for name, item in _named(self._open(row.body, row.id)) if name in some}
        return found

    @unbroken
    async def vouch(self, ids: Sequence[str]) -> set[str]:
        """Say that the responses of `ids` are still being written, and tell which are no longer wanted."""
        until = int(time.time() + LEASE)
        async with self._database.writing() as connection:
            await connection.execute(
                update(RESPONSES)
                .where(RESPONSES.c.id.in_(ids), RESPONSES.c.status.in_(RUNNING))
                .values(lease_until=until)
            )
            return await self._unwanted(connection, ids)

    @unbroken
    async def unwanted(self, ids: Sequence[str]) -> set[str]:
        """Which of `ids` need no longer be written: they were called off, or deleted."""
        async with self._database.reading() as connection:
            return await self._unwanted(connection, ids)

    async def _unwanted(self, connection: AsyncConnection, ids: Sequence[str]) -> set[str]:
        left = await connection.execute(
            select(RESPONSES.c.id).where(RESPONSES.c.id.in_(ids), RESPONSES.c.status.in_(RUNNING))
        )
        return set(ids) - {row.id for row in left}

    @unbroken
    async def call_off(self, response_id: str) -> None:
        """Mark a response that is still written as no longer wanted: its process hears of it by `unwanted`."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(RESPONSES)
                .where(RESPONSES.c.id == response_id, RESPONSES.c.status.in_(RUNNING))
                .values(status=_CALLED_OFF)
            )

    @unbroken
    async def get(self, response_id: str, owner: str) -> Stored:
        """One response. Raises `GatewayError` (NOT_FOUND), also for another caller's."""
        now = time.time()
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(RESPONSES).where(
                    RESPONSES.c.id == response_id, RESPONSES.c.owner == owner, RESPONSES.c.expires_at > int(now)
                )
            )
            row = found.first()
        if row is None:
            raise missing(response_id)
        return Stored(
            row.id,
            row.owner,
            row.previous_id,
            self._open(row.body, row.id),
            self._open(row.input, row.id),
            self._open(row.report, row.id),
            lost=row.status in UNFINISHED and row.lease_until <= now,
        )

    @unbroken
    async def conversation(self, response_id: str, owner: str) -> list[Json]:
        """The items of all turns up to the response and its own, oldest first; each lives as long again from now.

        Raises `GatewayError`: NOT_FOUND where one of them is missing, INVALID_REQUEST where the last is not finished.
        """
        now = time.time()
        mine = (RESPONSES.c.owner == owner, RESPONSES.c.expires_at > int(now))
        first = (
            select(RESPONSES.c.id, RESPONSES.c.previous_id, literal(0).label("depth"))
            .where(RESPONSES.c.id == response_id, *mine)
            .cte("chain", recursive=True)
        )
        chain = first.union_all(
            select(RESPONSES.c.id, RESPONSES.c.previous_id, first.c.depth + 1).where(
                RESPONSES.c.id == first.c.previous_id, *mine, first.c.depth < _MOST_TURNS
            )
        )
        async with self._database.reading() as connection:
            rows = (
                await connection.execute(
                    select(
                        RESPONSES.c.id,
                        RESPONSES.c.previous_id,
                        RESPONSES.c.status,
                        RESPONSES.c.lease_until,
                        RESPONSES.c.body,
                        RESPONSES.c.input,
                    )
                    .join(chain, chain.c.id == RESPONSES.c.id)
                    .order_by(chain.c.depth.desc())
                )
            ).all()
        if not rows:
            raise missing(response_id)
        if rows[0].previous_id is not None:
            raise missing(rows[0].previous_id)
        if rows[-1].status in UNFINISHED and rows[-1].lease_until > now:
            raise invalid_request("The previous response is not finished; wait for its end.", "previous_response_id")
        async with self._database.writing() as connection:
            await connection.execute(
                update(RESPONSES)
                .where(RESPONSES.c.id.in_([row.id for row in rows]))
                .values(expires_at=int(now) + self._lifetime)
            )
        items: list[Json] = []
        for row in rows:
            items += self._open(row.input, row.id)
            output = self._open(row.body, row.id).get("output")
            items += output if isinstance(output, list) else []
        return items

    @unbroken
    async def delete(self, response_id: str, owner: str) -> None:
        """Forget a response. Raises `GatewayError` (NOT_FOUND)."""
        async with self._database.writing() as connection:
            done = await connection.execute(
                delete(RESPONSES).where(RESPONSES.c.id == response_id, RESPONSES.c.owner == owner)
            )
            if done.rowcount:
                for table in (RESPONSE_ITEMS, RESPONSE_EVENTS):
                    await connection.execute(delete(table).where(table.c.response_id == response_id))
        if not done.rowcount:
            raise missing(response_id)

    def _open(self, sealed: bytes, place: str) -> Any:
        return loads(self._seal.open(sealed, place))


def too_large(size: int, most: int) -> GatewayError:
    """What is to be stored is more than may be."""
    return GatewayError(
        errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE,
        f"What is to be stored has {size} bytes, more than the {most} that `responses.max_stored_bytes` allows. Send "
        "`store: false`, and the conversation with each request.",
        param="store",
    )


def missing(response_id: str) -> GatewayError:
    """There is no such response, or it is another caller's."""
    return GatewayError(
        errors_pb2.ERROR_REASON_NOT_FOUND, f"Response with id '{response_id[:64]}' not found.", param="response_id"
    )


def _named(body: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    """The items of an answer that have an id."""
    output = body.get("output")
    for item in output if isinstance(output, list) else ():
        name = item.get("id") if isinstance(item, dict) else None
        if isinstance(name, str) and 0 < len(name) <= _LONGEST_ID:
            yield name, item
