"""Several processes share limits, and none of them is passed."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from access.limits.hammer import CALLS, ESTIMATE, MONEY, REQUESTS, TOKENS
from servers.valkey import ValkeyServer

from trunkline.access.limits.model import SECOND, Claim, Granted, Refused, Unit
from trunkline.access.limits.valkey import ValkeyLimiter

HAMMER = Path(__file__).with_name("hammer.py")
PROCESSES = 4


async def started(*arguments: str) -> asyncio.subprocess.Process:
    """A process of `hammer.py`."""
    return await asyncio.create_subprocess_exec(sys.executable, HAMMER, *arguments, stdout=asyncio.subprocess.PIPE)


async def test_no_limit_is_passed_by_processes_together(valkey_server: ValkeyServer, namespace: str) -> None:
    """Four processes call for all they are worth: never more at once, in requests, tokens or money; and all is used."""
    processes = [await started(valkey_server.url, namespace, "spend") for _ in range(PROCESSES)]
    told = [json.loads((await process.communicate())[0]) for process in processes]
    calls, spent, tokens = (sum(one[what] for one in told) for what in ("calls", "spent", "tokens"))
    assert max(one["at_once"] for one in told) <= CALLS.most
    assert calls <= REQUESTS.most
    assert spent <= MONEY.most
    assert tokens <= TOKENS.most
    assert calls == REQUESTS.most or spent + ESTIMATE > MONEY.most

    limiter = ValkeyLimiter(valkey_server.url, namespace=namespace, timeout=20)
    standings = await limiter.peek([REQUESTS, TOKENS, CALLS, MONEY])
    await limiter.close()
    assert [standing.used for standing in standings] == [calls, tokens, 0, spent]


async def test_a_killed_process_frees_its_slots_and_owes_its_money(valkey_server: ValkeyServer, namespace: str) -> None:
    """When its leases end, others are let in; what its calls may have cost stays booked until they are settled."""
    process = await started(valkey_server.url, namespace, "hold")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"holding\n"
    process.kill()
    await process.wait()
    later = 0.0
    limiter = ValkeyLimiter(
        valkey_server.url, namespace=namespace, timeout=20, clock=lambda: round((time.time() + later) * SECOND)
    )
    assert isinstance(await limiter.reserve("refused", [Claim(CALLS, 1)], 60), Refused)
    later = 601
    assert isinstance(await limiter.reserve("granted", [Claim(CALLS, 1)], 60), Granted)
    assert [one.used for one in await limiter.peek([CALLS, MONEY])] == [1, CALLS.most * ESTIMATE]
    for number in range(CALLS.most):
        assert await limiter.settle(f"held {number}", {Unit.MONEY: 5})
    assert [one.used for one in await limiter.peek([CALLS, MONEY])] == [1, CALLS.most * 5]
    await limiter.close()
