"""The bench: starts every process, measures in rounds, tells the result, and stops what it started."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import cast

import accounting
import msgspec
import routing
import translation
import uvloop
from load import LoadError
from measure import Bench, Case, cases
from process import Meter, ProcessError, gateway, role
from report import Memory, figures, memory, text, warnings

TRANSLATION = "translation"
"""What is measured without any server: what it costs to translate."""
ROUTING = "routing"
"""What is measured without any server: what the decision costs where a call goes."""
ACCOUNTING = "accounting"
"""What keys, limits and the ledger cost beside a gateway without them."""


def main() -> int:
    """Run the bench; the exit code tells whether it could."""
    args = _arguments()
    chosen = [case for case in cases() if case.name in args.only]
    translated = translation.translations() if TRANSLATION in args.only else []
    decided = routing.decisions() if ROUTING in args.only else []
    counted = accounting.kinds() if ACCOUNTING in args.only else []
    kept: list[tuple[int, int]] = []
    remembered = None
    try:
        translation.measure(translated, args.rounds, args.seconds)
        routing.measure(decided, args.rounds, args.seconds)
        if counted:
            kept = uvloop.run(account(counted, args.rounds, args.seconds, args.calls))
        if chosen:
            remembered = uvloop.run(bench(chosen, args.rounds, args.seconds, args.calls))
    except (LoadError, ProcessError, TimeoutError) as error:
        print(f"bench: {error or 'a load took too long'}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("bench: stopped", file=sys.stderr)
        return 130
    found, warned = figures(chosen), warnings(chosen)
    if translated:
        print(translation.text(translated) + "\n" * bool(chosen or decided))
    if decided:
        print(routing.text(decided) + "\n" * bool(chosen))
    if counted:
        print(accounting.text(counted, kept) + "\n" * bool(chosen))
    if chosen:
        print(text(found, remembered, warned))
    if args.json is not None:
        result = {
            "machine": machine(),
            "rounds": args.rounds,
            "seconds": args.seconds,
            "figures": [asdict(figure) for figure in found],
            "memory": None if remembered is None else asdict(remembered),
            "warnings": warned,
            "translations": translation.plain(translated),
            "decisions": routing.plain(decided),
            "accounting": accounting.plain(counted),
            "costs": {
                case.name: [{name: asdict(cost) for name, cost in one.items()} for one in case.rounds]
                for case in chosen
            },
        }
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    return 0


async def account(chosen: list[accounting.Accounted], rounds: int, seconds: float, calls: int) -> list[tuple[int, int]]:
    """Measure what accounts cost. Everything that it starts is stopped with it."""
    task = cast("asyncio.Task[object]", asyncio.current_task())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    front, back = _cores()
    os.sched_setaffinity(0, {back})
    return await accounting.measure(
        chosen, rounds, seconds, calls, (front, back), lambda what: print(what, file=sys.stderr)
    )


async def bench(chosen: list[Case], rounds: int, seconds: float, calls: int) -> Memory | None:
    """Measure the cases and, unless `calls` is 0, the memory. Everything that it starts is stopped with it."""
    task = cast("asyncio.Task[object]", asyncio.current_task())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    front, back = _cores()
    os.sched_setaffinity(0, {back})
    started = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {what}", file=sys.stderr)

    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        roles = {"upstream": await stack.enter_async_context(role("upstream", back))}
        base = f"http://127.0.0.1:{roles['upstream'].port}/v1"
        for name in ("relay", "echo", "grpc-relay", "caller"):
            roles[name] = await stack.enter_async_context(role(name, front, base))
        server = await stack.enter_async_context(gateway(front, base, directory))
        running = Bench(server, roles, Meter(os.getpid()))
        await running.measure(chosen, rounds, seconds, tell)
        return memory(await running.remember(calls, tell)) if calls else None


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count() or 1,
    }


def _cores() -> tuple[int, int]:
    """The core of what is measured, and that of the load."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("bench: only one core; latencies will hold the time of the load too", file=sys.stderr)
    return cores[0], cores[-1]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description="Measures the gateway beside the least that could do it."
    )
    names = [TRANSLATION, ACCOUNTING, ROUTING, *(case.name for case in cases())]
    parser.add_argument(
        "--quick", action="store_true", help="about a minute: 3 rounds of 0.5 s, 20000 calls for memory"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="how often everything is measured [9]")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long each load lasts in a round [1.0]")
    parser.add_argument("--calls", type=int, metavar="N", help="calls between the readings of memory, 0: none [200000]")
    parser.add_argument("--only", action="append", choices=names, metavar="CASE", help=f"one of: {', '.join(names)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to a file")
    args = parser.parse_args()
    rounds, seconds, calls = (3, 0.5, 20_000) if args.quick else (9, 1.0, 200_000)
    args.rounds = rounds if args.rounds is None else args.rounds
    args.seconds = seconds if args.seconds is None else args.seconds
    args.calls = calls if args.calls is None else args.calls
    args.only = args.only or names
    if args.rounds < 1 or args.seconds <= 0 or args.calls < 0:
        parser.error("the number of rounds and the seconds must be above zero, the number of calls not below")
    return args


if __name__ == "__main__":
    sys.exit(main())
