"""OpenRouter's `provider`, read and written."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from trunkline.dialects.openrouter.preferences import decode_preferences, encode_preferences
from trunkline.dialects.wire import Object
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import MaxPrice, Percentiles, Routing, RoutingSort

SORTS = ("price", "latency", "throughput", "exacto")


def read(provider: dict[str, Any]) -> tuple[Routing, list[str]]:
    """What is asked, and what nobody knows."""
    wire = Object({"provider": provider}).take_object("provider")
    assert wire is not None
    routing = Routing()
    return routing, decode_preferences(wire, routing, SORTS)


@pytest.mark.parametrize(
    ("provider", "routing"),
    [
        ({}, Routing()),
        ({"order": None, "sort": None, "max_price": None, "zdr": None}, Routing()),
        ({"order": ["OpenAI", "groq"]}, Routing(provider_order=["OpenAI", "groq"])),
        ({"only": ["a"], "ignore": ["b"]}, Routing(allowed_providers=["a"], ignored_providers=["b"])),
        ({"allow_fallbacks": False}, Routing(fallbacks=False)),
        ({"allow_fallbacks": True}, Routing(fallbacks=True)),
        ({"require_parameters": True}, Routing(require_parameters=True)),
        ({"data_collection": "deny"}, Routing(data_collection="deny")),
        ({"zdr": True}, Routing(zero_data_retention=True)),
        ({"enforce_distillable_text": True}, Routing(distillable_text=True)),
        ({"quantizations": ["fp8", "unknown"]}, Routing(quantizations=["fp8", "unknown"])),
        ({"sort": "price"}, Routing(sort=RoutingSort(by="price"))),
        ({"sort": {"by": "exacto", "partition": "model"}}, Routing(sort=RoutingSort(by="exacto"))),
        ({"sort": {"partition": "none"}}, Routing(sort=RoutingSort(across_models=True))),
        (
            {"max_price": {"prompt": "0.5", "completion": 2, "request": 0, "image": "1e-3", "audio": 1.5}},
            Routing(max_price=MaxPrice(prompt=0.5, completion=2, request=0, image=0.001, audio=1.5)),
        ),
        ({"max_price": {}}, Routing()),
        ({"preferred_min_throughput": 50}, Routing(preferred_min_throughput=Percentiles(p50=50))),
        (
            {"preferred_max_latency": {"p50": 1, "p99": 5.5}},
            Routing(preferred_max_latency=Percentiles(p50=1, p99=5.5)),
        ),
    ],
)
def test_each_field(provider: dict[str, Any], routing: Routing) -> None:
    """Each has its place in the contract, in every form that it comes in."""
    assert read(provider) == (routing, [])


def test_what_nobody_knows_is_named() -> None:
    """It refuses nothing; that it does nothing is for the caller to know. What is null was not said."""
    unknown = read({"order": ["a"], "novel": 1, "older": None, "max_price": {"video": "1"}, "sort": {"x": 1}})[1]

    assert unknown == ["provider.novel", "provider.max_price", "provider.sort"]


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ({"order": "openai"}, "provider.order"),
        ({"order": ["a", 1]}, "provider.order[1]"),
        ({"order": [""]}, "provider.order[0]"),
        ({"only": ["x" * 257]}, "provider.only[0]"),
        ({"ignore": ["a"] * 65}, "provider.ignore"),
        ({"allow_fallbacks": "no"}, "provider.allow_fallbacks"),
        ({"zdr": 1}, "provider.zdr"),
        ({"data_collection": "maybe"}, "provider.data_collection"),
        ({"quantizations": ["fp8", "fp7"]}, "provider.quantizations[1]"),
        ({"sort": "cheapest"}, "provider.sort"),
        ({"sort": ["price"]}, "provider.sort"),
        ({"sort": {"by": "cheapest"}}, "provider.sort.by"),
        ({"sort": {"by": "price", "partition": "all"}}, "provider.sort.partition"),
        ({"max_price": 1}, "provider.max_price"),
        ({"max_price": {"prompt": -1}}, "provider.max_price.prompt"),
        ({"max_price": {"completion": "much"}}, "provider.max_price.completion"),
        ({"max_price": {"request": "inf"}}, "provider.max_price.request"),
        ({"max_price": {"image": 10**400}}, "provider.max_price.image"),
        ({"max_price": {"audio": True}}, "provider.max_price.audio"),
        ({"max_price": {"audio": "1" * 5000}}, "provider.max_price.audio"),
        ({"preferred_min_throughput": "fast"}, "provider.preferred_min_throughput"),
        ({"preferred_max_latency": {"p90": -1}}, "provider.preferred_max_latency.p90"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(provider: dict[str, Any], path: str) -> None:
    """The message and the parameter name the field as its caller wrote it."""
    with pytest.raises(GatewayError) as raised:
        read(provider)

    assert raised.value.row.http == 400
    assert raised.value.param == path
    assert f"`{path}`" in raised.value.message


@pytest.mark.parametrize(
    "provider",
    [
        {},
        {"order": ["OpenAI"], "only": ["a"], "ignore": ["b"], "quantizations": ["fp8"]},
        {"allow_fallbacks": False, "require_parameters": True, "zdr": False, "enforce_distillable_text": True},
        {"data_collection": "deny", "sort": "throughput", "max_price": {"prompt": 0.5, "image": 0.0}},
        {"preferred_min_throughput": {"p50": 50.0}, "preferred_max_latency": {"p50": 1.0, "p99": 5.5}},
    ],
)
def test_what_was_read_is_written(provider: dict[str, Any]) -> None:
    """A router behind the gateway is asked what the gateway was asked."""
    assert encode_preferences(read(deepcopy(provider))[0]) == provider


@pytest.mark.parametrize("sort", [{"by": "balance"}, {"by": "least_busy"}, {"by": "", "across_models": True}])
def test_our_own_orders_are_not_written(sort: dict[str, Any]) -> None:
    """Another router does not know them, and it is asked about one model."""
    assert encode_preferences(Routing(sort=sort)) == {}
