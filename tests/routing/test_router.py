"""Where calls go, all in all."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fakes.scripted_provider import asking, failure
from routing.fleet import Fleet, attempted, fleet, known

from trunkline.call import Call, Caller
from trunkline.core.plan import Plan
from trunkline.errors import GatewayError
from trunkline.routing.rules import Action, Match, Rule, Rules
from trunkline.routing.spec import PoolSpec, RouteSpec
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Usage
from trunkline.v1.content_pb2 import Media, Part
from trunkline.v1.embeddings_pb2 import EmbedRequest


def calling(caller: str = "") -> Call:
    """A call."""
    return Call("req_1", "openai", "chat", caller=caller, owner=Caller(caller))


def order(plan: Plan[Any]) -> list[str]:
    """The providers of all legs in order, with a stroke between two legs."""
    return [
        name
        for index, leg in enumerate(plan.legs)
        for name in [*(["|"] if index else []), *(one.target.provider.name for one in leg.candidates)]
    ]


async def planned(one: Fleet, request: ChatRequest, call: Call | None = None) -> Plan[ChatRequest]:
    """The plan for a request."""
    return await one.router.chat(request, call or calling())


_PRICES = {"a/*": known(1.0), "b/*": known(2.0), "c/*": known(3.0)}
_ALL = {"all": ["a/m", "b/m", "c/m"]}


@pytest.mark.parametrize(
    ("routing", "expected"),
    [
        ({}, ["a", "b", "c"]),
        ({"provider_order": ["c"]}, ["c", "a", "b"]),
        ({"provider_order": ["c", "b"], "fallbacks": False}, ["c", "b"]),
        ({"fallbacks": False}, ["a"]),
        ({"allowed_providers": ["c", "a"]}, ["a", "c"]),
        ({"ignored_providers": ["a"]}, ["b", "c"]),
        ({"max_price": {"prompt": 2.0}}, ["a", "b"]),
        ({"sort": {"by": "price"}, "ignored_providers": ["b"]}, ["a", "c"]),
        ({"fallback_models": ["b/n", "c/n"]}, ["a", "b", "c", "|", "b", "|", "c"]),
        ({"fallback_models": ["nobody/n", "c/n"]}, ["a", "b", "c", "|", "c"]),
        ({"fallback_models": ["c/n"], "ignored_providers": ["a", "b", "c"][:2]}, ["c", "|", "c"]),
        ({"fallback_models": ["c/n"], "sort": {"by": "price", "across_models": True}}, ["a", "b", "c", "c"]),
        ({"session_id": "s"}, ["a", "b", "c"]),
    ],
)
async def test_what_callers_ask(routing: dict[str, Any], expected: list[str]) -> None:
    """Of the providers, over the route's own order."""
    one = fleet(routes=_ALL, knows=_PRICES)
    found = order(await planned(one, asking(model="all", routing=routing)))
    if "across_models" in routing.get("sort", {}):
        assert found[:2] == expected[:2]
        assert sorted(found) == sorted(expected)
    else:
        assert found == expected


async def test_nobody_is_left() -> None:
    """The caller is told by which of his wishes."""
    one = fleet(routes=_ALL, knows=_PRICES)
    with pytest.raises(GatewayError) as told:
        await planned(one, asking(model="all", routing={"allowed_providers": ["a"], "max_price": {"prompt": 0.1}}))
    assert told.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND
    assert "allowed_providers (2)" in told.value.message
    assert "max_price (1)" in told.value.message


async def test_no_name_leads_anywhere() -> None:
    """The error is about the first one."""
    one = fleet()
    with pytest.raises(GatewayError) as told:
        await planned(one, asking(model="none/x", routing={"fallback_models": ["none/y"]}))
    assert "none/x" in told.value.message


async def test_a_wish_that_nobody_understands() -> None:
    """Is refused."""
    with pytest.raises(GatewayError) as told:
        await planned(fleet(), asking(model="a/m", routing={"sort": {"by": "magic"}}))
    assert told.value.param == "routing.sort.by"


async def test_only_who_can_do_it() -> None:
    """Those that can do all of it are asked alone; where nobody can, everybody is asked, and tells what was lost. An
    auto mode refuses."""
    plain = known(features=frozenset())
    one = fleet(
        routes={**_ALL, "plain": ["a/m", "b/m"]},
        knows={"a/*": plain, "b/*": plain, "c/*": known()},
        pools={"plain": PoolSpec(("plain",))},
    )
    tools = {"tools": [{"function": {"name": "f"}}]}
    plan = await planned(one, asking(model="all", **tools))
    assert order(plan) == ["c"]
    assert [(exclusion.target.id, exclusion.reason) for exclusion in plan.exclusions] == [
        ("a/m", "tools"),
        ("b/m", "tools"),
    ]
    assert order(await planned(one, asking(model="plain", **tools))) == ["a", "b"]
    with pytest.raises(GatewayError) as told:
        await planned(one, asking(model="auto/plain", **tools))
    assert "tools (2)" in told.value.message


async def test_auto_modes_see_what_is_asked() -> None:
    """Images, contexts, and what nobody knows of a model."""
    one = fleet(
        ("see", "small", "large"),
        routes={"x": ["see/m"], "y": ["small/m"], "z": ["large/m"]},
        knows={
            "see/m": known(input=frozenset({"text", "image"}), context=100_000),
            "small/m": known(context=50),
            "large/m": known(context=1_000_000),
        },
    )
    image = asking(model="auto:cost")
    image.messages[0].parts.append(Part(media=Media(media_type="image/png", data=b"x")))
    assert order(await planned(one, image)) == ["see"]
    assert sorted(order(await planned(one, asking("word " * 200, model="auto:cost")))) == ["large", "see"]
    assert len(order(await planned(one, asking(model="auto:cost")))) == 3


async def test_a_pool_of_models_that_reason() -> None:
    """Only of those that do."""
    one = fleet(routes=_ALL, knows={"a/*": known(features=frozenset()), "b/*": known(quality=0.9), "c/*": known()})
    assert order(await planned(one, asking(model="auto/reasoning"))) == ["b", "c"]


async def test_free_stays_free() -> None:
    """However often and with whatever else it is asked for: nobody is asked who costs something."""
    one = fleet(("paid", "gratis"), routes={"dear": ["paid/m"]}, knows={"paid/*": known(1), "gratis/*": known(0, 0)})
    both = {"fallback_models": ["gratis/m:free"], "sort": {"by": "price", "across_models": True}}
    for _ in range(2):
        with pytest.raises(GatewayError) as told:
            await planned(one, asking(model="dear:free"))
        assert "not free (1)" in told.value.message
        assert order(await planned(one, asking(model="gratis/m:free"))) == ["gratis"]
        assert order(await planned(one, asking(model="paid/m:free", routing=both))) == ["gratis"]


async def test_what_variants_ask_of_the_request() -> None:
    """To reason, and to search; what the caller says himself stands."""
    one = fleet(knows=_PRICES)

    async def asked(**fields: Any) -> ChatRequest:
        return (await planned(one, asking(**fields))).legs[0].candidates[0].request

    assert (await asked(model="a/m:thinking")).reasoning.enabled
    assert not (await asked(model="a/m:thinking", reasoning={"effort": "none"})).reasoning.enabled
    assert [plugin.id for plugin in (await asked(model="a/m:online")).plugins] == ["web"]
    assert len((await asked(model="a/m:online", plugins=[{"id": "web"}])).plugins) == 1
    assert not (await asked(model="a/m")).plugins


async def test_who_is_in_trouble_is_asked_last() -> None:
    """Where the calls are spread; a configured order stays, and so does one that the caller names."""
    one = fleet(
        routes={"spread": RouteSpec([("a/m", 100.0), ("b/m", 1.0)], "weighted"), "fixed": ["a/m", "b/m"]},
        knows=_PRICES,
        chance=lambda: 0.0,
    )
    offers = (await one.names.resolve("spread")).offers
    attempt = attempted(at=time.monotonic(), took=0.0, error=failure(errors_pb2.ERROR_REASON_PROVIDER_FAILED))
    offers[0].health.began(attempt)
    offers[0].health.ended(attempt)

    plan = await planned(one, asking(model="spread"))
    assert order(plan) == ["b", "a"]
    assert plan.legs[0].candidates[1].reason == "last: failed of late"
    assert order(await planned(one, asking(model="fixed"))) == ["a", "b"]
    assert order(await planned(one, asking(model="spread", routing={"provider_order": ["a"]}))) == ["a", "b"]


async def test_who_is_slow_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the caller prefers others; who is fast enough keeps his place."""
    monkeypatch.setattr("time.monotonic", lambda: 5000.0)
    one = fleet(routes=_ALL, knows=_PRICES)
    offers = (await one.names.resolve("all")).offers
    attempt = attempted(at=4990.0, first=9.0, took=10.0)
    offers[0].health.began(attempt)
    offers[0].health.ended(attempt)
    plan = await planned(one, asking(model="all", routing={"preferred_max_latency": {"p50": 2.0}}))
    assert order(plan) == ["b", "c", "a"]


async def test_a_conversation_stays() -> None:
    """Where its cache is warm, unless there is trouble; who answered is noted only where a cache was told of."""
    one = fleet(routes={"spread": RouteSpec([("a/m", 1.0), ("b/m", 1.0)], "weighted")}, knows=_PRICES)
    request = asking("a long story", model="spread")
    plan = await planned(one, request)
    first = plan.legs[0].candidates[1]
    assert order(plan) == ["b", "a"]
    cold, warm = calling(), calling()
    warm.usage = Usage(cached_input_tokens=100)
    one.router.done(plan, first, cold)
    assert order(await planned(one, request)) == ["b", "a"]
    one.router.done(plan, first, warm)
    told = await planned(one, request)
    assert order(told) == ["a", "b"]
    assert told.legs[0].candidates[0].reason == "its prompt cache has the conversation"
    assert order(await planned(one, asking("another story", model="spread"))) == ["b", "a"]
    assert order(await planned(one, asking("a long story", model="spread"), calling("other"))) == ["b", "a"]
    wished = asking("a long story", model="spread", routing={"provider_order": ["b"]})
    assert order(await planned(one, wished)) == ["b", "a"]


async def test_rules_come_first() -> None:
    """The rule is told in the plan, and the request goes where it says."""
    rules = Rules([Rule("down", Match(models=["dear"]), Action(model="a/m"))])
    one = fleet(rules=rules, knows=_PRICES)
    plan = await planned(one, asking(model="dear"))
    assert (order(plan), plan.rule) == (["a"], "down")
    plan = await planned(one, asking(model="b/m"))
    assert (order(plan), plan.rule) == (["b"], "")


async def test_embeddings_find_their_targets() -> None:
    """By the same names and wishes."""
    one = fleet(routes=_ALL, knows=_PRICES)
    plan = await one.router.embed(EmbedRequest(model="all", routing={"ignored_providers": ["a"]}), calling())
    assert order(plan) == ["b", "c"]


async def test_policies_are_those_of_the_legs() -> None:
    """Each model has its route's own patience."""
    one = fleet(routes={"patient": RouteSpec([("a/m", 1.0)], policy=fleet().spec.policy), **_ALL})
    plan = await planned(one, asking(model="patient", routing={"fallback_models": ["all"]}))
    assert [leg.policy.retries for leg in plan.legs] == [3, 3]
    assert plan.mode == "order"
