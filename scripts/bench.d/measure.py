"""What is compared with what, and the rounds in which it is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final, Literal

import msgspec
from load import GrpcLoad, HttpLoad, Load, LoadError
from process import Gateway, Meter, Role

_LATE: Final = 120.0
"""Seconds beyond its time after which a load is given up."""
_SETTLE: Final = 0.05
"""Seconds that a process has for what it does after its last answer, such as writing its log."""


@dataclass(slots=True)
class Cost:
    """What one slice cost: processor time in microseconds for each call, latencies in microseconds, and how busy the
    cores of the measured process and of the load were, from 0 to 1."""

    cpu: float
    p50: float = 0.0
    p99: float = 0.0
    pieces: float = 0.0
    busy: float = 0.0
    load_busy: float = 0.0


Run = Callable[[float], Awaitable[Cost]]
"""Calls for some seconds, and tells the cost."""


@dataclass(slots=True)
class Case:
    """One kind of call: what is measured of it, by name, and what the rounds found."""

    name: str
    wire: Literal["http", "grpc"]
    model: str
    connections: int
    per: Literal["call", "stream"]
    runs: dict[str, Run] = field(default_factory=dict)
    rounds: list[dict[str, Cost]] = field(default_factory=list)


def cases() -> list[Case]:
    """Every kind of call, in the order in which they are told."""
    return [
        Case("http-unary", "http", "unary", 64, "call"),
        Case("http-unary-1", "http", "unary", 1, "call"),
        Case("http-burst", "http", "burst", 16, "stream"),
        Case("http-paced", "http", "paced", 8, "stream"),
        Case("grpc-unary", "grpc", "unary", 64, "call"),
        Case("grpc-burst", "grpc", "burst", 16, "stream"),
        Case("grpc-paced", "grpc", "paced", 8, "stream"),
    ]


class Bench:
    """The servers under load; `own` is the meter of this process, which makes the load."""

    def __init__(self, gateway: Gateway, roles: dict[str, Role], own: Meter) -> None:
        self._gateway = gateway
        self._relay = roles["relay"]
        self._echo = roles["echo"]
        self._grpc_relay = roles["grpc-relay"]
        self._caller = roles["caller"]
        self._upstream = roles["upstream"]
        self._own = own

    async def measure(self, chosen: Sequence[Case], rounds: int, seconds: float, tell: Callable[[str], None]) -> None:
        """Measure every case in every round, each subject for some seconds. Raises `LoadError`.

        Rounds are interleaved, and every other one goes backwards: what else the machine does hits all alike.
        """
        async with AsyncExitStack() as stack:
            for case in chosen:
                await self._prepare(case, stack)
            tell("warming up")
            for case in chosen:
                for run in case.runs.values():
                    await run(min(seconds, 0.5))
            for number in range(rounds):
                for case in chosen:
                    tell(f"round {number + 1} of {rounds}: {case.name}")
                    names = list(case.runs)
                    found = {name: await case.runs[name](seconds) for name in (names if number % 2 else names[::-1])}
                    case.rounds.append(found)

    async def remember(self, calls: int, tell: Callable[[str], None]) -> list[tuple[int, int]]:
        """The resident memory of the gateway, in bytes, after so many calls of every kind: warm, and ten times after.

        Of ten calls eight are unary over HTTP, one is over gRPC, and one is a stream, over either in turn.
        """
        gateway = self._gateway
        loads: list[tuple[Load, int, int]] = [
            (HttpLoad(gateway.http_port, "fake/unary", 64), 16, 64),
            (GrpcLoad(gateway.grpc_port, "fake/unary", 64), 2, 64),
            (HttpLoad(gateway.http_port, "fake/burst", 16), 1, 16),
            (GrpcLoad(gateway.grpc_port, "fake/burst", 16), 1, 16),
        ]
        steps = 10
        total = 0
        found: list[tuple[int, int]] = []
        async with AsyncExitStack() as stack:
            for load, _, _ in loads:
                stack.push_async_callback(load.close)
                await load.open()
            for step in range(steps + 1):
                tell(f"memory: {total} of {calls} calls")
                for load, share, connections in loads:
                    wanted = max(connections, calls * share // (20 * steps))
                    async with asyncio.timeout(_LATE + wanted / 50):
                        made = (await load.run(_as_many(wanted - connections))).calls
                    if step:
                        total += made
                await asyncio.sleep(_SETTLE)
                found.append((total, gateway.meter.memory()))
        return found

    async def _prepare(self, case: Case, stack: AsyncExitStack) -> None:
        """Give the case its runs: the gateway, what it is compared with, and the upstream alone."""
        targets: dict[str, tuple[Load, Meter]]
        gateway, model, size = self._gateway, case.model, case.connections
        if case.wire == "http":
            targets = {
                "gateway": (HttpLoad(gateway.http_port, f"fake/{model}", size), gateway.meter),
                "relay": (HttpLoad(self._relay.port, model, size), self._relay.meter),
            }
            if case.per == "call":
                targets["direct"] = (HttpLoad(self._upstream.port, model, size), self._upstream.meter)
        else:
            targets = {
                "gateway": (GrpcLoad(gateway.grpc_port, f"fake/{model}", size), gateway.meter),
                "echo": (GrpcLoad(self._echo.port, model, size), self._echo.meter),
                "grpc-relay": (GrpcLoad(self._grpc_relay.port, model, size), self._grpc_relay.meter),
            }
            case.runs["caller"] = partial(self._call, model, size)
        for name, (load, meter) in targets.items():
            stack.push_async_callback(load.close)
            await load.open()
            case.runs[name] = partial(self._load, load, meter)

    async def _load(self, load: Load, meter: Meter, seconds: float) -> Cost:
        """Put one server under load."""
        wall, cpu, own = time.monotonic_ns(), meter.cpu(), self._own.cpu() + self._upstream.meter.cpu()
        end = time.monotonic() + seconds
        async with asyncio.timeout(seconds + _LATE):
            sample = await load.run(lambda: time.monotonic() < end)
        took = time.monotonic_ns() - wall
        load_cpu = self._own.cpu() + self._upstream.meter.cpu() - own
        await asyncio.sleep(_SETTLE)
        used = meter.cpu() - cpu
        times = sorted(sample.times)
        return Cost(
            cpu=used / sample.calls / 1e3,
            p50=times[len(times) // 2] / 1e3,
            p99=times[len(times) * 99 // 100] / 1e3,
            pieces=sample.pieces / sample.calls,
            busy=used / took,
            load_busy=load_cpu / took,
        )

    async def _call(self, model: str, connections: int, seconds: float) -> Cost:
        """Have the caller call the upstream."""
        meter = self._caller.meter
        cpu = meter.cpu()
        async with asyncio.timeout(seconds + _LATE):
            calls = await self._caller.ask(msgspec.json.encode((model, connections, seconds)))
        if not calls:
            raise LoadError("the caller made no call")
        return Cost(cpu=(meter.cpu() - cpu) / calls / 1e3)


def _as_many(calls: int) -> Callable[[], bool]:
    numbers = count()
    return lambda: next(numbers) < calls
