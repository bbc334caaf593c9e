"""Keys in the store: found by the digests of their secrets, with all that owns them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Table, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.errors import invalid_request, not_found
from trunkline.store.access import AccessState, Changes
from trunkline.store.database import Database, unbroken
from trunkline.store.owners import organizations, teams, users
from trunkline.store.tables import ACCESS_STATE, API_KEYS, ORGANIZATIONS, TEAMS, USERS
from trunkline.v1.keys_pb2 import Key, Organization, Team, User

_Owner = TypeVar("_Owner", Organization, Team, User)

_COLUMNS: Final = (API_KEYS.c.body, API_KEYS.c.used_at, API_KEYS.c.old_expires_at, API_KEYS.c.old_digest)


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A user, and what owns it."""

    user: User | None
    team: Team | None
    organization: Organization | None


@dataclass(frozen=True, slots=True)
class FoundKey(FoundUser):
    """A key that was found by `digest`, which counts until the time `until`, and its owners."""

    key: Key
    digest: bytes
    until: float


class KeyStore:
    """Keys and their owners in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state = AccessState(database)
        self.organizations = organizations(database, self._state)
        self.teams = teams(database, self._state)
        self.users = users(database, self._state)

    async def open(self, pepper: bytes | None) -> bytes:
        """See `AccessState.open`."""
        return await self._state.open(pepper)

    async def changes(self, since: int) -> Changes:
        """See `AccessState.changes`."""
        return await self._state.changes(since)

    @unbroken
    async def find(self, digests: Sequence[bytes]) -> tuple[int, list[FoundKey]]:
        """The keys with these digests, and the version at which they were so at the least."""
        async with self._database.reading() as connection:
            version = (await connection.execute(select(ACCESS_STATE.c.version))).scalar_one()
            columns = (API_KEYS.c.digest, *_COLUMNS)
            rows = await connection.execute(
                select(*columns).where(or_(API_KEYS.c.digest.in_(digests), API_KEYS.c.old_digest.in_(digests)))
            )
            asked = frozenset(digests)
            found: list[tuple[Key, bytes, float]] = []
            for row in rows:
                key = _key(row)
                if row.digest in asked:
                    found.append((key, row.digest, inf))
                if row.old_digest in asked:
                    found.append((key, row.old_digest, row.old_expires_at))
            owners = await _Owners.of(connection, [key for key, _, _ in found])
        return version, [
            FoundKey(*owners.whose(key), key=key, digest=digest, until=until) for key, digest, until in found
        ]

    @unbroken
    async def find_user(self, subject: str) -> tuple[int, FoundUser | None]:
        """The user whom an issuer of tokens calls `subject`, and the version at which he was so at the least."""
        async with self._database.reading() as connection:
            version = (await connection.execute(select(ACCESS_STATE.c.version))).scalar_one()
            body = (await connection.execute(select(USERS.c.body).where(USERS.c.subject == subject))).scalar()
            if body is None:
                return version, None
            user = User.FromString(body)
            owners = await _Owners.of(connection, [user])
        _, team, organization = owners.whose(user)
        return version, FoundUser(user, team, organization)

    @unbroken
    async def touch(self, used: Mapping[str, int]) -> None:
        """Note when keys were used, in seconds since the epoch."""
        statement = (
            update(API_KEYS)
            .where(API_KEYS.c.id == bindparam("key"), API_KEYS.c.used_at < bindparam("at"))
            .values(used_at=bindparam("at"))
        )
        async with self._database.writing() as connection:
            # In one order, since two replicas may do the same at once.
            await connection.execute(statement, [{"key": name, "at": at} for name, at in sorted(used.items())])

    @unbroken
    async def add(self, key: Key, digest: bytes) -> None:
        """Store a key that is new. Raises `GatewayError`: INVALID_REQUEST where the secret has a key already, or where
        an owner is gone."""
        async with self._state.changing(closes=not key.admin) as (connection, version):
            await _check_owners(connection, key)
            await _free(connection, digest)
            row = {"id": key.id, "digest": digest, "old_expires_at": 0, "used_at": 0, "admin": key.admin}
            owners = {name: getattr(key, name) for name in ("organization_id", "team_id", "user_id")}
            body = key.SerializeToString()
            await connection.execute(API_KEYS.insert().values(version=version, body=body, **row, **owners))

    @unbroken
    async def add_admin(self, key: Key, digest: bytes) -> bool:
        """Store an admin's key unless there is one; whether it was stored."""
        there = select(API_KEYS.c.id).where(API_KEYS.c.admin, API_KEYS.c.deleted_at.is_(None)).limit(1)
        async with self._database.reading() as connection:
            if (await connection.execute(there)).first() is not None:
                return False
        async with self._state.changing() as (connection, version):
            if (await connection.execute(there)).first() is not None:
                return False
            row = {"id": key.id, "digest": digest, "old_expires_at": 0, "used_at": 0, "admin": True}
            owners = dict.fromkeys(("organization_id", "team_id", "user_id"), "")
            body = key.SerializeToString()
            await connection.execute(API_KEYS.insert().values(version=version, body=body, **row, **owners))
        return True

    @unbroken
    async def get(self, name: str) -> Key:
        """A key. Raises `GatewayError` (NOT_FOUND)."""
        async with self._database.reading() as connection:
            return await _read(connection, name)

    @unbroken
    async def page(self, filters: Mapping[str, str], after: str, size: int) -> list[Key]:
        """At most `size` keys in the order of their ids, beginning after the id `after`; `filters` are columns and what
        they must be."""
        asked: list[ColumnElement[bool]] = [API_KEYS.c[name] == value for name, value in filters.items() if value]
        statement = select(*_COLUMNS).where(API_KEYS.c.deleted_at.is_(None), API_KEYS.c.id > after, *asked)
        async with self._database.reading() as connection:
            rows = await connection.execute(statement.order_by(API_KEYS.c.id).limit(size))
            return [_key(row) for row in rows]

    @unbroken
    async def change(self, name: str, change: Callable[[Key], None]) -> Key:
        """Do `change` to a key, which may raise. Raises `GatewayError` (NOT_FOUND)."""
        async with self._state.changing() as (connection, version):
            key = await _read(connection, name)
            change(key)
            statement = update(API_KEYS).where(API_KEYS.c.id == name)
            await connection.execute(statement.values(version=version, body=_body(key)))
        return key

    @unbroken
    async def rotate(self, name: str, digest: bytes, old_until: int, change: Callable[[Key], None]) -> Key:
        """Give a key another secret, and do `change` to it; the one before counts until the time `old_until`, those
        before that no longer. Raises `GatewayError` (NOT_FOUND)."""
        async with self._state.changing() as (connection, version):
            key = await _read(connection, name)
            change(key)
            old = (await connection.execute(select(API_KEYS.c.digest).where(API_KEYS.c.id == name))).scalar_one()
            kept = {"old_digest": old, "old_expires_at": old_until} if old_until else {"old_digest": None}
            statement = update(API_KEYS).where(API_KEYS.c.id == name)
            await connection.execute(statement.values(digest=digest, version=version, body=_body(key), **kept))
            return await _read(connection, name)

    @unbroken
    async def delete(self, name: str) -> None:
        """Delete a key. Raises `GatewayError` (NOT_FOUND)."""
        async with self._state.changing() as (connection, version):
            await _read(connection, name)
            gone = {"digest": None, "old_digest": None, "deleted_at": int(time.time()), "body": b""}
            await connection.execute(update(API_KEYS).where(API_KEYS.c.id == name).values(version=version, **gone))


async def _read(connection: AsyncConnection, name: str) -> Key:
    found = await connection.execute(select(*_COLUMNS).where(API_KEYS.c.id == name, API_KEYS.c.deleted_at.is_(None)))
    row = found.first()
    if row is None:
        raise not_found(f"There is no key `{name[:128]}`.", "id")
    return _key(row)


def _key(row: Any) -> Key:
    key = Key.FromString(row.body)
    if row.used_at:
        key.last_use_time.FromDatetime(datetime.fromtimestamp(row.used_at, UTC))
    if row.old_digest is not None and row.old_expires_at > time.time():
        key.old_secret_expire_time.FromDatetime(datetime.fromtimestamp(row.old_expires_at, UTC))
    return key


def _body(key: Key) -> bytes:
    """What is stored of a key: the rest has columns of its own."""
    stored = Key()
    stored.CopyFrom(key)
    stored.ClearField("last_use_time")
    stored.ClearField("old_secret_expire_time")
    return stored.SerializeToString()


async def _free(connection: AsyncConnection, digest: bytes) -> None:
    same = or_(API_KEYS.c.digest == digest, API_KEYS.c.old_digest == digest)
    if (await connection.execute(select(API_KEYS.c.id).where(same).limit(1))).first() is not None:
        raise invalid_request("There is a key with this secret already.", "secret")


async def _check_owners(connection: AsyncConnection, key: Key) -> None:
    for table, field in ((ORGANIZATIONS, "organization_id"), (TEAMS, "team_id"), (USERS, "user_id")):
        name = getattr(key, field)
        if name:
            there = select(table.c.id).where(table.c.id == name, table.c.deleted_at.is_(None))
            if (await connection.execute(there)).first() is None:
                raise invalid_request(f"There is no {field.removesuffix('_id')} `{name[:128]}`.", f"key.{field}")


@dataclass(frozen=True, slots=True)
class _Owners:
    """Owners by their ids."""

    users: Mapping[str, User]
    teams: Mapping[str, Team]
    organizations: Mapping[str, Organization]

    @classmethod
    async def of(cls, connection: AsyncConnection, owned: Sequence[Key | User]) -> _Owners:
        """All who own one of `owned`."""
        return cls(
            await _owners(connection, USERS, User, [one.user_id for one in owned if isinstance(one, Key)]),
            await _owners(connection, TEAMS, Team, [one.team_id for one in owned]),
            await _owners(connection, ORGANIZATIONS, Organization, [one.organization_id for one in owned]),
        )

    def whose(self, owned: Key | User) -> tuple[User | None, Team | None, Organization | None]:
        """The user, the team and the organization that own it."""
        user = self.users.get(owned.user_id) if isinstance(owned, Key) else None
        return user, self.teams.get(owned.team_id), self.organizations.get(owned.organization_id)


async def _owners(
    connection: AsyncConnection, table: Table, message: type[_Owner], ids: Iterable[str]
) -> dict[str, _Owner]:
    wanted = {name for name in ids if name}
    if not wanted:
        return {}
    rows = await connection.execute(select(table.c.id, table.c.body).where(table.c.id.in_(wanted)))
    return {row.id: message.FromString(row.body) for row in rows}
