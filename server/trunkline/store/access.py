"""What all keys in the store have in common: the version that each change raises, and the secret of digests."""

from __future__ import annotations

import hmac
import os
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.config.problem import ConfigError
from trunkline.store.database import Database, unbroken
from trunkline.store.tables import ACCESS_STATE, API_KEYS, ORGANIZATIONS, TEAMS, USERS

_TABLES: Final = (API_KEYS, ORGANIZATIONS, TEAMS, USERS)


@dataclass(frozen=True, slots=True)
class Changes:
    """What was changed: the ids of keys and of owners, up to `version`. `closed` tells whether a key is needed."""

    version: int
    closed: bool
    ids: Collection[str]


class AccessState:
    """The one row that every replica looks at, and the order of all changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @unbroken
    async def open(self, pepper: bytes | None) -> bytes:
        """What digests are keyed by: `pepper` where it is given, or else a secret that is made once and kept.

        Raises `ConfigError` where the digests that there are were keyed by another.
        """
        made = os.urandom(32)
        row = {
            "id": 1,
            "version": 0,
            "closed": False,
            "pepper": b"" if pepper is not None else made,
            "probe": _probe(made if pepper is None else pepper),
        }
        async with self._database.writing() as connection:
            await connection.execute(self._database.insert(ACCESS_STATE).values(row).on_conflict_do_nothing())
            there = (await connection.execute(select(ACCESS_STATE.c.pepper, ACCESS_STATE.c.probe))).one()
            known: bytes = there.pepper if pepper is None else pepper
            if not hmac.compare_digest(_probe(known), there.probe):
                keys = (await connection.execute(select(API_KEYS.c.id).limit(1))).first()
                if keys is not None:
                    was = "the secret of the database itself: unset it" if there.pepper else "another: set that"
                    raise ConfigError([f"access.pepper: the keys in the database were made with {was}."])
                values = {"pepper": b"" if pepper is not None else made}
                known = made if pepper is None else pepper
                await connection.execute(update(ACCESS_STATE).values(probe=_probe(known), **values))
        return known

    @unbroken
    async def changes(self, since: int) -> Changes:
        """What was changed after the version `since`; below zero, only what the version is. Raises `GatewayError`
        (INTERNAL) where the database fails."""
        async with self._database.reading() as connection:
            # The version first: what is changed between the two is told again the next time.
            row = (await connection.execute(select(ACCESS_STATE.c.version, ACCESS_STATE.c.closed))).one()
            ids: list[str] = []
            if row.version != since and since >= 0:
                for table in _TABLES:
                    found = await connection.execute(select(table.c.id).where(table.c.version > since))
                    ids += found.scalars()
        return Changes(row.version, row.closed, ids)

    @asynccontextmanager
    async def changing(self, *, closes: bool = False) -> AsyncGenerator[tuple[AsyncConnection, int], None]:
        """A transaction that changes keys or owners, and the version that it makes; one runs at a time, everywhere.

        `closes` tells that from now on a key is needed.
        """
        async with self._database.writing() as connection:
            values = {"version": ACCESS_STATE.c.version + 1, **({"closed": True} if closes else {})}
            raised = update(ACCESS_STATE).values(values).returning(ACCESS_STATE.c.version)
            yield connection, (await connection.execute(raised)).scalar_one()


def _probe(pepper: bytes) -> bytes:
    return hmac.digest(pepper, b"", "sha256")
