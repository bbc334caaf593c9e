"""OpenRouter's `provider`: what a caller asks of those who may answer, and what a router is asked in its turn.

https://openrouter.ai/docs/guides/routing/provider-selection
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from trunkline.dialects.wire import Json, Object
from trunkline.errors import invalid_request
from trunkline.v1.chat_pb2 import MaxPrice, Percentiles, Routing

MOST_NAMES: Final = 64
"""The most names of one list: each is looked for among all targets."""
_LONGEST_NAME: Final = 256

_FLAGS: Final = {
    "allow_fallbacks": "fallbacks",
    "require_parameters": "require_parameters",
    "zdr": "zero_data_retention",
    "enforce_distillable_text": "distillable_text",
}
"""What is either so or not, and its field."""
_QUANTIZATIONS: Final = frozenset(
    {"int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown"}
)
_PRICES: Final = ("prompt", "completion", "request", "image", "audio")
_SORTS: Final = frozenset({"price", "throughput", "latency", "exacto"})
"""The orders that OpenRouter itself knows."""
_SHARES: Final = ("p50", "p75", "p90", "p99")


def decode_preferences(wire: Object, routing: Routing, sorts: Collection[str]) -> list[str]:
    """Read the object; `sorts` are the words that its `sort` may be.

    Gives the paths of what nobody knows, which stays. Raises `GatewayError` (INVALID_REQUEST), naming the field.
    """
    routing.provider_order.extend(take_names(wire, "order"))
    routing.allowed_providers.extend(take_names(wire, "only"))
    routing.ignored_providers.extend(take_names(wire, "ignore"))
    for key, field in _FLAGS.items():
        value = wire.take_bool(key)
        if value is not None:
            setattr(routing, field, value)
    _take_collection(wire, routing)
    _take_quantizations(wire, routing)
    _take_sort(wire, routing, sorts)
    _take_prices(wire, routing.max_price)
    if not routing.max_price.ListFields():
        routing.ClearField("max_price")
    _take_percentiles(wire, "preferred_min_throughput", routing)
    _take_percentiles(wire, "preferred_max_latency", routing)
    return [wire.at(name) for name, value in wire.rest().items() if value is not None]


def encode_preferences(routing: Routing) -> dict[str, Json]:
    """Write the object; empty where nothing is asked. It is about one model: what else may be tried instead, the
    gateway itself tries."""
    wire: dict[str, Json] = {}
    for key, names in (
        ("order", routing.provider_order),
        ("only", routing.allowed_providers),
        ("ignore", routing.ignored_providers),
        ("quantizations", routing.quantizations),
    ):
        if names:
            wire[key] = list(names)
    for key, field in _FLAGS.items():
        if routing.HasField(field):  # type: ignore[arg-type] # the stub has each name as a literal
            wire[key] = getattr(routing, field)
    if routing.data_collection:
        wire["data_collection"] = routing.data_collection
    if routing.sort.by in _SORTS:
        wire["sort"] = routing.sort.by
    for bounds in ("max_price", "preferred_min_throughput", "preferred_max_latency"):
        if routing.HasField(bounds):
            wire[bounds] = {field.name: value for field, value in getattr(routing, bounds).ListFields()}
    return wire


def take_names(wire: Object, key: str) -> list[str]:
    """The array of names at `key`; none where absent."""
    names = wire.take_list(key) or []
    path = wire.at(key)
    if len(names) > MOST_NAMES:
        raise invalid_request(f"`{path}` holds {len(names)} names; at most {MOST_NAMES} are taken.", path)
    for index, name in enumerate(names):
        if type(name) is not str or not 0 < len(name) <= _LONGEST_NAME:
            here = f"{path}[{index}]"
            raise invalid_request(f"`{here}` must be a name of at most {_LONGEST_NAME} characters.", here)
    return names


def _take_collection(wire: Object, routing: Routing) -> None:
    word = wire.take_str("data_collection")
    if word not in (None, "allow", "deny"):
        path = wire.at("data_collection")
        raise invalid_request(f"`{path}` must be `allow` or `deny`.", path)
    routing.data_collection = word or ""


def _take_quantizations(wire: Object, routing: Routing) -> None:
    for index, form in enumerate(take_names(wire, "quantizations")):
        if form not in _QUANTIZATIONS:
            path = f"{wire.at('quantizations')}[{index}]"
            known = ", ".join(f"`{one}`" for one in sorted(_QUANTIZATIONS))
            raise invalid_request(f"`{path}` must be one of {known}.", path)
        routing.quantizations.append(form)


def _take_sort(wire: Object, routing: Routing, sorts: Collection[str]) -> None:
    path = wire.at("sort")
    if isinstance(wire.fields.get("sort"), dict):
        inner = wire.take_object("sort")
        if inner is None:
            return
        word, path = inner.take_str("by"), inner.at("by")
        partition = inner.take_str("partition")
        if partition not in (None, "model", "none"):
            raise invalid_request(f"`{inner.at('partition')}` must be `model` or `none`.", inner.at("partition"))
        if partition == "none":
            routing.sort.across_models = True
    else:
        word = wire.take_str("sort")
    if word is None:
        return
    if word not in sorts:
        known = ", ".join(f"`{one}`" for one in sorted(sorts))
        raise invalid_request(f"`{path}` must be one of {known}.", path)
    routing.sort.by = word


def _take_prices(wire: Object, most: MaxPrice) -> None:
    """Read the highest prices, which the schema calls texts and the prose numbers."""
    inner = wire.take_object("max_price")
    if inner is None:
        return
    for name in _PRICES:
        value = inner.take(name)
        if value is not None:
            setattr(most, name, _dollars(value, inner.at(name)))


def _dollars(value: Json, path: str) -> float:
    number = math.nan
    if type(value) is int or type(value) is float:
        number = float(value) if abs(value) < 1e300 else math.nan
    elif type(value) is str and len(value) <= 32:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
    if not 0 <= number < math.inf:
        raise invalid_request(f"`{path}` must be a number of dollars, from zero.", path)
    return number


def _take_percentiles(wire: Object, key: str, routing: Routing) -> None:
    """Read a bound: for each share of the calls, or one for half of them."""
    bounds: Percentiles = getattr(routing, key)
    inner = wire.take_object(key) if isinstance(wire.fields.get(key), dict) else None
    if inner is None:
        value = wire.take_number(key, 0)
        if value is not None:
            bounds.p50 = value
        return
    for name in _SHARES:
        value = inner.take_number(name, 0)
        if value is not None:
            setattr(bounds, name, value)
