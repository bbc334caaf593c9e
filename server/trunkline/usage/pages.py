"""Entries, page by page."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.errors import invalid_request
from trunkline.ledger.calendar import MICROS
from trunkline.ledger.ids import id_at
from trunkline.store.database import Database
from trunkline.store.tables import COSTS, LEDGER_ENTRIES
from trunkline.usage.filters import Filter
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import Cost, LedgerEntry
from trunkline.v1.usage_pb2 import LedgerRecord

USUAL: Final = 100
MOST: Final = 1000
"""Entries in a page."""

_SCANNED: Final = 50_000
"""The most entries that are looked at for one page: few of them may be those that are asked for."""

_INDEXED: Final = ("key_id", "model")
"""The columns that an index finds, in the order of `ended_at`."""

_SKEW: Final = 5
"""Seconds that a clock may have been set back between the two times of a call."""

_LET_IN: Final = 600
"""Seconds after a call came in which it must have been let in."""

_COLUMNS: Final = LEDGER_ENTRIES.c
_CALL: Final = _COLUMNS.kind == int(ledger_pb2.LEDGER_ENTRY_KIND_CALL)


class Place(NamedTuple):
    """Where a page ends: at an entry, by when it ended and its id."""

    ended_at: int
    id: str

    @property
    def token(self) -> str:
        """The place as text."""
        return urlsafe_b64encode(f"{self.ended_at}.{self.id}".encode()).decode().rstrip("=")


def place_of(token: str) -> Place:
    """The place that a token names. Raises `GatewayError` (INVALID_REQUEST)."""
    try:
        ended, dot, name = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition(".")
        place = Place(int(ended), name)
        if not dot or not 0 <= place.ended_at < 1 << 62 or len(name) > 32 or "\0" in name:
            raise ValueError
    except ValueError:
        raise invalid_request("`page_token` is not one of an earlier answer.", "page_token") from None
    return place


class Entries:
    """Reads entries of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: Filter, start: int, end: int, size: int, after: Place | None
    ) -> tuple[list[LedgerEntry], Place | None]:
        """The newest entries that ended from `start` on and before `end`, in microseconds since the epoch, after a
        place; and the place to go on from, where there may be more. Raises `GatewayError` (INTERNAL)."""
        conditions = [_COLUMNS.ended_at >= start, _COLUMNS.ended_at < end, *wanted.conditions(LEDGER_ENTRIES)]
        found: list[LedgerEntry] = []
        async with self._database.reading() as connection:
            bound = await self._bound(connection, wanted, start, end, after)
            if bound is not None:
                conditions.append(_COLUMNS.ended_at >= bound)
            rows = (
                select(_COLUMNS.id, _COLUMNS.ended_at, _COLUMNS.body)
                .where(*conditions, *_before(after))
                .order_by(_COLUMNS.ended_at.desc(), _COLUMNS.id.desc())
            )
            if wanted.by_columns:
                rows = rows.limit(size + 1)
            last: Place | None = None
            stream = await connection.stream(rows)
            async for row in stream:
                entry = LedgerEntry.FromString(row.body)
                if not wanted.takes(entry):
                    continue
                if len(found) == size:
                    await stream.close()
                    return found, last
                found.append(entry)
                last = Place(row.ended_at, row.id)
        # All that ended at the bound itself was looked at.
        return found, None if bound is None else Place(bound, "")

    async def _bound(
        self, connection: AsyncConnection, wanted: Filter, start: int, end: int, after: Place | None
    ) -> int | None:
        """When the last entry ended that is looked at for this page; None where all are."""
        indexed = Filter({name: values for name, values in wanted.columns.items() if name in _INDEXED})
        asked = (
            select(_COLUMNS.ended_at)
            .where(_COLUMNS.ended_at >= start, _COLUMNS.ended_at < end, *indexed.conditions(LEDGER_ENTRIES))
            .where(*_before(after))
            .order_by(_COLUMNS.ended_at.desc())
            .limit(1)
            .offset(_SCANNED)
        )
        bound: int | None = (await connection.execute(asked)).scalar()
        return bound

    async def all(self, wanted: Filter, start: int, end: int) -> AsyncGenerator[list[LedgerEntry], None]:
        """The entries that ended from `start` on and before `end`, the oldest first, some at a time. Raises
        `GatewayError` (INTERNAL)."""
        after = Place(start, "")
        while True:
            # A statement for each part: who reads slowly must not hold up the database.
            later = or_(
                _COLUMNS.ended_at > after.ended_at,
                and_(_COLUMNS.ended_at == after.ended_at, _COLUMNS.id > after.id),
            )
            asked = (
                select(_COLUMNS.id, _COLUMNS.ended_at, _COLUMNS.body)
                .where(_COLUMNS.ended_at >= after.ended_at, later, _COLUMNS.ended_at < end)
                .where(*wanted.conditions(LEDGER_ENTRIES))
                .order_by(_COLUMNS.ended_at, _COLUMNS.id)
                .limit(MOST)
            )
            async with self._database.reading() as connection:
                rows = (await connection.execute(asked)).all()
            entries = [LedgerEntry.FromString(row.body) for row in rows]
            yield [entry for entry in entries if wanted.takes(entry)]
            if len(rows) < MOST:
                return
            after = Place(rows[-1].ended_at, rows[-1].id)

    async def record(self, name: str, wanted: Filter) -> LedgerRecord | None:
        """The entry whose id is `name`, or the newest of the call whose id that is, with its corrections; None where
        there is none. Raises `GatewayError` (INTERNAL)."""
        seen = wanted.conditions(LEDGER_ENTRIES)
        asked = select(_COLUMNS.body).where(*seen)
        newest = asked.where(_COLUMNS.call_id == name, _CALL).order_by(_COLUMNS.ended_at.desc()).limit(1)
        async with self._database.reading() as connection:
            body = (await connection.execute(asked.where(_COLUMNS.id == name))).scalar()
            if body is None:
                body = (await connection.execute(newest)).scalar()
            if body is None:
                return None
            entry = LedgerEntry.FromString(body)
            later = select(_COLUMNS.body).where(_COLUMNS.corrects == entry.id).order_by(_COLUMNS.id)
            corrections = [LedgerEntry.FromString(row.body) for row in await connection.execute(later)]
        cost = Cost()
        for one in (entry, *corrections):
            for part in COSTS:
                setattr(cost, part, getattr(cost, part) + getattr(one.cost, part))
        return LedgerRecord(entry=entry, corrections=corrections, cost=cost)

    async def begun(self, second: int, wanted: Filter) -> list[LedgerEntry]:
        """The calls that came in a second, in seconds since the epoch. Raises `GatewayError` (INTERNAL)."""
        # Ids tell when a call was let in: soon after it came.
        first, last = id_at(max(0, second - _SKEW)), id_at(second + _LET_IN)
        came = (_COLUMNS.started_at >= second * MICROS, _COLUMNS.started_at < (second + 1) * MICROS)
        asked = select(_COLUMNS.body).where(_COLUMNS.id >= first, _COLUMNS.id < last, *came)
        asked = asked.where(*wanted.conditions(LEDGER_ENTRIES), _CALL).limit(_SCANNED)
        async with self._database.reading() as connection:
            return [LedgerEntry.FromString(row.body) for row in await connection.execute(asked)]


def now() -> int:
    """The time, in microseconds since the epoch."""
    return time.time_ns() // 1000


def _before(after: Place | None) -> list[ColumnElement[Any]]:
    if after is None:
        return []
    same = and_(_COLUMNS.ended_at == after.ended_at, _COLUMNS.id < after.id)
    # The first condition is what the index goes by.
    return [_COLUMNS.ended_at <= after.ended_at, or_(_COLUMNS.ended_at < after.ended_at, same)]
