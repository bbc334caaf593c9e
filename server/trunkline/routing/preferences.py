"""What a caller asks of the providers that may answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import compress
from typing import Final

from trunkline.errors import invalid_request
from trunkline.routing.offer import Offer, Rates
from trunkline.routing.slugs import CHOOSES
from trunkline.routing.strategies import SORTS, Ranked
from trunkline.v1.chat_pb2 import MaxPrice, Percentiles, Routing

_WIDER: Final = {"fp4": frozenset({"fp4", "mxfp4", "nvfp4"}), "fp8": frozenset({"fp8", "mxfp8"})}
"""The forms of weights that another one's name stands for, too."""

_SHARES: Final = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99))
_NANO_PER_DOLLAR: Final = 1e9


def check_routing(routing: Routing) -> None:
    """Raise `GatewayError` (INVALID_REQUEST) where `routing` says what nobody understands."""
    for field, value in routing.ListFields():
        match field.name:
            case "sort" if value.by and value.by not in SORTS:
                known = ", ".join(f"`{word}`" for word in sorted(SORTS))
                raise invalid_request(f"`routing.sort.by` must be one of {known}.", "routing.sort.by")
            case "data_collection" if value not in ("allow", "deny"):
                raise invalid_request("`routing.data_collection` must be `allow` or `deny`.", "routing.data_collection")
            case "max_price":
                for bound, dollars in value.ListFields():
                    if not 0 <= dollars < math.inf:
                        path = f"routing.max_price.{bound.name}"
                        raise invalid_request(f"`{path}` must not be negative.", path)


Check = Callable[[Sequence[Offer]], list[bool]]
"""Which of some offers may answer."""


def checks_of(routing: Routing, own: Set[str]) -> list[tuple[str, Check]]:
    """The fields of `routing` by which offers may be left out, as far as they are set, and what they ask.

    `own` are the names of the configured providers. Any other is meant for those that choose among providers
    themselves; and what is not known of these, such as whether they keep data, is left to them, too.
    """
    checks: list[tuple[str, Check]] = []
    for field, value in routing.ListFields():
        match field.name:
            case "allowed_providers":
                checks.append((field.name, _named(value, own)))
            case "ignored_providers":
                checks.append((field.name, _not_named(value)))
            case "data_collection" if value == "deny":
                checks.append((field.name, _fact("retains_data", False)))
            case "zero_data_retention" if value:
                checks.append((field.name, _fact("zero_data_retention", True)))
            case "distillable_text" if value:
                checks.append((field.name, _fact("distillable", True)))
            case "quantizations":
                checks.append((field.name, _stored(value)))
            case "max_price":
                checks.append((field.name, _affordable(value)))
    return checks


def for_others(routing: Routing, own: Set[str]) -> Routing | None:
    """What is asked of a provider that chooses among providers itself: none of our `own` names; None where `routing`
    holds none. Who is to be ignored is told all the same: the name of ours may be one of his, too."""
    order = [slug for slug in routing.provider_order if slug.casefold() not in own]
    allowed = [slug for slug in routing.allowed_providers if slug.casefold() not in own]
    if len(order) == len(routing.provider_order) and len(allowed) == len(routing.allowed_providers):
        return None
    others = Routing()
    others.CopyFrom(routing)
    others.provider_order[:] = order
    others.allowed_providers[:] = allowed
    return others


def in_asked_order(ranked: Sequence[Ranked], routing: Routing, own: Set[str]) -> list[Ranked]:
    """Those of `provider_order` first, and the others behind them unless there are to be no fallbacks. `own` is as in
    `checks_of`."""
    places: dict[str, int] = {}
    for slug in routing.provider_order:
        places.setdefault(slug.casefold(), len(places))
    passed_on = min([place for slug, place in places.items() if slug not in own], default=None)
    if passed_on is not None:
        places[CHOOSES] = min(passed_on, places.get(CHOOSES, passed_on))
    meant = frozenset(places)
    others = [one.offer.slugs.isdisjoint(meant) for one in ranked]
    rest = list(compress(ranked, others))
    first = [one for one, other in zip(ranked, others, strict=True) if not other]
    first.sort(key=lambda one: min([places[slug] for slug in one.offer.slugs & meant]))
    asked = [Ranked(one.offer, None, "provider_order") for one in first]
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


def _named(slugs: Iterable[str], own: Set[str]) -> Check:
    """Those that one of `slugs` names."""
    allowed = _slugs(slugs)
    if not allowed <= own:
        allowed |= {CHOOSES}
    return lambda offers: [not allowed.isdisjoint(offer.slugs) for offer in offers]


def _not_named(slugs: Iterable[str]) -> Check:
    """Those that none of `slugs` names."""
    ignored = _slugs(slugs)
    return lambda offers: [ignored.isdisjoint(offer.slugs) for offer in offers]


def _stored(forms: Iterable[str]) -> Check:
    """Those whose weights have one of `forms`."""
    wider = frozenset().union(*(_WIDER.get(form, (form,)) for form in forms))
    return lambda offers: [
        (offer.facts.quantization or "unknown") in wider or (offer.chooses and not offer.facts.quantization)
        for offer in offers
    ]


def _fact(name: str, wanted: bool) -> Check:
    """Those whose fact of that `name` is as `wanted`."""

    def check(offers: Sequence[Offer]) -> list[bool]:
        return [
            fact is wanted or (fact is None and offer.chooses)
            for offer in offers
            for fact in (getattr(offer.facts, name),)
        ]

    return check


def _affordable(most: MaxPrice) -> Check:
    """Those that cost no more."""
    bounds = [(Rates._fields.index(field.name), dollars * _NANO_PER_DOLLAR) for field, dollars in most.ListFields()]

    def check(offers: Sequence[Offer]) -> list[bool]:
        now = time.monotonic()
        rates = [offer.last_rates if now < offer.until else offer.rates for offer in offers]
        may = [True] * len(rates)
        for place, bound in bounds:
            may = [one and rate[place] <= bound for one, rate in zip(may, rates, strict=True)]
        return may

    return check
