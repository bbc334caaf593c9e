"""What a caller asks of the providers that may answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Final

from trunkline.catalog.price import Price
from trunkline.core.estimate import IMAGE_TOKENS
from trunkline.errors import invalid_request
from trunkline.routing.offer import Offer
from trunkline.routing.strategies import SORTS, Ranked
from trunkline.v1.chat_pb2 import MaxPrice, Percentiles, Routing

_WIDER: Final = {"fp4": frozenset({"fp4", "mxfp4", "nvfp4"}), "fp8": frozenset({"fp8", "mxfp8"})}
"""The forms of weights that another one's name stands for, too."""

_SHARES: Final = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99))
_NANO_PER_DOLLAR: Final = 1e9
_MILLION: Final = 1e6


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


Check = Callable[[Sequence[Offer]], list[bool]]
"""Which of some offers may answer."""


def checks_of(routing: Routing, own: Set[str]) -> list[tuple[str, Check]]:
    """The fields of `routing` by which offers may be left out, as far as they are set, and what they ask.

    `own` are the names of the configured providers. Any other is meant for those that choose among providers
    themselves; and what is not known of these, such as whether they keep data, is left to them, too.
    """
    checks: list[tuple[str, Check]] = []
    if routing.allowed_providers:
        allowed = _slugs(routing.allowed_providers)
        passed_on = not allowed <= own
        checks.append(
            (
                "allowed_providers",
                lambda offers: [
                    not allowed.isdisjoint(offer.slugs) or (passed_on and offer.chooses) for offer in offers
                ],
            )
        )
    if routing.ignored_providers:
        ignored = _slugs(routing.ignored_providers)
        checks.append(("ignored_providers", lambda offers: [ignored.isdisjoint(offer.slugs) for offer in offers]))
    if routing.data_collection == "deny":
        checks.append(("data_collection", _fact("retains_data", False)))
    if routing.zero_data_retention:
        checks.append(("zero_data_retention", _fact("zero_data_retention", True)))
    if routing.distillable_text:
        checks.append(("distillable_text", _fact("distillable", True)))
    if routing.quantizations:
        forms = frozenset().union(*(_WIDER.get(one, (one,)) for one in routing.quantizations))
        checks.append(
            (
                "quantizations",
                lambda offers: [
                    (offer.facts.quantization or "unknown") in forms or (offer.chooses and not offer.facts.quantization)
                    for offer in offers
                ],
            )
        )
    if routing.HasField("max_price"):
        checks.append(("max_price", _affordable(routing.max_price)))
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
    passed_on = min((place for slug, place in places.items() if slug not in own), default=None)
    rest: list[Ranked] = []
    first: list[tuple[int, int, Ranked]] = []
    for one in ranked:
        offer = one.offer
        if offer.slugs.isdisjoint(places):
            if passed_on is None or not offer.chooses:
                rest.append(one)
                continue
            place = passed_on
        else:
            place = min(places[slug] for slug in offer.slugs if slug in places)
            if passed_on is not None and offer.chooses:
                place = min(place, passed_on)
        first.append((place, len(first), one))
    first.sort()
    asked = [Ranked(one.offer, None, "provider_order") for _, _, one in first]
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
    """Those that cost no more. The bounds are nano-dollars for a million tokens that are read, written and heard, and
    for a request; an image is as many tokens as it is taken for where nobody counted them."""
    prompt, completion, request, audio, image = (
        getattr(most, name) * _NANO_PER_DOLLAR if most.HasField(name) else math.inf
        for name in ("prompt", "completion", "request", "audio", "image")
    )
    image *= _MILLION / IMAGE_TOKENS

    def check(offers: Sequence[Offer]) -> list[bool]:
        now = time.monotonic()
        prices = [offer.last_price if now < offer.until else offer.price for offer in offers]
        return [
            price.input <= prompt
            and (price.output or 0) <= completion
            and price.request <= request
            and (price.input_audio or 0) <= audio
            and (image == math.inf or _of_images(offer, price) <= image)
            if price is not None
            else offer.chooses
            for offer, price in zip(offers, prices, strict=True)
        ]

    return check


def _of_images(offer: Offer, price: Price) -> int:
    """Nano-dollars for a million tokens of images; zero where the model sees none."""
    if offer.known and "image" not in offer.facts.input:
        return 0
    return price.input if price.input_image is None else price.input_image
