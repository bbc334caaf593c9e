"""What is simulated, and the numbers that come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from routing.simulation.provider import Behaviour
from routing.simulation.traffic import Outcome, simulate

from trunkline.core.hedge import Hedge
from trunkline.core.plan import Policy
from trunkline.routing.health import Breaker
from trunkline.routing.strategies import strategies

UNLIKE: Final = {
    "budget": Behaviour(dollars=0.3, first=1.2, speed=40, quality=0.5),
    "quick": Behaviour(dollars=1.0, first=0.25, speed=200, quality=0.6),
    "fine": Behaviour(dollars=5.0, first=0.8, speed=70, quality=0.95),
    "steady": Behaviour(dollars=0.45, first=0.6, speed=90, quality=0.8),
    "shaky": Behaviour(dollars=0.4, first=0.5, speed=100, quality=0.6, errors=0.2),
}
"""Five targets of which each is the best at something."""

OUTAGE: Final = (60.0, 240.0)
"""When one of three targets is out, in seconds from the beginning."""

NO_BREAKER: Final = Breaker(failures=10**9)

_PATIENT: Final = Policy(first_event=10.0)


@dataclass(frozen=True)
class Table:
    """Numbers for people. `name` is where they stand in the page."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def text(self) -> str:
        """The table in Markdown."""
        lines = [self.head, ["---", *["--:"] * (len(self.head) - 1)], *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@cache
def by_strategy(strategy: str) -> Outcome:
    """Calls to the five by a strategy."""
    return simulate(UNLIKE, strategy=strategy, calls=1000)


@cache
def outage(strategy: str, *, breaker: bool = True, hangs: bool = False) -> Outcome:
    """Calls to three targets alike, of which the first is out for three minutes: it refuses, or does not answer."""
    first = Behaviour(outages=[OUTAGE], after=3600.0 if hangs else 0.05)
    behaviours = {"a": first, "b": Behaviour(), "c": Behaviour()}
    return simulate(behaviours, strategy=strategy, policy=_PATIENT, breaker=None if breaker else NO_BREAKER, calls=1800)


@cache
def retried(errors: float, retries: int) -> Outcome:
    """Calls to one target that fails by chance."""
    return simulate({"a": Behaviour(errors=errors)}, policy=Policy(retries), breaker=NO_BREAKER, calls=1000)


@cache
def limited(keys: int, rate: float, *, spare: bool = False) -> Outcome:
    """Calls to a provider that allows 120 in a minute for each key."""
    behaviours = {"a": Behaviour(limit=120)} | ({"b": Behaviour()} if spare else {})
    labels = {"a": [f"k{number}" for number in range(keys)]} if keys > 1 else {}
    return simulate(behaviours, keys=labels, rate=rate, calls=1500)


@cache
def hedged(share: float | None) -> Outcome:
    """Calls to two targets that are slow by chance, three of a hundred times."""
    hedge = None if share is None else Hedge(share)
    behaviours = {"a": Behaviour(tail=0.03), "b": Behaviour(tail=0.03)}
    return simulate(behaviours, policy=Policy(hedge=hedge), calls=2000)


@cache
def cached(strategy: str, *, affinity: bool) -> Outcome:
    """Calls of 100 conversations to three targets that cache prompts."""
    behaviours = {"a": Behaviour(1.0), "b": Behaviour(1.2), "c": Behaviour(1.4)}
    return simulate(behaviours, strategy=strategy, affinity=affinity, conversations=100, calls=1000)


@cache
def slow_for_a_while(strategy: str) -> Outcome:
    """Calls to two targets, of which the quicker one is slow for two minutes."""
    behaviours = {"quick": Behaviour(first=0.2, slow=[(60, 180)]), "other": Behaviour(first=0.4)}
    return simulate(behaviours, strategy=strategy, rate=2.0, calls=1500)


def recovery(outcome: Outcome, name: str, after: float) -> float | None:
    """Seconds after `after` until the provider answers again."""
    answers = [at for at in outcome.providers[name].counted.answers if at > after + 2.0]
    return min(answers) - after if answers else None


def _strategies() -> Table:
    head = ["strategy", *UNLIKE, "failed", "attempts", "price", "first token, p50", "p95"]
    rows = []
    for name in strategies(lambda: 0.0):
        one = by_strategy(name)
        shares = [f"{share:.0%}" for share in one.shares.values()]
        times = [f"{one.first(0.5):.2f} s", f"{one.first(0.95):.2f} s"]
        rows.append([f"`{name}`", *shares, str(one.failed), f"{one.attempts:.2f}", f"${one.dollars:.2f}", *times])
    return Table("strategies", head, rows)


def _outages() -> Table:
    head = ["strategy, breaker", "the target", "calls meanwhile", "failed", "attempts in vain", "p95", "back after"]
    rows = []
    for strategy, breaker, hangs in [
        ("order", True, False),
        ("order", False, False),
        ("order", True, True),
        ("order", False, True),
        ("weighted", True, False),
        ("weighted", True, True),
        ("balance", True, False),
        ("least_busy", True, True),
    ]:
        one = outage(strategy, breaker=breaker, hangs=hangs)
        meanwhile = one.between(*OUTAGE)
        vain = sum(call.attempts - 1 for call in meanwhile.calls)
        back = recovery(one, "a", OUTAGE[1])
        rows.append(
            [
                f"`{strategy}`, {'on' if breaker else 'off'}",
                "does not answer" if hangs else "refuses",
                str(len(meanwhile.calls)),
                str(meanwhile.failed),
                str(vain),
                f"{meanwhile.first(0.95):.2f} s",
                "-" if back is None else f"{back:.0f} s",
            ]
        )
    return Table("outages", head, rows)


def _retries() -> Table:
    head = ["attempts that fail", *(f"{retries} retries" for retries in range(4))]
    rows = [
        [f"{errors:.0%}", *(f"{retried(errors, retries).failed / 1000:.1%}" for retries in range(4))]
        for errors in (0.05, 0.2, 0.4)
    ]
    return Table("retries", head, rows)


def _limits() -> Table:
    head = ["calls in a minute", "keys", "another target", "answered with 429", "failed", "first token, p95"]
    rows = []
    for rate, keys, spare in [(1.5, 1, False), (3, 1, False), (3, 2, False), (5, 2, False), (3, 1, True)]:
        one = limited(keys, rate, spare=spare)
        refused = one.providers["a"].counted.limited
        rows.append(
            [
                f"{rate * 60:.0f}",
                str(keys),
                "yes" if spare else "no",
                str(refused),
                f"{one.failed / len(one.calls):.1%}",
                f"{one.first(0.95):.1f} s",
            ]
        )
    return Table("limits", head, rows)


def _hedges() -> Table:
    head = ["share", "made twice", "first token, p50", "p95", "p99"]
    rows = []
    for share in (None, 0.01, 0.05, 0.2):
        one = hedged(share)
        twice = sum(call.attempts > 1 for call in one.calls) / len(one.calls)
        times = [f"{one.first(part):.2f} s" for part in (0.5, 0.95, 0.99)]
        rows.append(["no hedging" if share is None else f"{share:.0%}", f"{twice:.1%}", *times])
    return Table("hedges", head, rows)


def _caches() -> Table:
    head = ["strategy", "prompts read from a cache", "without affinity"]
    rows = []
    for strategy in ("inverse_price", "weighted", "balance"):
        shares = []
        for affinity in (True, False):
            one = cached(strategy, affinity=affinity)
            shares.append(sum(provider.counted.cached for provider in one.providers.values()) / len(one.calls))
        rows.append([f"`{strategy}`", *(f"{share:.0%}" for share in shares)])
    return Table("caches", head, rows)


TABLES: Final[Sequence[Callable[[], Table]]] = (_strategies, _outages, _retries, _limits, _hedges, _caches)
"""What makes each table of the page."""
