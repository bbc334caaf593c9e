"""The orders that targets are put in."""

from __future__ import annotations

import math
import random
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Final, NamedTuple, Protocol

from trunkline.routing.offer import Offer

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
            return [Ranked(offer, None, "configured order") for offer in offers]
        for _, keys in groupby(offers, lambda offer: (offer.target.provider.name, offer.target.model)):
            # The keys of one provider share its calls.
            same = sorted(keys, key=lambda offer: (offer.health.in_flight, chance()))
            ranked += [Ranked(offer, None, "configured order") for offer in same]
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
        prices = _prices(offers)
        least = min([price for price in prices if 0 < price < math.inf], default=1.0)
        # What is free counts as a hundred times cheaper than the cheapest that is not.
        shares = [(least / (price or least / 100)) ** 2 for price in prices]
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
        return [Ranked(offers[index], None if value == math.inf else -value, self.reason) for value, _, index in rated]


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
        return [Ranked(offers[index], -score, "cost, quality and latency") for score, _, index in rated]


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
    return [Ranked(offers[index], shares[index] / total, reason) for index in (first, *order)]


def by_chance() -> float:
    """A number from 0 up to 1."""
    return random.random()  # noqa: S311 - no secret depends on it
