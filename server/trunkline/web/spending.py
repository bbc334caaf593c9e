"""What was spent, and how limits stand, for the surfaces that tell of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from trunkline.access.limits.model import Limit, Standing, Unit
from trunkline.dialects.openrouter.keys import Budget, Spent
from trunkline.usage.usage import Usage
from trunkline.v1 import usage_pb2
from trunkline.v1.usage_pb2 import QueryUsageRequest, UsageFilter

Peek = Callable[[Sequence[Limit]], Awaitable[Sequence[Standing]]]
"""Limits -> how they stand."""

_RESETS: Final = {"day": "daily", "month": "monthly", f"r{7 * 86_400}": "weekly"}


class Spending:
    """Reads both."""

    def __init__(self, usage: Usage, peek: Peek) -> None:
        self._usage = usage
        self.peek = peek

    async def of_keys(self, ids: Sequence[str]) -> Mapping[str, Spent]:
        """What was spent with each of these keys. Raises `GatewayError`."""
        return await self._spent(UsageFilter(key_ids=ids), "key_id") if ids else {}

    async def in_all(self) -> int:
        """What was spent, in billionths of a dollar. Raises `GatewayError`."""
        return (await self._sums(UsageFilter(), None, 0)).get("", 0)

    async def _spent(self, wanted: UsageFilter, dimension: str) -> Mapping[str, Spent]:
        now = datetime.fromtimestamp(time.time(), UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        # A week begins on Monday.
        starts = (today, today - timedelta(days=today.weekday()), today.replace(day=1), datetime.fromtimestamp(0, UTC))
        sums = await asyncio.gather(*(self._sums(wanted, dimension, start.timestamp()) for start in starts))
        return {name: Spent(*(each.get(name, 0) for each in sums)) for name in sums[-1]}

    async def _sums(self, wanted: UsageFilter, dimension: str | None, start: float) -> dict[str, int]:
        request = QueryUsageRequest(filter=wanted)
        request.start_time.FromSeconds(int(start))
        if dimension is not None:
            request.group_by.append(usage_pb2.USAGE_DIMENSION_KEY)
        found = await self._usage.sums(request, {})
        return {row.group.key_id: row.cost.total_nanos for row in found.rows}


def least(standings: Iterable[Standing]) -> Budget | None:
    """The limit of money of which the least is left; None where there is none."""
    money = [one for one in standings if one.limit.unit is Unit.MONEY and not one.limit.scope]
    if not money:
        return None
    found = min(money, key=lambda one: one.remaining)
    return Budget(found.limit.most, found.remaining, _RESETS.get(found.limit.window.code))
