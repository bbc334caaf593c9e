"""What a caller asks of the providers that may answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from trunkline.catalog.price import Price
from trunkline.errors import invalid_request
from trunkline.routing.offer import Offer
from trunkline.routing.strategies import SORTS, Ranked
from trunkline.v1.chat_pb2 import MaxPrice, Percentiles, Routing

_WIDER: Final = {"fp4": frozenset({"fp4", "mxfp4", "nvfp4"}), "fp8": frozenset({"fp8", "mxfp8"})}
"""The forms of weights that another one's name stands for, too."""

_SHARES: Final = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99))
_NANO_PER_DOLLAR: Final = 1e9


def check_routing(routing: Routing) -> None:
    """Raise `GatewayError` (INVALID_REQUEST) where `routing` says what nobody understands."""
    sort = routing.sort.by
    if sort and sort not in SORTS:
        known = ", ".join(f"`{word}`" for word in sorted(SORTS))
        raise invalid_request(f"`routing.sort.by` must be one of {known}.", "routing.sort.by")
    if routing.data_collection not in ("", "allow", "deny"):
        raise invalid_request("`routing.data_collection` must be `allow` or `deny`.", "routing.data_collection")
    if not routing.HasField("max_price"):
        return
    most = routing.max_price
    for name in ("prompt", "completion", "request", "image", "audio"):
        if most.HasField(name) and not 0 <= getattr(most, name) < math.inf:
            raise invalid_request(f"`routing.max_price.{name}` must not be negative.", f"routing.max_price.{name}")


Check = Callable[[Offer], bool]
"""Whether an offer may answer."""


def checks_of(routing: Routing) -> list[tuple[str, Check]]:
    """The fields of `routing` by which offers may be left out, as far as they are set, and what they ask."""
    checks: list[tuple[str, Check]] = []
    if routing.allowed_providers:
        allowed = _slugs(routing.allowed_providers)
        checks.append(("allowed_providers", lambda offer: not allowed.isdisjoint(offer.slugs)))
    if routing.ignored_providers:
        ignored = _slugs(routing.ignored_providers)
        checks.append(("ignored_providers", lambda offer: ignored.isdisjoint(offer.slugs)))
    if routing.data_collection == "deny":
        checks.append(("data_collection", lambda offer: offer.facts.retains_data is False))
    if routing.zero_data_retention:
        checks.append(("zero_data_retention", lambda offer: offer.facts.zero_data_retention is True))
    if routing.quantizations:
        forms = frozenset().union(*(_WIDER.get(one, (one,)) for one in routing.quantizations))
        checks.append(("quantizations", lambda offer: (offer.facts.quantization or "unknown") in forms))
    if routing.HasField("max_price"):
        bounds = _bounds(routing.max_price)
        checks.append(("max_price", lambda offer: _affordable(offer.price, bounds)))
    return checks


def in_asked_order(ranked: Sequence[Ranked], routing: Routing) -> list[Ranked]:
    """Those of `provider_order` first, and the others behind them unless there are to be no fallbacks."""
    places: dict[str, int] = {}
    for slug in routing.provider_order:
        places.setdefault(slug.casefold(), len(places))
    first: list[tuple[int, int]] = []
    rest: list[Ranked] = []
    for index, one in enumerate(ranked):
        slugs = one.offer.slugs
        if slugs.isdisjoint(places):
            rest.append(one)
        else:
            first.append((min(places[slug] for slug in slugs if slug in places), index))
    first.sort()
    asked = [Ranked(ranked[index].offer, None, "provider_order") for _, index in first]
    if routing.HasField("fallbacks") and not routing.fallbacks:
        return asked or rest[:1]
    return asked + rest


def slow(offer: Offer, routing: Routing) -> str | None:
    """The field of `routing` by which the offer is to be tried last; None where it is not, or where that is unknown."""
    least, most = routing.preferred_min_throughput, routing.preferred_max_latency
    if _falls_short(least, offer.health.throughput, low=True):
        return "preferred_min_throughput"
    if _falls_short(most, offer.health.latency, low=False):
        return "preferred_max_latency"
    return None


def _falls_short(bounds: Percentiles, measured: object, *, low: bool) -> bool:
    for name, share in _SHARES:
        if bounds.HasField(name):  # type: ignore[arg-type]
            value = measured(share)  # type: ignore[operator]
            if value is not None and (value < getattr(bounds, name) if low else value > getattr(bounds, name)):
                return True
    return False


def _slugs(slugs: Iterable[str]) -> frozenset[str]:
    return frozenset(slug.casefold() for slug in slugs)


def _bounds(most: MaxPrice) -> tuple[float, float, float, float]:
    """The most nano-dollars for a million tokens read and written, for a request and for a million tokens heard."""
    prompt, completion, request, audio = (
        getattr(most, name) * _NANO_PER_DOLLAR if most.HasField(name) else math.inf
        for name in ("prompt", "completion", "request", "audio")
    )
    return prompt, completion, request, audio


def _affordable(price: Price | None, bounds: tuple[float, float, float, float]) -> bool:
    if price is None:
        return False
    prompt, completion, request, audio = bounds
    return (
        price.input <= prompt
        and (price.output or 0) <= completion
        and price.request <= request
        and (price.input_audio or 0) <= audio
    )
