"""What a caller asks of the providers: every field of `Routing`."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fakes.scripted_provider import ScriptedProvider
from routing.fleet import attempted, known, offer_of

from trunkline.catalog.catalog import Catalog
from trunkline.errors import GatewayError
from trunkline.routing.health import Board, Breaker, Health
from trunkline.routing.offer import Offer
from trunkline.routing.preferences import check_routing, checks_of, in_asked_order, slow
from trunkline.routing.strategies import SORTS, Ranked
from trunkline.v1.chat_pb2 import Routing


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"sort": {"by": "prize"}}, "routing.sort.by"),
        ({"data_collection": "perhaps"}, "routing.data_collection"),
        ({"max_price": {"prompt": -1}}, "routing.max_price.prompt"),
        ({"max_price": {"completion": math.nan}}, "routing.max_price.completion"),
        ({"max_price": {"request": math.inf}}, "routing.max_price.request"),
        ({"max_price": {"image": -0.1}}, "routing.max_price.image"),
        ({"max_price": {"audio": -0.1}}, "routing.max_price.audio"),
    ],
)
def test_what_nobody_understands(fields: dict[str, Any], param: str) -> None:
    """Is refused, with the field."""
    with pytest.raises(GatewayError) as told:
        check_routing(Routing(**fields))
    assert told.value.param == param


@pytest.mark.parametrize("word", sorted(SORTS))
def test_every_sort_is_understood(word: str) -> None:
    """As are the words of data collection."""
    for data in ("", "allow", "deny"):
        check_routing(Routing(sort={"by": word}, data_collection=data, max_price={"prompt": 0}))


def left_out(offer: Offer, routing: Routing) -> str | None:
    """The field by which an offer may not answer."""
    return next((field for field, may in checks_of(routing, frozenset({"a", "b"})) if not may([offer])[0]), None)


@pytest.mark.parametrize(
    ("fields", "facts", "field"),
    [
        ({}, {}, None),
        ({"allowed_providers": ["a"]}, {}, None),
        ({"allowed_providers": ["A", "b"]}, {}, None),
        ({"allowed_providers": ["openai-compatible"]}, {}, None),
        ({"allowed_providers": ["a/k"]}, {}, None),
        ({"allowed_providers": ["a/other"]}, {}, "allowed_providers"),
        ({"allowed_providers": ["b"]}, {}, "allowed_providers"),
        ({"ignored_providers": ["a"]}, {}, "ignored_providers"),
        ({"ignored_providers": ["b", "a/other"]}, {}, None),
        ({"data_collection": "allow"}, {}, None),
        ({"data_collection": "deny"}, {}, "data_collection"),
        ({"data_collection": "deny"}, {"retains_data": True}, "data_collection"),
        ({"data_collection": "deny"}, {"retains_data": False}, None),
        ({"zero_data_retention": True}, {}, "zero_data_retention"),
        ({"zero_data_retention": True}, {"zero_data_retention": True}, None),
        ({"zero_data_retention": False}, {}, None),
        ({"quantizations": ["unknown"]}, {}, None),
        ({"quantizations": ["fp8"]}, {}, "quantizations"),
        ({"quantizations": ["bf16", "fp8"]}, {"quantization": "fp8"}, None),
        ({"quantizations": ["fp8"]}, {"quantization": "mxfp8"}, None),
        ({"quantizations": ["mxfp8"]}, {"quantization": "fp8"}, "quantizations"),
        ({"quantizations": ["fp4"]}, {"quantization": "nvfp4"}, None),
    ],
)
def test_who_may_answer(fields: dict[str, Any], facts: dict[str, Any], field: str | None) -> None:
    """What is not known of a provider is not taken for granted."""
    assert left_out(offer_of("a", said=known(**facts), key="k"), Routing(**fields)) == field


@pytest.mark.parametrize(
    ("most", "dear"),
    [
        ({"prompt": 1.0}, False),
        ({"prompt": 0.99}, True),
        ({"completion": 5.0}, False),
        ({"completion": 4.99}, True),
        ({"prompt": 1.0, "completion": 4.0}, True),
        ({"request": 0.0}, False),
        ({"audio": 0.5}, False),
        ({"image": 0.001}, False),
        ({"image": 0.0009}, True),
    ],
)
def test_the_most_that_it_may_cost(most: dict[str, float], dear: bool) -> None:
    """In dollars for a million tokens. Who is unpriced is left out."""
    routing = Routing(max_price=most)
    seeing = known(1.0, 5.0, input=frozenset({"text", "image"}))
    assert (left_out(offer_of(said=seeing), routing) == "max_price") == dear
    assert left_out(offer_of(), routing) == "max_price"


def test_a_model_that_sees_nothing_has_no_price_of_images() -> None:
    """As OpenRouter lists none of it."""
    assert left_out(offer_of(said=known(1.0, 5.0)), Routing(max_price={"image": 0.0})) is None


@pytest.mark.parametrize(
    ("slug", "kind"),
    [("google-vertex", "vertex"), ("Google AI Studio", "gemini"), ("amazon-bedrock", "bedrock"), ("x-ai", "xai")],
)
def test_names_of_openrouters_providers(slug: str, kind: str) -> None:
    """Stand for our kinds."""
    offer = Offer(ScriptedProvider("mine"), "m", "", kind, Catalog(), Health(Breaker()))
    assert left_out(offer, Routing(allowed_providers=[slug])) is None
    assert left_out(offer, Routing(ignored_providers=[slug])) == "ignored_providers"


def _ranked(names: str) -> list[Ranked]:
    return [Ranked(offer_of(name), 1.0, "as it was") for name in names]


@pytest.mark.parametrize(
    ("fields", "order"),
    [
        ({}, "abc"),
        ({"provider_order": ["c", "a"]}, "cab"),
        ({"provider_order": ["c", "c", "nobody"]}, "cab"),
        ({"provider_order": ["c", "a"], "fallbacks": False}, "ca"),
        ({"provider_order": ["nobody"], "fallbacks": False}, "a"),
        ({"fallbacks": False}, "a"),
        ({"fallbacks": True}, "abc"),
        ({"provider_order": ["openai-compatible"], "fallbacks": False}, "abc"),
    ],
)
def test_who_is_asked_first(fields: dict[str, Any], order: str) -> None:
    """The others follow, unless there are to be no fallbacks."""
    found = in_asked_order(_ranked("abc"), Routing(**fields), frozenset())
    assert "".join(one.offer.target.provider.name for one in found) == order


def _measured(first: float, tokens: int) -> Offer:
    offer = offer_of(board=Board())
    for _ in range(20):
        attempt = attempted(at=1000.0, first=first, took=first + 1.0, tokens=tokens)
        offer.health.began(attempt)
        offer.health.ended(attempt)
    return offer


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"preferred_max_latency": {"p50": 3.0}}, None),
        ({"preferred_max_latency": {"p50": 1.0}}, "preferred_max_latency"),
        ({"preferred_max_latency": {"p50": 3.0, "p99": 1.0}}, "preferred_max_latency"),
        ({"preferred_min_throughput": {"p90": 20}}, None),
        ({"preferred_min_throughput": {"p90": 80}}, "preferred_min_throughput"),
        ({"preferred_min_throughput": {"p75": 20}, "preferred_max_latency": {"p75": 1}}, "preferred_max_latency"),
    ],
)
def test_who_is_slow(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], field: str | None) -> None:
    """By any of the shares; who is not known is not slow."""
    monkeypatch.setattr("time.monotonic", lambda: 1010.0)
    assert slow(_measured(first=2.0, tokens=40), Routing(**fields)) == field
    assert slow(offer_of(), Routing(**fields)) is None
