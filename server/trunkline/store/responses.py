"""The responses that callers had stored, each with what it answered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.dialects.wire import Json, dumps, loads
from trunkline.errors import GatewayError
from trunkline.store.database import Database
from trunkline.store.seal import Seal
from trunkline.store.tables import RESPONSE_ITEMS, RESPONSES
from trunkline.v1 import errors_pb2

RUNNING: Final = ("queued", "in_progress")
"""The states of a response that is not finished."""

LEASE: Final = 30.0
"""Seconds after which a response that nobody vouches for is taken to have failed: its gateway is gone."""

_LONGEST_ID: Final = 128

_MOST_TURNS: Final = 10_000
"""The longest chain of responses that is followed."""


@dataclass(slots=True)
class Stored:
    """One response: `body` as its caller sees it, and the items of `input` that it answered, without those before."""

    id: str
    owner: str
    previous_id: str | None
    body: dict[str, Json]
    input: list[Json]
    lost: bool = False

    @property
    def status(self) -> str:
        """Where it stands, such as `completed`."""
        status = self.body.get("status")
        return status if isinstance(status, str) else ""


class ResponseStore:
    """Responses by their ids, for `days`. Callers see their own alone."""

    def __init__(self, database: Database, seal: Seal, days: int) -> None:
        self._engine = database.engine
        self._seal = seal
        self._seconds = days * 86_400

    async def put(self, stored: Stored) -> None:
        """Store a new response. When this returns, it survives whatever happens to the gateway."""
        now = int(time.time())
        async with self._engine.begin() as connection:
            await self._index(connection, stored)
            await connection.execute(
                insert(RESPONSES).values(
                    id=stored.id,
                    owner=stored.owner,
                    previous_id=stored.previous_id,
                    status=stored.status,
                    created_at=now,
                    expires_at=now + self._seconds,
                    lease_until=int(now + LEASE) if stored.status in RUNNING else 0,
                    body=self._seal.close(dumps(stored.body), stored.id),
                    input=self._seal.close(dumps(stored.input), stored.id),
                )
            )

    async def change(self, stored: Stored) -> bool:
        """Replace a response that still runs; tells whether it did: it may have been cancelled, or deleted."""
        running = stored.status in RUNNING
        async with self._engine.begin() as connection:
            done = await connection.execute(
                update(RESPONSES)
                .where(RESPONSES.c.id == stored.id, RESPONSES.c.status.in_(RUNNING))
                .values(
                    status=stored.status,
                    lease_until=int(time.time() + LEASE) if running else 0,
                    body=self._seal.close(dumps(stored.body), stored.id),
                )
            )
            if done.rowcount:
                await self._index(connection, stored)
        return bool(done.rowcount)

    async def items(self, ids: Sequence[str], owner: str) -> dict[str, Json]:
        """The items of answers that have `ids`, as far as there are any."""
        now = int(time.time())
        async with self._engine.connect() as connection:
            rows = (
                await connection.execute(
                    select(RESPONSES.c.id, RESPONSES.c.body)
                    .join(RESPONSE_ITEMS, RESPONSE_ITEMS.c.response_id == RESPONSES.c.id)
                    .where(RESPONSE_ITEMS.c.id.in_(ids), RESPONSES.c.owner == owner, RESPONSES.c.expires_at > now)
                    .distinct()
                )
            ).all()
        wanted = set(ids)
        return {
            name: item
            for row in rows
            for name, item in _named(loads(self._seal.open(row.body, row.id)))
            if name in wanted
        }

    async def _index(self, connection: AsyncConnection, stored: Stored) -> None:
        rows = [{"id": name, "response_id": stored.id} for name, _ in _named(stored.body)]
        if rows:
            await connection.execute(insert(RESPONSE_ITEMS).prefix_with("OR REPLACE", dialect="sqlite"), rows)

    async def vouch(self, ids: Sequence[str]) -> set[str]:
        """Say that the responses of `ids` are still being written, and tell which are no longer wanted."""
        until = int(time.time() + LEASE)
        async with self._engine.begin() as connection:
            await connection.execute(
                update(RESPONSES)
                .where(RESPONSES.c.id.in_(ids), RESPONSES.c.status.in_(RUNNING))
                .values(lease_until=until)
            )
            left = await connection.execute(
                select(RESPONSES.c.id).where(RESPONSES.c.id.in_(ids), RESPONSES.c.status.in_(RUNNING))
            )
            return set(ids) - {row.id for row in left}

    async def get(self, response_id: str, owner: str) -> Stored:
        """One response. Raises `GatewayError` (NOT_FOUND), also for another caller's."""
        async with self._engine.connect() as connection:
            found = await connection.execute(
                select(RESPONSES).where(
                    RESPONSES.c.id == response_id,
                    RESPONSES.c.owner == owner,
                    RESPONSES.c.expires_at > int(time.time()),
                )
            )
            row = found.first()
        if row is None:
            raise _missing(response_id)
        lost = row.status in RUNNING and row.lease_until <= time.time()
        return Stored(
            row.id,
            row.owner,
            row.previous_id,
            loads(self._seal.open(row.body, row.id)),
            loads(self._seal.open(row.input, row.id)),
            lost,
        )

    async def conversation(self, response_id: str, owner: str) -> list[Json]:
        """The items of all turns up to the response and its own, oldest first; each lives as long again from now.

        Raises `GatewayError` (NOT_FOUND) where one of them is missing.
        """
        now = int(time.time())
        first = (
            select(RESPONSES.c.id, RESPONSES.c.previous_id, literal(0).label("depth"))
            .where(RESPONSES.c.id == response_id, RESPONSES.c.owner == owner, RESPONSES.c.expires_at > now)
            .cte("chain", recursive=True)
        )
        chain = first.union_all(
            select(RESPONSES.c.id, RESPONSES.c.previous_id, first.c.depth + 1).where(
                RESPONSES.c.id == first.c.previous_id,
                RESPONSES.c.owner == owner,
                RESPONSES.c.expires_at > now,
                first.c.depth < _MOST_TURNS,
            )
        )
        async with self._engine.begin() as connection:
            rows = (
                await connection.execute(
                    select(RESPONSES.c.id, RESPONSES.c.previous_id, RESPONSES.c.body, RESPONSES.c.input)
                    .join(chain, chain.c.id == RESPONSES.c.id)
                    .order_by(chain.c.depth.desc())
                )
            ).all()
            if not rows:
                raise _missing(response_id)
            if rows[0].previous_id is not None:
                raise _missing(rows[0].previous_id)
            await connection.execute(
                update(RESPONSES).where(RESPONSES.c.id.in_(select(chain.c.id))).values(expires_at=now + self._seconds)
            )
        items: list[Json] = []
        for row in rows:
            items += loads(self._seal.open(row.input, row.id))
            output = loads(self._seal.open(row.body, row.id)).get("output")
            items += output if isinstance(output, list) else []
        return items

    async def delete(self, response_id: str, owner: str) -> None:
        """Forget a response. Raises `GatewayError` (NOT_FOUND)."""
        async with self._engine.begin() as connection:
            done = await connection.execute(
                delete(RESPONSES).where(RESPONSES.c.id == response_id, RESPONSES.c.owner == owner)
            )
            if done.rowcount:
                await connection.execute(delete(RESPONSE_ITEMS).where(RESPONSE_ITEMS.c.response_id == response_id))
        if not done.rowcount:
            raise _missing(response_id)

    async def sweep(self) -> None:
        """Forget what has outlived its time."""
        async with self._engine.begin() as connection:
            old = select(RESPONSES.c.id).where(RESPONSES.c.expires_at <= int(time.time()))
            await connection.execute(delete(RESPONSE_ITEMS).where(RESPONSE_ITEMS.c.response_id.in_(old)))
            await connection.execute(delete(RESPONSES).where(RESPONSES.c.id.in_(old)))


def _missing(response_id: str) -> GatewayError:
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
