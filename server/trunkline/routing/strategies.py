"""The orders that targets are put in."""

from __future__ import annotations

import math
import random
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby, repeat
from typing import Final, NamedTuple, Protocol

from trunkline.routing.offer import Offer

_FREE: Final = 100.0**2
"""How many times the share of the cheapest that costs something those have that are free."""

Chance = Callable[[], float]
"""A number from 0 up to 1."""


class Ranked(NamedTuple):
    """An offer in its place: its score, where it has one, and why it stands there."""

    offer: Offer
    score: float | None
    reason: str


class Strategy(Protocol):
    """Puts offers in order, best first."""

    @property
    def spreads(self) -> bool:
        """Whether calls that are alike go to different targets, so that a conversation may be kept at one."""
        ...

    def rank(self, offers: Sequence[Offer], chance: Chance) -> list[Ranked]:
        """`offers` in order."""
        ...


class Order:
    """As the configuration has them."""

    spreads = False

    def rank(self, offers: Sequence[Offer], chance: Chance) -> list[Ranked]:
        """See `Strategy.rank`."""
        ranked: list[Ranked] = []
        if not [offer for offer in offers if offer.target.key]:
            return _ranked(offers, repeat(None), "configured order")
        for _, keys in groupby(offers, lambda offer: (offer.target.provider.name, offer.target.model)):
            # The keys of one provider share its calls.
            same = sorted(keys, key=lambda offer: (offer.health.in_flight, chance()))
            ranked += _ranked(same, repeat(None), "configured order")
        return ranked


class Weighted:
    """By chance, by their shares."""

    spreads = True

    def rank(self, offers: Sequence[Offer], chance: Chance) -> list[Ranked]:
        """See `Strategy.rank`."""
        return _drawn(offers, [offer.weight for offer in offers], chance, "weight")


class InversePrice:
    """By chance, the cheaper the likelier: by one over the square of the price, as OpenRouter does. Those that are
    unpriced come last, and by even chance where none is priced."""

    spreads = True

    def rank(self, offers: Sequence[Offer], chance: Chance) -> list[Ranked]:
        """See `Strategy.rank`."""
        now = time.monotonic()
        shares = [offer.last_share if now < offer.until else offer.share for offer in offers]
        if math.inf in shares:
            # What is free counts as a hundred times cheaper than the cheapest that is not.
            free = _FREE * max([share for share in shares if share < math.inf], default=0.0) or 1.0
            shares = [min(share, free) for share in shares]
        return _drawn(offers, shares, chance, "inverse square of the price")


@dataclass(frozen=True, slots=True)
class Least:
    """Those first of which `value` is the least; equal ones by chance."""

    value: Callable[[Offer], float]
    reason: str
    spreads: bool = False

    def rank(self, offers: Sequence[Offer], chance: Chance) -> list[Ranked]:
        """See `Strategy.rank`."""
        rated = sorted([(self.value(offer), chance(), index) for index, offer in enumerate(offers)])
        return _ranked(
            [offers[index] for _, _, index in rated],
            [None if value == math.inf else -value for value, _, _ in rated],
            self.reason,
        )


@dataclass(frozen=True, slots=True)
class Weighing:
    """Those first whose cost, quality and latency together are the best.

    Each is a number from 0 to 1 beside the best of the offers: the least cost over its own, the least latency over its
    own, its quality over the greatest. Unknown costs count as nothing. An unknown latency counts as half of the least
    that is known, so that it becomes known where it may matter, but as twice the least while a call finds it out. What
    failed of late counts for less.
    """

    cost: float
    quality: float
    latency: float
    now: Callable[[], float]
    spreads: bool = True

    def rank(self, offers: Sequence[Offer], chance: Chance) -> list[Ranked]:
        """See `Strategy.rank`."""
        now = self.now()
        costs = [price or 1.0 for price in _prices(offers)]
        healths = [offer.health for offer in offers]
        waits = [health.median if now < health.median_until else health.latency() for health in healths]
        quickest = min([wait for wait in waits if wait is not None], default=1.0)
        if None in waits:
            quickest /= 2
        finest = max([offer.facts.quality for offer in offers]) or 1.0
        cost_share, latency_share = self.cost * min(costs), self.latency
        rated: list[tuple[float, float, int]] = []
        for index, offer in enumerate(offers):
            health, cost, wait = healths[index], costs[index], waits[index]
            score = self.quality * (offer.facts.quality / finest)
            if cost < math.inf:
                score += cost_share / cost
            if wait is not None:
                score += latency_share * quickest / wait
            else:
                score += latency_share * (0.25 if health.in_flight else 1.0)
            if health.faulty:
                score *= 1.0 - health.error_rate(now)
            rated.append((-score, chance(), index))
        rated.sort()
        return _ranked(
            [offers[index] for _, _, index in rated], [-score for score, _, _ in rated], "cost, quality and latency"
        )


def _prices(offers: Sequence[Offer]) -> list[float]:
    now = time.monotonic()
    return [offer.last_blended if now < offer.until else offer.blended for offer in offers]


def _latency(offer: Offer) -> float:
    latency = offer.health.latency()
    return _unknown(offer) if latency is None else latency


def _slowness(offer: Offer) -> float:
    speed = offer.health.throughput()
    return _unknown(offer) if speed is None else 1.0 / speed


def _unknown(offer: Offer) -> float:
    """What is not known is found out by one call; the others do not wait for what may never answer."""
    return math.inf if offer.health.in_flight else 0.0


def strategies(now: Callable[[], float]) -> Mapping[str, Strategy]:
    """Every strategy by its names. `now` tells the time, as `time.monotonic` does."""
    return {
        "order": Order(),
        "weighted": Weighted(),
        "inverse_price": InversePrice(),
        "price": Least(lambda offer: offer.blended, "price"),
        "latency": Least(_latency, "latency"),
        "throughput": Least(_slowness, "throughput"),
        "least_busy": Least(lambda offer: offer.health.in_flight / offer.weight, "calls in flight", True),
        "balance": Weighing(40, 40, 20, now),
        "cost": Weighing(80, 10, 10, now),
        "quality": Weighing(10, 80, 10, now),
        "fast": Weighing(10, 10, 80, now),
    }


MODES: Final[Mapping[str, str]] = {
    "balance": "balance",
    "balanced": "balance",
    "cost": "cost",
    "fast": "fast",
    "latency": "fast",
    "quality": "quality",
}
"""The auto modes, by every name that callers have for them."""

SORTS: Final[Mapping[str, str]] = {
    **MODES,
    "price": "price",
    "latency": "latency",
    "throughput": "throughput",
    "least_busy": "least_busy",
    # OpenRouter's order by the quality of tool calls; the catalogue knows a model's quality as a whole.
    "exacto": "quality",
}
"""The words of `RoutingSort.by`, and the strategy of each. `latency` is by latency alone, as at OpenRouter; the auto
mode of that name weighs the others too."""


def _drawn(offers: Sequence[Offer], shares: Sequence[float], chance: Chance, reason: str) -> list[Ranked]:
    """The first by chance, by its share; the others the greater share first, to fall back on."""
    total = sum(shares)
    if total <= 0:
        shares, total = [1.0] * len(offers), float(len(offers))  # nothing tells them apart
    point = chance() * total
    first = bisect_right(list(accumulate(shares[:-1])), point)
    order = sorted(range(len(offers)), key=shares.__getitem__, reverse=True)
    order.remove(first)
    order.insert(0, first)
    return _ranked([offers[index] for index in order], [shares[index] / total for index in order], reason)


def _ranked(offers: Iterable[Offer], scores: Iterable[float | None], reason: str) -> list[Ranked]:
    """Offers that are in order, each with its score."""
    # Every call makes one for each target: `Ranked` itself would take twice as long.
    return list(map(_new, zip(offers, scores, repeat(reason), strict=False)))


_new: Final[Callable[[tuple[Offer, float | None, str]], Ranked]] = partial(tuple.__new__, Ranked)


def by_chance() -> float:
    """A number from 0 up to 1."""
    return random.random()  # noqa: S311 - no secret depends on it
