"""What the rounds say: each cost beside its baseline, their ratio, and whether the aim was met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from measure import Case, Cost
from payload import TOKENS, grpc_events

AIM: Final = 1.5
"""The most that the gateway may cost, as a multiple of its baseline."""
GROWTH: Final = 0.01
"""The share of the memory at half of the calls by which it may differ at their end."""
MESSAGES: Final = len(grpc_events())
"""The messages of a stream over gRPC."""

Verdict = Literal["met", "not met", "unclear", ""]


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison. `gateway` and `baseline` are medians over the rounds in microseconds; the ratios are those of
    the rounds, each against the baseline of its own round. `verdict` is empty where there is no aim."""

    name: str
    what: str
    gateway: float
    baseline: float
    ratio: float
    least: float
    most: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in bytes by the number of calls made since the gateway was warm."""

    steps: list[tuple[int, int]]
    verdict: Verdict

    @property
    def late_growth(self) -> float:
        """What the second half of the calls added, as a share."""
        half = self.steps[len(self.steps) // 2][1]
        return (self.steps[-1][1] - half) / half


def figures(cases: Sequence[Case]) -> list[Figure]:
    """Every comparison that the measured cases allow."""
    found: list[Figure] = []
    for case in cases:
        if case.name != "http-unary-1":
            found.extend(_costs(case))
    for case in cases:
        if "direct" in case.runs:
            at = f"{case.connections} connection{'s' if case.connections > 1 else ''}"
            found.append(_latency(case, f"added latency, p50, {at}", lambda cost: cost.p50))
            found.append(_latency(case, f"added latency, p99, {at}", lambda cost: cost.p99))
    return found


def memory(steps: list[tuple[int, int]]) -> Memory:
    """The verdict on how memory went."""
    judged = Memory(steps, "")
    return Memory(steps, "met" if judged.late_growth <= GROWTH else "not met")


def warnings(cases: Sequence[Case]) -> list[str]:
    """What makes a figure worth less than it seems."""
    found = []
    for case in cases:
        busiest = statistics.median([costs["gateway"].load_busy for costs in case.rounds])
        if busiest > 0.9 and case.name == "http-unary":
            found.append(f"{case.name}: the core of the load was {busiest:.0%} busy, which latencies hold too")
        share = statistics.median([costs["gateway"].busy for costs in case.rounds])
        if share < 0.9 and case.connections == 64:
            found.append(
                f"{case.name}: the gateway had {share:.0%} of its core: latencies hold the work of other programs"
            )
        pieces = statistics.median([costs["gateway"].pieces for costs in case.rounds])
        if case.model == "paced" and pieces < 0.95 * MESSAGES - 5:
            found.append(f"{case.name}: chunks came together, {pieces:.0f} pieces a stream: the machine is too slow")
    return found


def text(found: Sequence[Figure], remembered: Memory | None, warned: Sequence[str]) -> str:
    """The report for people: a table in Markdown."""
    lines = [
        "| what | gateway | baseline | ratio (least - most) | aim |",
        "|---|--:|--:|--:|---|",
    ]
    for figure in found:
        aim = f"<= {AIM}: {figure.verdict}" if figure.verdict else ""
        spread = f"{figure.ratio:.2f} ({figure.least:.2f} - {figure.most:.2f})"
        lines.append(f"| {figure.what} | {figure.gateway:.0f} us | {figure.baseline:.0f} us | {spread} | {aim} |")
    if remembered is not None:
        steps = remembered.steps
        first, middle, last = steps[0], steps[len(steps) // 2], steps[-1]
        lines.append("")
        lines.append(
            f"Memory: {_mib(first[1])} warm, {_mib(middle[1])} after {middle[0]} calls, "
            f"{_mib(last[1])} after {last[0]}; "
            f"second half {remembered.late_growth:+.2%} (aim: no growth, at most {GROWTH:.0%}: {remembered.verdict})."
        )
    lines.extend(f"\nWarning: {warning}." for warning in warned)
    return "\n".join(lines)


def _costs(case: Case) -> list[Figure]:
    """The processor time beside the baseline of the aim and, over gRPC, beside what joins its two halves."""
    if case.per == "call":
        what, parts = "a call", 1
    else:
        kind = "in one burst" if case.model == "burst" else "paced"
        what, parts = (
            (f"a stream of {TOKENS} chunks, {kind}", 1)
            if case.wire == "http"
            else (f"a streamed message, {kind}", MESSAGES)
        )
    against = {("relay",): True} if case.wire == "http" else {("echo", "caller"): True, ("grpc-relay",): False}
    found = []
    for names, aimed in against.items():
        pairs = [
            (costs["gateway"].cpu / parts, sum(costs[name].cpu for name in names) / parts) for costs in case.rounds
        ]
        wire = "HTTP" if case.wire == "http" else "gRPC"
        found.append(_figure(case.name, f"CPU of {what}: {wire} / {' + '.join(names)}", pairs, aimed=aimed))
    return found


def _latency(case: Case, what: str, of: Callable[[Cost], float]) -> Figure:
    pairs = [
        (of(costs["gateway"]) - of(costs["direct"]), of(costs["relay"]) - of(costs["direct"])) for costs in case.rounds
    ]
    return _figure(case.name, f"{what}: HTTP / relay", pairs, aimed=False)


def _figure(name: str, what: str, pairs: Sequence[tuple[float, float]], *, aimed: bool) -> Figure:
    ratios = [gateway / baseline for gateway, baseline in pairs]
    return Figure(
        name,
        what,
        statistics.median([gateway for gateway, _ in pairs]),
        statistics.median([baseline for _, baseline in pairs]),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        _verdict(ratios) if aimed else "",
    )


def _verdict(ratios: Sequence[float]) -> Verdict:
    """By the middle half of the rounds: unclear where the aim lies within it."""
    if len(ratios) >= 4:
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    else:
        low, high = min(ratios), max(ratios)
    if high <= AIM:
        return "met"
    return "not met" if low > AIM else "unclear"


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
