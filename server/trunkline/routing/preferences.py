"""What a caller asks of the providers that may answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from trunkline.errors import invalid_request
from trunkline.routing.offer import Offer
from trunkline.routing.strategies import SORTS, Ranked
from trunkline.v1.chat_pb2 import MaxPrice, Percentiles, Routing

_ALSO: Final = {
    "google-vertex": "vertex",
    "google vertex": "vertex",
    "google-ai-studio": "gemini",
    "google ai studio": "gemini",
    "google": "gemini",
    "amazon-bedrock": "bedrock",
    "amazon bedrock": "bedrock",
    "x-ai": "xai",
    "z-ai": "zai",
    "moonshotai": "moonshot",
}
"""OpenRouter's names of providers, and our kinds."""

_WIDER: Final = {"fp4": frozenset({"fp4", "mxfp4", "nvfp4"}), "fp8": frozenset({"fp8", "mxfp8"})}
"""The forms of weights that another one's name stands for, too."""

_SHARES: Final = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99))
_NANO_PER_DOLLAR: Final = 1e9


def check_routing(routing: Routing) -> None:
    """Raise `GatewayError` (INVALID_REQUEST) where `routing` says what nobody understands."""
    if routing.sort.by and routing.sort.by not in SORTS:
        known = ", ".join(f"`{word}`" for word in sorted(SORTS))
        raise invalid_request(f"`routing.sort.by` must be one of {known}.", "routing.sort.by")
    if routing.data_collection not in ("", "allow", "deny"):
        raise invalid_request("`routing.data_collection` must be `allow` or `deny`.", "routing.data_collection")
    for name in ("prompt", "completion", "request", "image", "audio"):
        if routing.max_price.HasField(name) and not 0 <= getattr(routing.max_price, name) < math.inf:
            raise invalid_request(f"`routing.max_price.{name}` must not be negative.", f"routing.max_price.{name}")


def excluded(offer: Offer, routing: Routing) -> str | None:
    """The field of `routing` by which the offer may not answer; None where it may."""
    if routing.allowed_providers and not _named(offer, routing.allowed_providers):
        return "allowed_providers"
    if routing.ignored_providers and _named(offer, routing.ignored_providers):
        return "ignored_providers"
    facts = offer.facts
    if routing.data_collection == "deny" and facts.retains_data is not False:
        return "data_collection"
    if routing.zero_data_retention and facts.zero_data_retention is not True:
        return "zero_data_retention"
    if routing.quantizations and not _has_form(facts.quantization or "unknown", routing.quantizations):
        return "quantizations"
    if routing.HasField("max_price") and _dearer(offer, routing.max_price):
        return "max_price"
    return None


def in_asked_order(ranked: Sequence[Ranked], routing: Routing) -> list[Ranked]:
    """Those of `provider_order` first, and the others behind them unless there are to be no fallbacks."""
    first: list[Ranked] = []
    rest = list(ranked)
    for slug in routing.provider_order:
        found = [one for one in rest if _named(one.offer, (slug,))]
        first += [one._replace(score=None, reason="provider_order") for one in found]
        rest = [one for one in rest if one not in found]
    if routing.HasField("fallbacks") and not routing.fallbacks:
        return first or rest[:1]
    return first + rest


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


def _named(offer: Offer, slugs: Iterable[str]) -> bool:
    """Whether one of `slugs` names the offer: its provider, the provider's kind, or `provider/key`."""
    provider, key = offer.target.provider.name.casefold(), offer.target.key.casefold()
    for slug in slugs:
        base, _, variant = slug.casefold().partition("/")
        if variant and variant != key:
            continue
        if base in (provider, offer.kind) or _ALSO.get(base) == offer.kind:
            return True
    return False


def _has_form(form: str, asked: Iterable[str]) -> bool:
    return any(form in _WIDER.get(one, (one,)) for one in asked)


def _dearer(offer: Offer, most: MaxPrice) -> bool:
    price = offer.price
    if price is None:
        return True
    return (
        (most.HasField("prompt") and price.input > most.prompt * _NANO_PER_DOLLAR)
        or (most.HasField("completion") and (price.output or 0) > most.completion * _NANO_PER_DOLLAR)
        or (most.HasField("request") and price.request > most.request * _NANO_PER_DOLLAR)
        or (most.HasField("audio") and (price.input_audio or 0) > most.audio * _NANO_PER_DOLLAR)
    )
