"""Sums are exactly what the entries come to, however they are cut, and whatever of them is folded."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from usage.history import SPAN, START, Group, correction, ended, history, insert, reckoned

from trunkline.call import Call, Caller
from trunkline.errors import GatewayError
from trunkline.ledger.summaries import Summaries
from trunkline.store.database import Database
from trunkline.usage import reading
from trunkline.usage.usage import Usage
from trunkline.v1 import usage_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry, Owner
from trunkline.v1.usage_pb2 import QueryUsageRequest, QueryUsageResponse, UsageDimension, UsageFilter, UsageRow

DAY = 86_400_000_000
LATER = (START + 2 * SPAN) / 1e6
"""When all of it is over, in seconds since the epoch."""

BUCKETS: dict[int, Callable[[datetime], datetime]] = {
    usage_pb2.USAGE_BUCKET_UNSPECIFIED: lambda _: datetime.fromtimestamp(0, UTC),
    usage_pb2.USAGE_BUCKET_HOUR: lambda at: at.replace(minute=0, second=0, microsecond=0),
    usage_pb2.USAGE_BUCKET_DAY: lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0),
    usage_pb2.USAGE_BUCKET_MONTH: lambda at: at.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
}

READ: dict[UsageDimension.ValueType, tuple[str, Callable[[LedgerEntry], Sequence[str]]]] = {
    usage_pb2.USAGE_DIMENSION_KEY: ("key_id", lambda entry: [entry.owner.key_id]),
    usage_pb2.USAGE_DIMENSION_TEAM: ("team_id", lambda entry: [entry.owner.team_id]),
    usage_pb2.USAGE_DIMENSION_MODEL: ("model", lambda entry: [entry.model]),
    usage_pb2.USAGE_DIMENSION_OUTCOME: ("outcome", lambda entry: [entry.outcome]),
    usage_pb2.USAGE_DIMENSION_TAG: ("tag", lambda entry: sorted(entry.tags)),
    usage_pb2.USAGE_DIMENSION_METADATA: ("metadata", lambda entry: [entry.metadata["app"]]),
}

ADMIN = Caller("root", admin=True)


def asked(start: int, end: int, **fields: Any) -> QueryUsageRequest:
    """A question about a time in microseconds."""
    request = QueryUsageRequest(**fields)
    request.start_time.FromMicroseconds(start)
    request.end_time.FromMicroseconds(end)
    return request


async def answer(usage: Usage, request: QueryUsageRequest, caller: Caller = ADMIN) -> QueryUsageResponse:
    """What a caller is told."""
    return await usage.query_usage(request, Call(id="req_1", surface="grpc", owner=caller))


def told(response: QueryUsageResponse, request: QueryUsageRequest) -> dict[Any, tuple[int, int, int, int, int]]:
    """The answer, as `reckoned` has it."""

    def key(row: UsageRow) -> tuple[Any, ...]:
        values = [getattr(row.group, READ[one][0]) for one in request.group_by]
        return (row.start_time.ToDatetime(UTC), *values)

    rows = {
        key(row): (row.calls, row.errors, row.corrections, row.tokens.input_tokens, row.cost.total_nanos)
        for row in response.rows
    }
    assert len(rows) == len(response.rows)
    return rows


def groups(request: QueryUsageRequest) -> Group:
    """The groups of an entry, as a request has them."""
    bucket = BUCKETS[request.bucket]

    def read(entry: LedgerEntry) -> Sequence[Any]:
        keys: list[tuple[Any, ...]] = [(bucket(datetime.fromtimestamp(ended(entry) / 1e6, UTC)),)]
        for one in request.group_by:
            keys = [(*key, value) for key in keys for value in READ[one][1](entry)]
        return keys

    return read


async def check(usage: Usage, entries: Sequence[LedgerEntry], request: QueryUsageRequest) -> None:
    """The answer is what the entries come to."""
    start, end = request.start_time.ToMicroseconds(), request.end_time.ToMicroseconds()
    tags, models = set(request.filter.tags), set(request.filter.models)
    meant = [
        entry
        for entry in entries
        if start <= ended(entry) < end
        and (not tags or tags & set(entry.tags))
        and (not models or entry.model in models)
    ]
    expected = reckoned(meant, groups(request))
    if tags:
        expected = {key: counts for key, counts in expected.items() if "tag" not in request.group_by}
    assert told(await answer(usage, request), request) == expected, request


def questions(chance: random.Random, count: int) -> list[QueryUsageRequest]:
    """Questions of many kinds."""
    requests = []
    for _ in range(count):
        start = START + chance.randrange(-SPAN // 10, SPAN)
        end = start + chance.choice([0, 1, 10**9, DAY, 12 * DAY, SPAN])
        if chance.random() < 0.3:
            start, end = start - start % DAY, end - end % DAY
        by = chance.sample(list(READ), chance.randrange(4))
        bucket = chance.choice(list(BUCKETS))
        filters: dict[str, list[str]] = {}
        if chance.random() < 0.3:
            filters["models"] = chance.sample(["fast", "good", "none"], 2)
        if chance.random() < 0.3 and usage_pb2.USAGE_DIMENSION_TAG not in by:
            filters["tags"] = ["red"]
        metadata = "app" if usage_pb2.USAGE_DIMENSION_METADATA in by else ""
        requests.append(
            asked(start, end, bucket=bucket, group_by=by, metadata_key=metadata, filter=UsageFilter(**filters))  # type: ignore[arg-type]
        )
    return requests


async def test_sums_are_exact(database: Database, usage: Usage) -> None:
    """For any time, spans, groups and filters: before anything is folded, with all of it folded, after late entries."""
    chance = random.Random(7)  # noqa: S311
    entries = history(300)
    await insert(database, entries)
    for request in questions(chance, 20):
        await check(usage, entries, request)
    summaries = Summaries(database)
    assert await summaries.fold(LATER) > 34
    assert await summaries.fold(LATER) == 0
    for request in questions(chance, 50):
        await check(usage, entries, request)
    late = [*history(12, seed=2), *(correction(entry, 5) for entry in entries[:5])]
    await insert(database, late)
    for request in questions(chance, 20):
        await check(usage, entries + late, request)
    assert await summaries.fold(LATER)
    for request in questions(chance, 20):
        await check(usage, entries + late, request)
    async with database.reading() as connection:
        monthly = await connection.execute(text("SELECT count(*) FROM usage_summaries WHERE span = 2"))
        assert monthly.scalar_one() > 0


async def test_what_is_not_over_is_not_folded(database: Database) -> None:
    """A day and a month are left alone until some time after their end."""
    await insert(database, history(50))
    assert await Summaries(database).fold(START / 1e6) == 0


async def test_latencies(database: Database, usage: Usage) -> None:
    """Percentiles are upper bounds, of calls alone."""
    entries = history(200)
    await insert(database, entries)
    request = asked(START - DAY, START + 2 * SPAN, latencies=True)
    (row,) = (await answer(usage, request)).rows
    durations = sorted(entry.duration_ms for entry in entries if not entry.corrects)
    assert row.duration.count == row.first_event.count == len(durations)
    assert row.duration.mean_ms == sum(durations) / len(durations)
    for hundredths in (50, 90, 95, 99):
        exact = durations[-(-len(durations) * hundredths // 100) - 1]
        bound = getattr(row.duration, f"p{hundredths}_ms")
        assert min(exact, 2**20) <= bound <= max(exact * 1.42, 1)
    assert not (await answer(usage, asked(START, START + SPAN))).rows[0].HasField("duration")


async def test_by_the_minute(database: Database, usage: Usage) -> None:
    """Entries are read one by one."""
    entries = history(50)
    await insert(database, entries)
    rows = (await answer(usage, asked(START, START + SPAN, bucket=usage_pb2.USAGE_BUCKET_MINUTE))).rows
    assert sum(row.calls for row in rows) == sum(not entry.corrects for entry in entries if ended(entry) < START + SPAN)
    assert all(row.start_time.seconds % 60 == 0 for row in rows)
    times = [row.start_time.seconds for row in rows]
    assert times == sorted(set(times))


async def test_too_many_entries_to_read(database: Database, usage: Usage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, with what to do."""
    await insert(database, history(60))
    monkeypatch.setattr(reading, "MOST", 50)
    with pytest.raises(GatewayError, match="Ask for less time"):
        await answer(usage, asked(START, START + SPAN, bucket=usage_pb2.USAGE_BUCKET_MINUTE))


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"bucket": 9}, "bucket"),
        ({"group_by": [1, 1]}, "group_by"),
        ({"group_by": [1, 2, 3, 4, 5]}, "group_by"),
        ({"group_by": [0]}, "group_by"),
        ({"group_by": [12]}, "metadata_key"),
        ({"metadata_key": "a"}, "metadata_key"),
        ({"group_by": [12], "metadata_key": "a" * 129}, "metadata_key"),
        ({"filter": UsageFilter(tags=["a", "b"])}, "filter.tags"),
        ({"filter": UsageFilter(models=["a\0"])}, "filter.models"),
        ({"filter": UsageFilter(models=[str(number) for number in range(501)])}, "filter.models"),
    ],
)
async def test_wrong_questions(usage: Usage, fields: dict[str, Any], param: str) -> None:
    """The field is named."""
    with pytest.raises(GatewayError) as caught:
        await answer(usage, asked(START, START + 1, **fields))
    assert (caught.value.name, caught.value.param) == ("INVALID_REQUEST", param)


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_wrong_times(usage: Usage) -> None:
    """An end before its start, and times that are none."""
    with pytest.raises(GatewayError, match="after `end_time`"):
        await answer(usage, asked(2, 1))
    request = asked(0, 1)
    request.end_time.nanos = -5
    with pytest.raises(GatewayError, match="`end_time` is no time"):
        await answer(usage, request)


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
async def test_callers_see_their_own(database: Database, usage: Usage) -> None:
    """A key without a user sees itself, one of a user all of his, and nobody more by asking for others."""
    entries = history(200)
    await insert(database, entries)
    request = asked(START - DAY, START + 2 * SPAN, group_by=[usage_pb2.USAGE_DIMENSION_KEY])
    request.filter.key_ids.extend(["key_00", "key_10", "key_11"])

    async def keys(caller: Caller) -> set[str]:
        return {row.group.key_id for row in (await answer(usage, request, caller)).rows}

    assert await keys(ADMIN) == {"key_00", "key_10", "key_11"}
    assert await keys(Caller("a", key_id="key_00")) == {"key_00"}
    assert await keys(Caller("a", key_id="key_30")) == set()
    assert await keys(Caller("a", key_id="key_10", user_id="user_1")) == {"key_10", "key_11"}
    assert await keys(Caller("static")) == set()

    of_configuration = entries[:1]
    of_configuration[0].id = f"{of_configuration[0].id[:-6]}STATIC"
    of_configuration[0].owner.CopyFrom(Owner(key_id="keys/static", caller="static"))
    await insert(database, of_configuration)
    request.filter.Clear()
    assert await keys(Caller("static")) == {"keys/static"}
