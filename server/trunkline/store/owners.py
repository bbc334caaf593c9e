"""Organizations, teams and users in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Insert, Table, Update, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.errors import invalid_request, not_found
from trunkline.store.access import AccessState
from trunkline.store.database import Database, unbroken
from trunkline.store.tables import API_KEYS, ORGANIZATIONS, TEAMS, USERS
from trunkline.v1.keys_pb2 import Organization, Team, User

AnyOwner = TypeVar("AnyOwner", Organization, Team, User)

_BELOW: Final[dict[str, tuple[Table, ...]]] = {
    "organizations": (TEAMS, USERS, API_KEYS),
    "teams": (USERS, API_KEYS),
    "users": (API_KEYS,),
}
"""What an owner may own."""


class OwnerStore(Generic[AnyOwner]):
    """The owners of one kind."""

    def __init__(self, database: Database, state: AccessState, table: Table, message: type[AnyOwner]) -> None:
        self._database = database
        self._state = state
        self._table = table
        self._message: type[AnyOwner] = message
        self._kind = message.__name__.lower()

    @unbroken
    async def add(self, owner: AnyOwner) -> None:
        """Store one that is new. Raises `GatewayError`: INVALID_REQUEST where its subject has one already."""
        async with self._state.changing() as (connection, version):
            await self._write(connection, self._table.insert().values(id=owner.id, **self._row(owner, version)))

    @unbroken
    async def get(self, name: str) -> AnyOwner:
        """One of them. Raises `GatewayError` (NOT_FOUND)."""
        async with self._database.reading() as connection:
            return await self._read(connection, name)

    @unbroken
    async def page(self, filters: Mapping[str, str], after: str, size: int) -> list[AnyOwner]:
        """At most `size` of them in the order of their ids, beginning after the id `after`; `filters` are columns and
        what they must be."""
        table = self._table
        asked: list[ColumnElement[bool]] = [table.c[name] == value for name, value in filters.items() if value]
        statement = select(table.c.body).where(table.c.deleted_at.is_(None), table.c.id > after, *asked)
        async with self._database.reading() as connection:
            rows = await connection.execute(statement.order_by(table.c.id).limit(size))
            return [self._message.FromString(body) for body in rows.scalars()]

    @unbroken
    async def change(self, name: str, change: Callable[[AnyOwner], None]) -> AnyOwner:
        """Do `change` to one of them, which may raise. Raises `GatewayError` as `add`, and NOT_FOUND."""
        async with self._state.changing() as (connection, version):
            owner = await self._read(connection, name)
            change(owner)
            table = self._table
            statement = update(table).where(table.c.id == name).values(**self._row(owner, version))
            await self._write(connection, statement)
        return owner

    @unbroken
    async def delete(self, name: str) -> None:
        """Delete one of them. Raises `GatewayError`: NOT_FOUND, INVALID_REQUEST where it owns something."""
        async with self._state.changing() as (connection, version):
            await self._read(connection, name)
            for table in _BELOW[self._table.name]:
                owned = select(table.c.id).where(table.c[f"{self._kind}_id"] == name, table.c.deleted_at.is_(None))
                found = (await connection.execute(owned.limit(1))).scalar()
                if found is not None:
                    raise invalid_request(
                        f"The {self._kind} `{name}` still owns `{found}`: delete what it owns first.", "id"
                    )
            gone: dict[str, object] = {"deleted_at": int(time.time()), "version": version, "body": b""}
            if "subject" in self._table.c:
                gone["subject"] = None  # it may be given again
            await connection.execute(update(self._table).where(self._table.c.id == name).values(gone))

    async def _read(self, connection: AsyncConnection, name: str) -> AnyOwner:
        table = self._table
        found = await connection.execute(select(table.c.body).where(table.c.id == name, table.c.deleted_at.is_(None)))
        body: bytes | None = found.scalar()
        if body is None:
            raise not_found(f"There is no {self._kind} `{name[:128]}`.", "id")
        owner: AnyOwner = self._message.FromString(body)
        return owner

    def _row(self, owner: AnyOwner, version: int) -> dict[str, object]:
        row: dict[str, object] = {"version": version, "body": owner.SerializeToString()}
        for column in ("organization_id", "team_id", "subject"):
            if column in self._table.c:
                row[column] = getattr(owner, column)
        if "subject" in row:
            row["subject"] = row["subject"] or None
        return row

    async def _write(self, connection: AsyncConnection, statement: Insert | Update) -> None:
        try:
            await connection.execute(statement)
        except IntegrityError:
            raise invalid_request("There is a user with this subject already.", "user.subject") from None


def organizations(database: Database, state: AccessState) -> OwnerStore[Organization]:
    """All organizations."""
    return OwnerStore(database, state, ORGANIZATIONS, Organization)


def teams(database: Database, state: AccessState) -> OwnerStore[Team]:
    """All teams."""
    return OwnerStore(database, state, TEAMS, Team)


def users(database: Database, state: AccessState) -> OwnerStore[User]:
    """All users."""
    return OwnerStore(database, state, USERS, User)
