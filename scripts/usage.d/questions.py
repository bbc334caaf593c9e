"""What is asked of a large ledger, and how long each takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from trunkline.call import Call, Caller
from trunkline.ledger.calendar import DAY, HOUR
from trunkline.store.database import Database
from trunkline.usage.usage import Usage
from trunkline.v1 import usage_pb2
from trunkline.v1.usage_pb2 import GetEntryRequest, ListEntriesRequest, QueryUsageRequest, UsageFilter

_KEY = usage_pb2.USAGE_DIMENSION_KEY
_TEAM = usage_pb2.USAGE_DIMENSION_TEAM
_MODEL = usage_pb2.USAGE_DIMENSION_MODEL
_TAG = usage_pb2.USAGE_DIMENSION_TAG
_OUTCOME = usage_pb2.USAGE_DIMENSION_OUTCOME
_METADATA = usage_pb2.USAGE_DIMENSION_METADATA
_HOURLY = usage_pb2.USAGE_BUCKET_HOUR
_DAILY = usage_pb2.USAGE_BUCKET_DAY
_MONTHLY = usage_pb2.USAGE_BUCKET_MONTH
_MINUTELY = usage_pb2.USAGE_BUCKET_MINUTE

_TIMES: Final = 5
"""How often each is asked; the median counts."""

_MONTH: Final = 30 * DAY
_ODD: Final = 1234
"""Seconds that a time is off from a full hour."""

_SUMS: Final[Mapping[str, tuple[int, int, dict[str, Any]]]] = {
    "all of it, in one": (0, 0, {}),
    "all of it by month and model": (0, 0, {"bucket": _MONTHLY, "group_by": [_MODEL]}),
    "all of it by day and model": (0, 0, {"bucket": _DAILY, "group_by": [_MODEL]}),
    "all of it by model, with latencies": (0, 0, {"group_by": [_MODEL], "latencies": True}),
    "all of it by key": (0, 0, {"group_by": [_KEY]}),
    "all of it by key and model": (0, 0, {"group_by": [_KEY, _MODEL]}),
    "all of it by day and team": (0, 0, {"bucket": _DAILY, "group_by": [_TEAM]}),
    "all of it by tag": (0, 0, {"group_by": [_TAG]}),
    "all of it by hour": (0, 0, {"bucket": _HOURLY}),
    "a team's by model": (0, 0, {"group_by": [_MODEL], "filter": UsageFilter(team_ids=["team_03"])}),
    "a key's by day and model": (
        0,
        0,
        {"bucket": _DAILY, "group_by": [_MODEL], "filter": UsageFilter(key_ids=["key_0042"])},
    ),
    "30 days by day and outcome": (_MONTH, 0, {"bucket": _DAILY, "group_by": [_OUTCOME]}),
    "30 days, at no full hour, by key and model": (_MONTH, _ODD, {"group_by": [_KEY, _MODEL]}),
    "30 days, at no full hour, by model, with latencies": (_MONTH, _ODD, {"group_by": [_MODEL], "latencies": True}),
    "7 days by hour and model": (7 * DAY, 0, {"bucket": _HOURLY, "group_by": [_MODEL]}),
    "7 days by hour and key's team": (7 * DAY, 0, {"bucket": _HOURLY, "group_by": [_TEAM]}),
    "1 day by key, model and outcome": (DAY, _ODD, {"group_by": [_KEY, _MODEL, _OUTCOME]}),
    "2 hours by minute": (2 * HOUR, _ODD, {"bucket": _MINUTELY}),
    "2 hours by metadata": (2 * HOUR, _ODD, {"group_by": [_METADATA], "metadata_key": "app"}),
}
"""What it is -> how many seconds before the end it begins (0: with the first call), how far it is shifted, fields."""


async def measure(database: Database, start: int, end: int, told: Callable[[str, float], None]) -> None:
    """Ask everything of calls from `start` to `end`, in seconds since the epoch; `told` is given seconds."""
    usage = Usage(database)
    admin = Call(id="req_1", surface="grpc", owner=Caller("root", admin=True))
    for name, (back, shift, fields) in _SUMS.items():
        request = QueryUsageRequest(**fields)
        request.start_time.seconds = (end - back if back else start) - shift
        request.end_time.seconds = end - shift
        told(name, await _timed(partial(usage.query_usage, request, admin)))
    newest = ListEntriesRequest(page_size=100)
    told("the 100 newest entries", await _timed(lambda: usage.list_entries(newest, admin)))
    rare = ListEntriesRequest(page_size=100, filter=UsageFilter(key_ids=["key_0190"], outcomes=["cancelled"]))
    told("a key's 100 newest entries that were cancelled", await _timed(lambda: usage.list_entries(rare, admin)))
    (entry,) = (await usage.list_entries(ListEntriesRequest(page_size=1), admin)).entries
    by_call = GetEntryRequest(id=entry.call_id)
    told("an entry by its call", await _timed(lambda: usage.get_entry(by_call, admin)))
    second = entry.start_time.seconds
    told("the calls of one second", await _timed(lambda: usage.begun(second, {})))


async def _timed(ask: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
