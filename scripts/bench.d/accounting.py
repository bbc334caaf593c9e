"""What keys, limits and the ledger cost, beside a gateway without them."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from load import HttpLoad
from process import Gateway, gateway, role

AIM: Final = 1.35
"""The most that a gateway with all of it may cost, as a multiple of one without."""

GROWTH: Final = 0.03
"""The share by which the memory may grow from the first quarter of the calls to the last."""

KEY: Final = "sk-bench-0123456789abcdef"

_SETTLE: Final = 1.0
"""Seconds until what was recorded is in the database: that is a part of what a call costs."""

_MANY: Final = 10**12

SETTINGS: Final[dict[str, Any]] = {
    "keys": [{"name": "bench", "key": KEY, "plan": "all"}],
    "plans": {
        "all": {
            "limits": {
                "requests_per_minute": _MANY,
                "requests_per_hour": _MANY,
                "requests_per_day": _MANY,
                "tokens_per_minute": _MANY,
                "concurrent_calls": _MANY,
                "concurrent_streams": _MANY,
                "daily_usd": 1_000_000,
                "monthly_usd": 1_000_000,
                "total_usd": 1_000_000,
                "budget_usd": 1_000_000,
            }
        }
    },
    "catalog": {"fake/*": {"prices": [{"input": 1, "output": 2}]}},
}
"""Every limit that there is, none of which is reached, and prices."""


@dataclass
class Accounted:
    """One kind of call: CPU in microseconds by round, without accounts and with them."""

    name: str
    model: str
    connections: int
    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median([full / bare for bare, full in self.rounds])


def kinds() -> list[Accounted]:
    """What is measured."""
    return [
        Accounted("a call", "unary", 64),
        Accounted("a stream, in one burst", "burst", 16),
        Accounted("a stream, paced", "paced", 8),
    ]


async def measure(
    chosen: Sequence[Accounted],
    rounds: int,
    seconds: float,
    calls: int,
    cores: tuple[int, int],
    tell: Callable[[str], None],
) -> list[tuple[int, int]]:
    """Measure both gateways in turns; the memory of the one with accounts after so many calls."""
    front, back = cores
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir="/var/tmp")))
        upstream = await stack.enter_async_context(role("upstream", back))
        base = f"http://127.0.0.1:{upstream.port}/v1"
        pair: list[Gateway] = []
        for name, settings in (("bare", {}), ("full", SETTINGS)):
            own = folder / name
            own.mkdir()
            pair.append(await stack.enter_async_context(gateway(front, base, own, settings)))
        loads = {}
        for kind in chosen:
            for one, key in zip(pair, ("", KEY), strict=True):
                load = HttpLoad(one.http_port, f"fake/{kind.model}", kind.connections, key)
                stack.push_async_callback(load.close)
                await load.open()
                loads[kind.name, one.http_port] = load
                await _cost(load, one, min(seconds, 0.5))
        for number in range(rounds):
            for kind in chosen:
                tell(f"round {number + 1} of {rounds}: {kind.name}")
                order = pair if number % 2 else pair[::-1]
                cost = {one.http_port: await _cost(loads[kind.name, one.http_port], one, seconds) for one in order}
                kind.rounds.append((cost[pair[0].http_port], cost[pair[1].http_port]))
        return await _remember(loads[chosen[0].name, pair[1].http_port], pair[1], calls, tell) if calls else []


async def _cost(load: HttpLoad, one: Gateway, seconds: float) -> float:
    cpu, end = one.meter.cpu(), time.monotonic() + seconds
    sample = await load.run(lambda: time.monotonic() < end)
    await asyncio.sleep(_SETTLE)
    return (one.meter.cpu() - cpu) / sample.calls / 1e3


async def _remember(load: HttpLoad, one: Gateway, calls: int, tell: Callable[[str], None]) -> list[tuple[int, int]]:
    found = []
    steps = 10
    for step in range(steps + 1):
        tell(f"memory: {step * calls // steps} of {calls} calls")
        left = iter(range(calls // steps))
        await load.run(lambda left=left: next(left, None) is not None)  # type: ignore[misc]
        await asyncio.sleep(_SETTLE)
        found.append((step * calls // steps, one.meter.memory()))
    return found


def text(chosen: Sequence[Accounted], memory: Sequence[tuple[int, int]]) -> str:
    """The report for people: a table in Markdown."""
    lines = ["| CPU of | without | with | ratio (least - most) | aim |", "|---|--:|--:|--:|---|"]
    for kind in chosen:
        ratios = [full / bare for bare, full in kind.rounds]
        bare, full = (statistics.median(each) for each in zip(*kind.rounds, strict=True))
        verdict = "met" if kind.ratio <= AIM else "not met"
        spread = f"{kind.ratio:.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
        lines.append(f"| {kind.name} | {bare:.0f} us | {full:.0f} us | {spread} | <= {AIM}: {verdict} |")
    if memory:
        # The first reading is the warm-up's.
        quarter = len(memory) // 4
        first, last = (
            statistics.mean([size for _, size in some]) for some in (memory[1 : 1 + quarter], memory[-quarter:])
        )
        growth = last / first - 1
        lines.append(
            f"\nMemory with accounts: {memory[0][1] / 2**20:.1f} MiB warm; over {memory[-1][0]} calls "
            f"{first / 2**20:.1f} MiB in the first quarter and {last / 2**20:.1f} MiB in the last, {growth:+.1%} "
            f"(aim: at most {GROWTH:.0%}: {'met' if growth <= GROWTH else 'not met'})."
        )
    return "\n".join(lines)


def plain(chosen: Sequence[Accounted]) -> list[dict[str, Any]]:
    """Every reading, for programs."""
    return [{"name": kind.name, "ratio": kind.ratio, "rounds": kind.rounds} for kind in chosen]
