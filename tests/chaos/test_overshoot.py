"""Four gateways that share their counters let in exactly what one may."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from pathlib import Path

import httpx
import yaml
from cli.running import PROGRAM, environment
from servers.valkey import ValkeyServer
from sqlalchemy import select

from trunkline.store.database import opened
from trunkline.store.tables import LEDGER_ENTRIES

REPLICAS = 4
REQUESTS = 60
AT_ONCE = 5
BUDGET = 10**9
PATIENCE = 90.0

SETTINGS = {
    "keys": [{"name": plan, "key": f"sk-{plan}-0123456789", "plan": plan} for plan in ("requests", "calls", "money")],
    "plans": {
        "requests": {"limits": {"requests_per_minute": REQUESTS}},
        "calls": {"limits": {"concurrent_calls": AT_ONCE}},
        "money": {"limits": {"total_usd": 1}},
    },
    "catalog": {"sim/*": {"max_output": 20, "prices": [{"input": 500, "output": 500}]}},
    "ledger": {"keep_free_bytes": 1 << 20, "segment_bytes": 1 << 20},
}


class Replica:
    """A gateway on ports of its own."""

    def __init__(self, folder: Path, config: Path, url: str, counters: str) -> None:
        folder.mkdir()
        addresses = ("--http-address", "127.0.0.1:0", "--grpc-address", "127.0.0.1:0", "--discover", "false")
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", *addresses, "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(TRUNKLINE_STORE_URL=url, TRUNKLINE_COUNTERS_URL=counters, TRUNKLINE_DATA=str(folder)),
        )

    def url(self) -> str:
        """Where it is, once it takes calls."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "HTTP " in line:
                return line.split()[-1]
        raise AssertionError("it did not start")


async def test_no_limit_is_passed(tmp_path: Path, postgres_url: str, own_valkey_server: ValkeyServer) -> None:
    """Of requests a minute, of calls at once and of money in all; and each is used as far as it goes."""
    config = tmp_path / "trunkline.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))
    replicas = [Replica(tmp_path / f"{n}", config, postgres_url, own_valkey_server.url) for n in range(REPLICAS)]
    try:
        urls = [await asyncio.to_thread(replica.url) for replica in replicas]
        async with httpx.AsyncClient(timeout=PATIENCE, limits=httpx.Limits(max_connections=60)) as client:

            async def call(number: int, key: str, model: str) -> int:
                answer = await client.post(
                    f"{urls[number % REPLICAS]}/v1/chat/completions",
                    json={"model": model, "messages": [{"role": "user", "content": "Hello"}]},
                    headers={"authorization": f"Bearer sk-{key}-0123456789"},
                )
                return answer.status_code

            requests = await asyncio.gather(*(call(n, "requests", "sim/echo") for n in range(2 * REQUESTS)))
            # Each holds its slot until all others were refused.
            calls = await asyncio.gather(*(call(n, "calls", "sim/echo:wait=5") for n in range(8 * AT_ONCE)))
            money = Counter[int]()
            for _ in range(12):
                money.update(await asyncio.gather(*(call(n, "money", "sim/echo") for n in range(40))))
    finally:
        for replica in replicas:
            replica.process.terminate()
        for replica in replicas:
            await asyncio.to_thread(replica.process.wait, PATIENCE)
            assert replica.process.stdout is not None
            replica.process.stdout.close()

    assert Counter(requests) == {200: REQUESTS, 429: REQUESTS}
    assert Counter(calls) == {200: AT_ONCE, 429: 7 * AT_ONCE}
    assert set(money) == {200, 429}
    database = await opened(postgres_url)
    async with database.reading() as connection:
        costs = list(
            (
                await connection.execute(
                    select(LEDGER_ENTRIES.c.total_nanos).where(LEDGER_ENTRIES.c.key_id.like("%/money"))
                )
            ).scalars()
        )
    await database.close()
    assert len(costs) == money[200]
    assert sum(costs) <= BUDGET
