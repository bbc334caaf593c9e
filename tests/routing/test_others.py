"""Providers that choose among providers themselves: whom they are asked for, and what is left to them."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.scripted_provider import asking
from routing.fleet import fleet, known

from trunkline.call import Call
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest, Routing
from trunkline.v1.embeddings_pb2 import EmbedRequest

_KINDS = {"a": "anthropic", "b": "openai-compatible", "hub": "openrouter"}
_ROUTES = {"all": ["a/m", "b/m", "hub/m"], "own": ["a/m", "b/m"], "hub": ["hub/m"]}


async def planned(model: str, routing: dict[str, Any], **facts: Any) -> tuple[list[str], ChatRequest]:
    """Who is asked, in order, and what."""
    knows = {"a/*": known(1.0), "b/*": known(2.0)} | ({"hub/*": known(3.0, **facts)} if facts else {})
    one = fleet(_KINDS, routes=_ROUTES, knows=knows)
    plan = await one.router.chat(asking(model=model, routing=routing), Call("req_1", "openai", "chat"))
    (leg,) = plan.legs
    return [candidate.target.provider.name for candidate in leg.candidates], leg.candidates[0].request


@pytest.mark.parametrize(
    ("routing", "asked", "told"),
    [
        ({"allowed_providers": ["google-vertex"]}, ["hub"], {"allowed_providers": ["google-vertex"]}),
        ({"allowed_providers": ["B", "Azure"]}, ["b", "hub"], {"allowed_providers": ["Azure"]}),
        ({"allowed_providers": ["hub"]}, ["hub"], {}),
        ({"allowed_providers": ["hub", "groq"]}, ["hub"], {"allowed_providers": ["groq"]}),
        ({"allowed_providers": ["Anthropic"]}, ["a"], None),
        ({"ignored_providers": ["azure"]}, ["a", "b", "hub"], {"ignored_providers": ["azure"]}),
        ({"ignored_providers": ["anthropic"]}, ["b", "hub"], {"ignored_providers": ["anthropic"]}),
        ({"provider_order": ["groq"]}, ["hub", "a", "b"], {"provider_order": ["groq"]}),
        ({"provider_order": ["b", "groq", "hub"]}, ["b", "hub", "a"], {"provider_order": ["groq"]}),
        (
            {"provider_order": ["groq"], "fallbacks": False},
            ["hub"],
            {"provider_order": ["groq"], "fallbacks": False},
        ),
        ({"provider_order": ["a"]}, ["a", "b", "hub"], {}),
    ],
)
async def test_names_that_are_none_of_ours(
    routing: dict[str, Any], asked: list[str], told: dict[str, Any] | None
) -> None:
    """Are meant for who chooses himself, and our own are not told to him."""
    order, request = await planned("all", routing)
    assert order == asked
    if told is not None:
        assert request.routing == Routing(**told)


async def test_nobody_chooses_among_others() -> None:
    """Then it stays with the error."""
    with pytest.raises(GatewayError, match=r"allowed_providers \(2\)"):
        await planned("own", {"allowed_providers": ["google-vertex"]})
    with pytest.raises(GatewayError, match=r"allowed_providers \(1\)"):
        await planned("hub", {"allowed_providers": ["anthropic"]})


_WISHES: list[dict[str, Any]] = [
    {"data_collection": "deny"},
    {"zero_data_retention": True},
    {"distillable_text": True},
    {"quantizations": ["fp8"]},
    {"max_price": {"prompt": 0.1}},
]


@pytest.mark.parametrize("routing", _WISHES)
async def test_what_is_not_known_of_his_is_left_to_him(routing: dict[str, Any]) -> None:
    """As he knows it, and keeps to it; it is not taken for granted of others."""
    assert (await planned("all", routing))[0] == ["hub"]


@pytest.mark.parametrize("routing", _WISHES)
async def test_what_is_known_counts(routing: dict[str, Any]) -> None:
    """For him as for everybody."""
    facts = {"retains_data": True, "zero_data_retention": False, "distillable": False, "quantization": "int4"}
    with pytest.raises(GatewayError, match="No target is left"):
        await planned("hub", routing, **facts)


async def test_embeddings() -> None:
    """As conversations."""
    one = fleet(_KINDS, routes=_ROUTES)
    request = EmbedRequest(model="all", routing={"allowed_providers": ["hub", "nebius"]})
    plan = await one.router.embed(request, Call("req_1", "openai", "embed"))
    (candidate,) = plan.legs[0].candidates
    assert candidate.request.routing == Routing(allowed_providers=["nebius"])
    assert request.routing.allowed_providers == ["hub", "nebius"]
