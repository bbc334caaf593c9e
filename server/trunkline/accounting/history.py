"""What was used of a limit, as the ledger knows it."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, func, literal_column, select

from trunkline.access.limits.model import SECOND, Limit, Unit
from trunkline.call import Caller
from trunkline.store.database import Database
from trunkline.store.tables import LEDGER_ENTRIES, USAGE_ROLLUPS
from trunkline.v1 import ledger_pb2

Used = list[tuple[float, int]]
"""Times, in seconds since the epoch, and amounts."""

_HOUR: Final = 3600
_DAY: Final = 86_400 * SECOND

_BY_HOURS: Final = 2 * _DAY
"""From which length on a rolling window is summed by the hours in which calls ended, and not call by call."""

_LONGEST_CALL: Final = _DAY

_NAMES: Final = ("model", "provider", "served_model")
"""The columns by which a limit for a model is told."""


class History:
    """Reads the ledger in `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def used(self, limit: Limit, owner: Caller, before: int | None) -> Used:
        """What calls of `owner` used of `limit`, of those that ended before a time (microseconds since the epoch; None
        for all). Raises `GatewayError` (INTERNAL)."""
        whose = _whose(limit, owner)
        if whose is None:
            return []
        now = time.time_ns() // 1000
        window = limit.window
        if window.kind == "even" and window.lasts:
            length = window.width * (window.lasts + 1)
            if length < _BY_HOURS:
                return await self._by_bucket(limit, whose, now - length, before)
            return await self._by_hour(limit, whose, now - length, before, now)
        return await self._in_period(limit, whose, window.start(window.bucket(now)), before, now)

    async def _by_bucket(self, limit: Limit, whose: _Whose, since: int, before: int | None) -> Used:
        """Call by call, as they were let in."""
        table = LEDGER_ENTRIES.c
        width: ColumnElement[int] = literal_column(str(limit.window.width))
        bucket = (table.started_at - table.started_at % width).label("bucket")
        calls = table.kind == ledger_pb2.LEDGER_ENTRY_KIND_CALL
        asked = [whose.of(table), calls, table.started_at >= since, table.ended_at >= since]
        if before is not None:
            asked.append(table.ended_at < before)
        amount = {
            Unit.REQUESTS: func.count(),
            Unit.TOKENS: func.sum(table.input_tokens + table.output_tokens),
            Unit.MONEY: func.sum(table.total_nanos),
        }[limit.unit]
        names = [table[name] for name in _NAMES] if limit.scope else []
        statement: Select[Any] = select(bucket, amount.label("amount"), *names).where(*asked)
        return await self._read(limit, statement.group_by(bucket, *names))

    async def _by_hour(self, limit: Limit, whose: _Whose, since: int, before: int | None, now: int) -> Used:
        """By the hours in which calls ended, which is later than when they were let in, and so too long at the most."""
        found = await self._hours(limit, whose, since // SECOND // _HOUR * _HOUR, before)
        return [(min(hour + _HOUR - 1, now / SECOND), amount) for hour, amount in found]

    async def _in_period(self, limit: Limit, whose: _Whose, start: int | None, before: int | None, now: int) -> Used:
        """Of the calls that were let in since `start`, exactly: what ended in the hours from then on, less what had
        been let in before."""
        found = await self._hours(limit, whose, 0 if start is None else start // SECOND, before)
        if start is not None:
            found += [(at, -amount) for at, amount in await self._entries(limit, whose, start, before, earlier=start)]
        total = sum(amount for _, amount in found)
        return [(now / SECOND, total)] if total > 0 else []

    async def _hours(self, limit: Limit, whose: _Whose, since: int, before: int | None) -> Used:
        """What ended in each hour since then."""
        table = USAGE_ROLLUPS.c
        asked = [whose.of(table), table.tag == "", table.hour >= since]
        rest: Used = []
        if before is not None:
            hour = before // SECOND // _HOUR * _HOUR
            asked.append(table.hour < hour)
            if hour >= since:
                rest = await self._entries(limit, whose, hour * SECOND, before)
        amount = {
            Unit.REQUESTS: table.calls,
            Unit.TOKENS: table.input_tokens + table.output_tokens,
            Unit.MONEY: table.total_nanos,
        }[limit.unit]
        names = [table[name] for name in _NAMES] if limit.scope else []
        statement: Select[Any] = select(table.hour.label("bucket"), func.sum(amount).label("amount"), *names).where(
            *asked
        )
        found = await self._read(limit, statement.group_by(table.hour, *names), unit=1)
        return found + rest

    async def _entries(
        self, limit: Limit, whose: _Whose, since: int, before: int | None, earlier: int | None = None
    ) -> Used:
        """What ended since then, in one sum; with `earlier`, what was let in before that."""
        table = LEDGER_ENTRIES.c
        asked = [whose.of(table), table.ended_at >= since]
        if before is not None:
            asked.append(table.ended_at < before)
        if earlier is not None:
            asked += [table.started_at < earlier, table.ended_at < earlier + _LONGEST_CALL]
        is_call = table.kind == ledger_pb2.LEDGER_ENTRY_KIND_CALL
        amount = {
            Unit.REQUESTS: func.sum(case((is_call, 1), else_=0)),
            Unit.TOKENS: func.sum(table.input_tokens + table.output_tokens),
            Unit.MONEY: func.sum(table.total_nanos),
        }[limit.unit]
        names = [table[name] for name in _NAMES] if limit.scope else []
        statement: Select[Any] = select(
            literal_column(str(since)).label("bucket"), amount.label("amount"), *names
        ).where(*asked)
        return await self._read(limit, statement.group_by(*names) if names else statement)

    async def _read(self, limit: Limit, statement: Select[Any], unit: int = SECOND) -> Used:
        sums: dict[int, int] = {}
        async with self._database.reading() as connection:
            for row in await connection.execute(statement):
                if row.amount and (not limit.scope or _fits(limit.scope, row)):
                    sums[row.bucket] = sums.get(row.bucket, 0) + int(row.amount)
        return [(bucket / unit, amount) for bucket, amount in sums.items()]


class _Whose:
    """A column, and what it must be."""

    def __init__(self, column: str, value: str) -> None:
        self._column = column
        self._value = value

    def of(self, columns: Any) -> ColumnElement[bool]:
        """The condition."""
        one: ColumnElement[bool] = columns[self._column] == self._value
        return one


def _whose(limit: Limit, owner: Caller) -> _Whose | None:
    """Whose calls count against a limit; None where the ledger cannot tell them from others.

    The keys of a user share what his plan allows; a key without a user has it for itself.
    """
    key = owner.recorded_as
    columns = {
        "key": ("key_id", key),
        "user": ("user_id", owner.user_id),
        "team": ("team_id", owner.team_id),
        "organization": ("organization_id", owner.organization_id),
        "plan": ("user_id", owner.user_id) if owner.user_id else ("key_id", key),
    }
    column, value = columns.get(limit.owner, ("", ""))
    return _Whose(column, value) if value else None


def _fits(scope: str, row: Any) -> bool:
    names = (row.model, row.served_model, f"{row.provider}/{row.served_model}", f"{row.provider}/{row.model}")
    return any(fnmatchcase(name, scope) for name in names)
