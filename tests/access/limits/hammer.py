"""A process that makes as many calls as it is let, and tells what it saw: `python hammer.py URL NAMESPACE MODE`."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys

from valkey.asyncio import Valkey

from trunkline.access.limits.model import HELD, TOTAL, Claim, Granted, Limit, Refused, Unit, rolling
from trunkline.access.limits.valkey import ValkeyLimiter

REQUESTS = Limit("k:requests", Unit.REQUESTS, 400, rolling(86_400))
TOKENS = Limit("k:tokens", Unit.TOKENS, 60_000, rolling(86_400))
CALLS = Limit("k:calls", Unit.CALLS, 7, HELD)
MONEY = Limit("k:money", Unit.MONEY, 1_000_000, TOTAL)
ESTIMATE = 9_000
TASKS = 12


async def spend(url: str, namespace: str) -> dict[str, int]:
    """Make calls until there is no room for one more. Each costs at most what was estimated."""
    limiter = ValkeyLimiter(url, namespace=namespace, timeout=60)
    gauge = Valkey.from_url(url)
    seen = {"calls": 0, "spent": 0, "tokens": 0, "at_once": 0}

    async def calls(task: int) -> None:
        number = 0
        while True:
            number += 1
            name = f"{os.getpid()}.{task}.{number}"
            claims = [Claim(REQUESTS, 1), Claim(TOKENS, 200), Claim(CALLS, 1), Claim(MONEY, ESTIMATE)]
            answer = await limiter.reserve(name, claims, 3_600)
            if isinstance(answer, Refused):
                # Slots come free, and so does what was reserved and not used. If nobody runs, there is nothing more.
                if answer.limit != CALLS and (await limiter.peek([CALLS]))[0].used == 0:
                    return
                continue
            seen["at_once"] = max(seen["at_once"], await gauge.incr(f"{namespace}:gauge"))
            cost, tokens = random.randint(0, ESTIMATE), random.randint(100, 200)  # noqa: S311
            await gauge.decr(f"{namespace}:gauge")
            assert await limiter.settle(name, {Unit.MONEY: cost, Unit.TOKENS: tokens})
            seen["calls"] += 1
            seen["spent"] += cost
            seen["tokens"] += tokens

    await asyncio.gather(*[calls(task) for task in range(TASKS)])
    await limiter.close()
    await gauge.aclose()
    return seen


async def hold(url: str, namespace: str) -> None:
    """Take all slots and keep them until killed."""
    limiter = ValkeyLimiter(url, namespace=namespace, timeout=60)
    for number in range(CALLS.most):
        answer = await limiter.reserve(f"held {number}", [Claim(CALLS, 1), Claim(MONEY, ESTIMATE)], 600)
        assert isinstance(answer, Granted)
    print("holding", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, at, space, mode = sys.argv
    if mode == "hold":
        asyncio.run(hold(at, space))
    else:
        print(json.dumps(asyncio.run(spend(at, space))))
