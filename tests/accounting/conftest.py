"""Accounts over real counters and a real ledger, and calls with prices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_provider import ScriptedProvider, asking
from ledger.simulated import FailingDisk
from sqlalchemy import select

from trunkline.access.limits.memory import MemoryLimiter
from trunkline.access.limits.model import Limit, Standing
from trunkline.accounting.accounts import Accounts
from trunkline.call import Call, Caller
from trunkline.catalog.catalog import Catalog
from trunkline.catalog.override import Override
from trunkline.catalog.price import Price
from trunkline.catalog.schedule import Period
from trunkline.core.check import Limits
from trunkline.core.gateway import Gateway
from trunkline.core.hedge import Hedge
from trunkline.core.plan import Candidate, Leg, Plan, Policy
from trunkline.core.plugin import Plugins
from trunkline.ledger.ledger import Ledger
from trunkline.routing.health import Board
from trunkline.routing.offer import Offer
from trunkline.store.database import Database, opened
from trunkline.store.engine import MEMORY
from trunkline.store.tables import LEDGER_ENTRIES
from trunkline.v1.ledger_pb2 import LedgerEntry

DOLLAR = 1_000_000_000

USUAL = Price("v1", 1 * DOLLAR, 2 * DOLLAR)

OWNER = Caller("alice's", key_id="key_1", user_id="user_1", team_id="team_1", organization_id="org_1", tags=("batch",))


def priced(
    name: str = "a",
    acts: Iterable[Any] = ("Hello",),
    *,
    request: Any = None,
    model: str = "m",
    price: Price | None = USUAL,
    **facts: Any,
) -> Candidate[Any]:
    """A candidate whose model costs a dollar for a million tokens that it reads, and two for those that it writes."""
    periods = () if price is None else (Period(price),)
    catalog = Catalog({f"{name}/{model}": Override(facts, periods)})
    provider = ScriptedProvider(name, acts)
    offer = Offer(provider, model, "", "openai-compatible", catalog, Board().health(name, "", model))
    return Candidate(offer.target, asking() if request is None else request, offer=offer)


def plan(*candidates: Candidate[Any], hedge: Hedge | None = None, retries: int = 0) -> Plan[Any]:
    """A plan of one leg."""
    return Plan([Leg(candidates, Policy(retries=retries, backoff=0.001, hedge=hedge))], "order")


def calling(operation: Any = "chat", model: str = "m", **fields: Any) -> Call:
    """A call of `OWNER`."""
    return Call("req_1", "grpc", operation, owner=OWNER, model=model, **fields)


@dataclass
class Books:
    """Accounts, and what they wrote and counted."""

    accounts: Accounts
    limiter: MemoryLimiter
    ledger: Ledger
    database: Database
    disk: FailingDisk
    limits: list[Limit]

    async def entries(self) -> list[LedgerEntry]:
        """What is in the ledger, when all of it is shipped."""
        await self.ledger.shipped()
        async with self.database.reading() as connection:
            rows = await connection.execute(select(LEDGER_ENTRIES.c.body).order_by(LEDGER_ENTRIES.c.id))
            return [LedgerEntry.FromString(body) for body in rows.scalars()]

    async def entry(self) -> LedgerEntry:
        """The only one."""
        (one,) = await self.entries()
        return one

    async def used(self) -> list[int]:
        """What is used of each limit."""
        standings: Sequence[Standing] = await self.limiter.peek(self.limits)
        return [one.used for one in standings]

    def gateway(self, made: Plan[Any], plugins: Plugins | None = None) -> Gateway:
        """A gateway that leads every call by `made`."""
        limits = Limits(messages=100, tools=100)
        return Gateway(_Made(made), None, limits, plugins, self.accounts)  # type: ignore[arg-type]


class _Made:
    def __init__(self, made: Plan[Any]) -> None:
        self._made = made

    async def chat(self, request: Any, call: Call) -> Plan[Any]:
        return self._made

    embed = chat

    def done(self, *_: object) -> None:
        pass

    def report(self, *_: object) -> None:
        pass


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    """Accounts of callers who have `limits`, none at first."""
    disk = FailingDisk()
    database = await opened(MEMORY)
    ledger = await Ledger.start(tmp_path, database, disk=disk, segment_bytes=1 << 20, keep_free=0)
    limiter = MemoryLimiter()
    limits: list[Limit] = []
    accounts = Accounts(limiter, lambda caller: limits, ledger)
    yield Books(accounts, limiter, ledger, database, disk, limits)
    await accounts.close()
    await database.close()
