"""Counters that forgot what was used learn it from the ledger before they let anyone in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from accounting.conftest import OWNER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.valkey import ValkeyServer

from trunkline.access.limits.fallback import FallbackLimiter
from trunkline.access.limits.memory import MemoryLimiter
from trunkline.access.limits.model import (
    CALENDAR_DAY,
    CALENDAR_MONTH,
    SECOND,
    TOTAL,
    Claim,
    Limit,
    Unit,
    rolling,
)
from trunkline.access.limits.valkey import ValkeyLimiter
from trunkline.accounting.history import History
from trunkline.accounting.rebuild import Restorer
from trunkline.call import Caller
from trunkline.ledger.ids import Ids
from trunkline.ledger.insertion import Insertion
from trunkline.ledger.ledger import Ledger
from trunkline.store.database import Database, opened
from trunkline.store.engine import MEMORY
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

MOST = 10**12
WINDOWS = {
    "minute": (Unit.REQUESTS, rolling(60)),
    "tokens": (Unit.TOKENS, rolling(60)),
    "hour": (Unit.REQUESTS, rolling(3600)),
    "day": (Unit.REQUESTS, rolling(86_400)),
    "today": (Unit.MONEY, CALENDAR_DAY),
    "month": (Unit.MONEY, CALENDAR_MONTH),
    "total": (Unit.MONEY, TOTAL),
    "budget": (Unit.MONEY, rolling(30 * 86_400)),
}

new_id = Ids()


def limit(name: str, owner: str = "key", scope: str = "") -> Limit:
    """One of `WINDOWS`."""
    unit, window = WINDOWS[name]
    return Limit(f"{owner}:x:{unit}:{scope}", unit, MOST, window, owner, scope)


def entry(
    started: float, ended: float | None = None, *, nanos: int = 7, tokens: int = 3, model: str = "m", key: str = "key_1"
) -> LedgerEntry:
    """A call of `OWNER`."""
    one = LedgerEntry(id=new_id(), kind=ledger_pb2.LEDGER_ENTRY_KIND_CALL, call_id="req", model=model)
    one.owner.key_id, one.owner.user_id, one.owner.team_id = key, "user_1", "team_1"
    one.owner.organization_id = "org_1"
    one.start_time.FromNanoseconds(round(started * 1e9))
    one.end_time.FromNanoseconds(round((started + 0.1 if ended is None else ended) * 1e9))
    one.usage.input_tokens, one.usage.output_tokens = 1, tokens - 1
    one.cost.input_nanos = one.cost.total_nanos = nanos
    one.provider, one.served_model, one.outcome = "a", f"{model}-2026", "ok"
    return one


async def insert(database: Database, entries: Sequence[LedgerEntry]) -> None:
    """Have the ledger hold these."""
    if entries:
        await Insertion(database).insert([(one, one.SerializeToString()) for one in entries])


@pytest.fixture(params=["memory", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """SQLite and PostgreSQL."""
    return MEMORY if request.param == "memory" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    """An empty ledger."""
    one = await opened(store_url)
    yield one
    await one.close()


@pytest.fixture
async def ledger(database: Database, tmp_path: Path) -> AsyncIterator[Ledger]:
    """The journal before it."""
    one = await Ledger.start(tmp_path, database, segment_bytes=1 << 20, keep_free=0)
    yield one
    await one.close()


async def restored(
    limiter: MemoryLimiter | FallbackLimiter, ledger: Ledger, database: Database, *names: str
) -> list[int]:
    """What is used of limits after a restart."""
    limits = [limit(name) for name in names]
    restorer = Restorer(limiter, ledger, History(database))
    assert not restorer.right(limits)
    await restorer.restore(limits, OWNER)
    assert restorer.right(limits)
    return [one.used for one in await limiter.peek(limits)]


async def test_every_window(ledger: Ledger, database: Database) -> None:
    """What counts of each, and nothing that has passed or is another's."""
    now = time.time()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.replace(day=1)
    ago = {"second": 1, "minutes": 300, "hours": 3 * 3600, "days": 3 * 86_400, "months": 40 * 86_400}
    await insert(database, [entry(now - age, nanos=10**place) for place, age in enumerate(ago.values())])
    await insert(database, [entry(now - 1, key="key_2", nanos=10**8)])
    used = dict(zip(WINDOWS, await restored(MemoryLimiter(), ledger, database, *WINDOWS), strict=True))
    assert (used["minute"], used["tokens"], used["hour"], used["day"]) == (1, 3, 2, 3)

    def since(moment: datetime) -> int:
        return sum(10**place for place, age in enumerate(ago.values()) if now - age >= moment.timestamp())

    assert used["today"] == since(midnight)
    assert used["month"] == since(first)
    assert used["total"] == 11111
    assert used["budget"] == 1111


@pytest.mark.parametrize("owner", ["key", "user", "team", "organization", "plan"])
async def test_whose_calls_count(ledger: Ledger, database: Database, owner: str) -> None:
    """Those of the same key; of all keys of a user, whose plan's limits they share; of a team, of an organisation."""
    now = time.time()
    await insert(database, [entry(now - 1), entry(now - 1, key="key_2")])
    limiter = MemoryLimiter()
    one = limit("total", owner)
    await Restorer(limiter, ledger, History(database)).restore([one], OWNER)
    assert [standing.used for standing in await limiter.peek([one])] == [7 if owner == "key" else 14]


async def test_the_keys_of_the_configuration(ledger: Ledger, database: Database) -> None:
    """They are known by their names."""
    await insert(database, [entry(time.time() - 1, key="keys/me")])
    limiter = MemoryLimiter()
    one = limit("total", "plan")
    await Restorer(limiter, ledger, History(database)).restore([one], Caller("me"))
    assert [standing.used for standing in await limiter.peek([one])] == [7]


@pytest.mark.parametrize(("scope", "counts"), [("m", True), ("m-2026", True), ("a/*", True), ("other", False)])
@pytest.mark.parametrize("name", ["minute", "today", "budget"])
async def test_limits_for_a_model(ledger: Ledger, database: Database, name: str, scope: str, counts: bool) -> None:
    """By the names that were asked for and that answered."""
    await insert(database, [entry(time.time() - 1), entry(time.time() - 1, model="n", nanos=5)])
    limiter = MemoryLimiter()
    one = limit(name, scope=scope)
    await Restorer(limiter, ledger, History(database)).restore([one], OWNER)
    each = {"minute": 1, "today": 7, "budget": 7}[name]
    both = {"minute": 2, "today": 12, "budget": 12}[name]
    assert [standing.used for standing in await limiter.peek([one])] == [
        (both if scope == "a/*" else each) if counts else 0
    ]


async def test_a_call_counts_where_it_was_let_in(ledger: Ledger, database: Database) -> None:
    """One that began before midnight and ended after it is yesterday's."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    await insert(database, [entry(midnight - 5, midnight + 5), entry(midnight, midnight + 5, nanos=100)])
    assert await restored(MemoryLimiter(), ledger, database, "today") == [100]


async def test_what_the_journal_holds_counts(tmp_path: Path) -> None:
    """A process that died had recorded a call, and another call ran: both count, the latter as it was estimated."""
    database = await opened(MEMORY)
    dead = await Ledger.start(tmp_path, database, segment_bytes=1 << 20, keep_free=0)
    await dead.journal.open(entry(time.time() - 1, nanos=1000))
    await dead.journal.append(entry(time.time() - 1, nanos=20))
    await dead.close()
    alive = await Ledger.start(tmp_path, database, segment_bytes=1 << 20, keep_free=0)
    assert await restored(MemoryLimiter(), alive, database, "total") == [1020]
    await alive.close()
    await database.close()


async def test_it_is_done_once(ledger: Ledger, database: Database) -> None:
    """What is used later is counted once, whoever asks again, and however many at once."""
    await insert(database, [entry(time.time() - 1)])
    limiter = MemoryLimiter()
    one = limit("total")
    restorer = Restorer(limiter, ledger, History(database))
    await restorer.restore([one], OWNER)
    await limiter.reserve("call", [Claim(one, 5)], 60)
    await limiter.settle("call", {})
    await insert(database, [entry(time.time() - 1, nanos=5)])
    await restorer.restore([one], OWNER)
    await Restorer(limiter, ledger, History(database)).restore([one], OWNER)
    assert [standing.used for standing in await limiter.peek([one])] == [12]


async def test_an_emptied_valkey(ledger: Ledger, database: Database, own_valkey_server: ValkeyServer) -> None:
    """Two replicas, one restoration: what ended before is there, what runs is told of by who let it in."""

    async def nothing() -> None:
        return

    limits = [limit("total"), limit("minute")]
    replicas = []
    for _ in range(2):
        limiter = FallbackLimiter(ValkeyLimiter(own_valkey_server.url, timeout=5), rebuild=nothing)
        await limiter.start()
        replicas.append((limiter, Restorer(limiter, ledger, History(database))))
    (one, restorer), (_, other) = replicas
    await restorer.restore(limits, OWNER)
    await other.restore(limits, OWNER)
    claims = [Claim(limits[0], 50), Claim(limits[1], 1)]
    await one.reserve("ended", claims, 60)
    await one.settle("ended", {Unit.MONEY: 20})
    await insert(database, [entry(time.time() - 0.2, nanos=20)])
    await one.reserve("running", claims, 60)

    own_valkey_server.kill()
    own_valkey_server.start()
    for limiter, restorer in replicas:
        # Whoever notices begins an outage, in which nobody is let in, until it has told what it knows.
        await restorer.restore([limit("hour")], OWNER)
        while not limiter.available:  # noqa: ASYNC110 - it asks again by itself
            await asyncio.sleep(0.01)
        assert not restorer.right(limits)
        await restorer.restore(limits, OWNER)
        assert restorer.right(limits)
    assert [standing.used for standing in await one.peek(limits)] == [70, 2]
    await one.settle("running", {Unit.MONEY: 30})
    assert [standing.used for standing in await one.peek(limits)] == [50, 2]
    for limiter, _ in replicas:
        await limiter.close()


@given(
    calls=st.lists(st.tuples(st.integers(0, 2 * 86_400), st.integers(0, 7000), st.integers(0, 1000)), max_size=12),
    name=st.sampled_from(sorted(WINDOWS)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_restart_forgets_nothing(tmp_path: Path, calls: list[tuple[int, int, int]], name: str) -> None:
    """After it, no limit has less used than before it; and no calendar period has more."""
    now = time.time()
    one = limit(name)
    clock = 0
    kept = MemoryLimiter(clock=lambda: clock)
    database = await opened(MEMORY)
    entries = []
    for age, took, nanos in sorted(calls, reverse=True):
        started, ended = now - age, min(now - age + took, now)
        clock = round(started * SECOND)
        await kept.book(one, {Unit.REQUESTS: 1, Unit.TOKENS: 3, Unit.MONEY: nanos}[one.unit], started)
        entries.append(entry(started, ended, nanos=nanos))
    clock = round(now * SECOND)
    await insert(database, entries)
    anew = MemoryLimiter()
    await anew.restore(one, await History(database).used(one, OWNER, None))
    (after,), (before,) = await anew.peek([one]), await kept.peek([one])
    await database.close()
    if one.window.lasts:
        assert after.used >= before.used - sum(3 for age, _, _ in calls if age in range(59, 62))
    else:
        assert after.used == before.used
