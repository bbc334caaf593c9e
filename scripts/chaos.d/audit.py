"""What must be true when all is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployment import KEYS, REQUESTS, TOTAL, Deployment
from sqlalchemy import select

from trunkline.access.limits.model import TOTAL as IN_ALL
from trunkline.access.limits.model import Limit, Unit
from trunkline.access.limits.valkey import ValkeyLimiter
from trunkline.ledger.ledger import JOURNAL
from trunkline.ledger.verify import verify
from trunkline.store.database import Database, opened
from trunkline.store.tables import LEDGER_ENTRIES

_MINUTE = 60 * 10**6


@dataclass
class Audit:
    """What was found. It is `whole` where nothing of the first seven is."""

    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)
    unshipped: int = 0
    overspent: int = 0
    too_many: int = 0
    undercounted: int = 0
    overcounted: int = 0
    entries: int = 0
    abandoned: int = 0
    estimated: int = 0
    nanos: int = 0

    @property
    def whole(self) -> bool:
        """Whether everything is as it must be."""
        wrong = (self.lost, self.doubled, self.unshipped, self.overspent, self.too_many, self.undercounted)
        return not any(wrong) and not self.problems


async def audit(deployment: Deployment, ended: Iterable[str]) -> Audit:
    """Compare what callers saw, the ledger, its sums, the journals and the counters. All gateways have stopped."""
    database = await opened(deployment.url)
    try:
        rows = await _rows(database)
        found = Audit(entries=len(rows))
        for replica in deployment.replicas:
            report = await verify(database, journal=replica.folder / JOURNAL)
            found.unshipped += report.unshipped
            found.problems += [problem for problem in report.problems if problem not in found.problems]
            found.abandoned, found.estimated, found.nanos = report.abandoned, report.estimated, report.total_nanos
    finally:
        await database.close()
    calls = Counter(row.call_id for row in rows)
    found.lost = sum(name not in calls for name in ended)
    found.doubled = sum(count > 1 for count in calls.values())
    spent: Counter[str] = Counter()
    for row in rows:
        spent[_name(row)] += row.total_nanos
    found.problems += [f"the ledger knows of a key {name!r}" for name in spent if name not in KEYS]
    found.overspent = sum(max(0, spent[name] - TOTAL) for name, plan in KEYS.items() if plan == "poor")
    for name, plan in KEYS.items():
        if plan == "narrow":
            times = sorted(row.started_at for row in rows if _name(row) == name)
            found.too_many += _beyond(times)
    await _count(deployment, spent, found)
    return found


async def _rows(database: Database) -> list[Any]:
    columns = (LEDGER_ENTRIES.c[name] for name in ("call_id", "key_id", "total_nanos", "started_at"))
    async with database.reading() as connection:
        return list(await connection.execute(select(*columns)))


async def _count(deployment: Deployment, spent: Mapping[str, int], found: Audit) -> None:
    """What counters say of each key's money beside what the ledger says."""
    limiter = ValkeyLimiter(deployment.valkey.url, timeout=5)
    limits = [Limit(f"plan:{plan}:keys/{name}:money", Unit.MONEY, 0, IN_ALL) for name, plan in KEYS.items()]
    standings = await limiter.peek(limits)
    await limiter.close()
    for name, standing in zip(KEYS, standings, strict=True):
        found.undercounted += max(0, spent[name] - standing.used)
        found.overcounted += max(0, standing.used - spent[name])


def _name(row: Any) -> str:
    """The name of the key of a call, as the configuration has it."""
    name: str = row.key_id.rpartition("/")[2]
    return name


def _beyond(times: list[int]) -> int:
    """How many calls came beyond the most of any minute."""
    return sum(times[place] - times[place - REQUESTS] < _MINUTE for place in range(REQUESTS, len(times)))
