"""Chaos: starts a deployment, calls it while it is broken again and again, and checks what became of every call."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from audit import Audit, audit
from callers import Callers, Seen
from deployment import deployment
from faults import Faults


def main() -> int:
    """Run it; the exit code tells whether all was as it must be."""
    parser = argparse.ArgumentParser(
        prog="chaos", description="Kills and stops what a deployment is made of, and checks what became of the calls."
    )
    parser.add_argument("--minutes", type=float, metavar="N", help="how long things go wrong [40 seconds]")
    parser.add_argument("--seconds", type=float, metavar="N", help="the same in seconds")
    parser.add_argument("--faults", type=int, metavar="N", help="how many things go wrong, however long that takes")
    parser.add_argument("--replicas", type=int, default=3, metavar="N", help="gateways [3]")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes of the last of them [2]")
    parser.add_argument("--callers", type=int, default=48, metavar="N", help="calls at once [48]")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="what chance begins with")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found to a file")
    args = parser.parse_args()
    seconds = args.minutes * 60 if args.minutes is not None else args.seconds or 40.0
    seed = random.randrange(10**6) if args.seed is None else args.seed  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        going = run(Path(folder), seconds, args.faults, [1] * (args.replicas - 1) + [args.workers], args.callers, seed)
        seen, done, found, took = asyncio.run(going)
    print(table(seen, done, found, took))
    if args.json is not None:
        told = {"seed": seed, "seconds": took, "faults": done, "calls": seen.tried, "found": asdict(found)}
        args.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if found.whole else 1


async def run(
    folder: Path, seconds: float, most: int | None, replicas: list[int], callers: int, seed: int
) -> tuple[Seen, dict[str, int], Audit, float]:
    """What callers saw, what was done to the deployment, what was found then, and how long it took. `replicas` are the
    processes of each gateway."""
    chance = random.Random(seed)  # noqa: S311
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", file=sys.stderr)

    tell(f"starting {len(replicas)} gateways, PostgreSQL and Valkey; seed {seed}")
    seen = Seen()
    async with deployment(folder, replicas) as running:
        faults = Faults(running, chance, tell)
        calling = Callers(running.replicas, seen, chance)
        begun = time.monotonic()
        task = asyncio.create_task(calling.run(callers))
        await faults.run(seconds, most)
        tell("all is mended; the callers stop")
        # Every counter is asked for once more, and so holds what the ledger knows.
        await asyncio.sleep(4.0)
        calling.stop()
        await task
        took = time.monotonic() - begun
        tell(f"{sum(seen.tried.values())} calls were made; the gateways stop")
        await asyncio.gather(*(one.stop() for one in running.replicas))
        tell("what callers saw is compared with the ledger and the counters")
        return seen, dict(faults.done), await audit(running, seen.ended), took


def table(seen: Seen, done: dict[str, int], found: Audit, took: float) -> str:
    """The report for people, in Markdown."""
    rows = [
        ("calls made", sum(seen.tried.values())),
        ("a second", round(sum(seen.tried.values()) / took)),
        *((f"of these {kind}", count) for kind, count in seen.kinds.most_common()),
        *(seen.tried.most_common()),
        *((f"fault: {what}", count) for what, count in sorted(done.items())),
        ("entries in the ledger", found.entries),
        ("of calls abandoned by a gateway that was killed", found.abandoned),
        ("of calls whose usage is estimated", found.estimated),
        ("dollars", f"{found.nanos / 10**9:.2f}"),
        ("**lost**: ends that were seen and are not in the ledger", found.lost),
        ("**doubled**", found.doubled),
        ("entries that were not shipped", found.unshipped),
        ("sums that are not those of their entries, and other problems", len(found.problems)),
        ("**overspent**, in nano-dollars", found.overspent),
        ("calls beyond the most of a minute", found.too_many),
        ("nano-dollars in the ledger and not in counters", found.undercounted),
        ("nano-dollars in counters and not in the ledger", found.overcounted),
    ]
    lines = ["| what | |", "|---|--:|", *(f"| {what} | {count} |" for what, count in rows)]
    lines += [f"\nproblem: {problem}" for problem in found.problems[:10]]
    return "\n".join([*lines, "", "whole" if found.whole else "NOT WHOLE"])


if __name__ == "__main__":
    sys.exit(main())
