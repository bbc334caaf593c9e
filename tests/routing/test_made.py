"""Rules that were made by API: what they must be, and what they do."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.scripted_provider import asking
from google.protobuf.json_format import ParseDict
from routing.fleet import fleet

from trunkline.call import Call
from trunkline.errors import GatewayError
from trunkline.routing.made import as_rule, check_rule
from trunkline.routing.rules import Action, MadeRules, Match, Rule, Rules
from trunkline.v1.rules_pb2 import RoutingRule

ALL: dict[str, Any] = {
    "name": "all",
    "priority": 5,
    "match": {
        "models": ["gpt-*"],
        "modes": ["cost"],
        "callers": ["a*"],
        "users": ["u"],
        "surfaces": ["openai"],
        "metadata": {"task": "t*"},
        "headers": {"X-Team": "red"},
        "contains": ["hello"],
        "minTokens": 1,
        "maxTokens": 100,
        "tools": False,
        "stream": True,
        "hours": "22:30-06:00",
        "days": ["mon", "sun"],
    },
    "action": {
        "model": "other",
        "mode": "cost",
        "provider": "p",
        "providerOrder": ["p", "q"],
        "fallbackModels": ["r"],
        "temperature": 0.5,
        "maxOutputTokens": 7,
        "reasoningEffort": "low",
        "warning": "careful",
    },
}


def made(**fields: Any) -> RoutingRule:
    """A rule that sends everything elsewhere, but for `fields`."""
    return ParseDict({"name": "r", "action": {"model": "other"}, **fields}, RoutingRule())


def test_every_condition_and_every_action() -> None:
    """Nothing of a rule is lost on the way to where calls look at it."""
    rule = ParseDict(ALL, RoutingRule())
    check_rule(rule)
    read = as_rule(rule)

    assert (read.name, read.priority, read.enabled) == ("all", 5, True)
    assert read.match == Match(
        models=("gpt-*",),
        modes=("cost",),
        callers=("a*",),
        users=("u",),
        surfaces=("openai",),
        metadata={"task": "t*"},
        headers={"x-team": "red"},
        contains=("hello",),
        min_tokens=1,
        max_tokens=100,
        tools=False,
        stream=True,
        hours=(22.5, 6.0),
        days=frozenset({0, 6}),
    )
    parameters = read.action.parameters
    assert parameters is not None
    assert (parameters.sampling.temperature, parameters.max_output_tokens, parameters.reasoning.effort) == (
        0.5,
        7,
        "low",
    )
    assert (read.action.allowed_providers, read.action.provider_order) == (("p",), ("p", "q"))
    assert (read.action.fallback_models, read.action.warning) == (("r",), "careful")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": ""}, "rule.name"),
        ({"name": "x" * 129}, "rule.name"),
        ({"priority": 1001}, "rule.priority"),
        ({"action": {}}, "rule.action"),
        ({"match": {"models": [""]}}, "rule.match.models"),
        ({"match": {"models": ["m"] * 65}}, "rule.match.models"),
        ({"match": {"modes": ["quick"]}}, "rule.match.modes"),
        ({"match": {"surfaces": ["telnet"]}}, "rule.match.surfaces"),
        ({"match": {"days": ["someday"]}}, "rule.match.days"),
        ({"match": {"hours": "25:00-26:00"}}, "rule.match.hours"),
        ({"match": {"metadata": {"k": "v" * 257}}}, "rule.match.metadata"),
        ({"action": {"mode": "quick"}}, "rule.action.mode"),
        ({"action": {"temperature": -1}}, "rule.action.temperature"),
        ({"action": {"maxOutputTokens": 0}}, "rule.action.max_output_tokens"),
        ({"action": {"warning": "w" * 257}}, "rule.action.warning"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    """A rule that cannot be in force is refused."""
    with pytest.raises(GatewayError) as raised:
        check_rule(made(**fields))
    assert raised.value.param == param


def test_made_rules_stand_beside_configured_ones() -> None:
    """By their priority; what is made while calls come is looked at by the next one."""
    made_rules = MadeRules()
    rules = Rules([Rule("configured", Match(), Action(model="configured"), priority=1)], made_rules)
    call = Call("id", "openai")
    before = rules.apply(asking(), call)[1]
    made_rules.rules = [as_rule(made(name="made", priority=2))]
    after = rules.apply(asking(), call)[1]
    made_rules.rules = ()

    assert (before, after, rules.apply(asking(), call)[1]) == ("configured", "made", "configured")


async def test_the_first_rule_is_in_force_at_once() -> None:
    """Also in a gateway that began without any."""
    made_rules = MadeRules()
    one = fleet(rules=Rules([], made_rules))
    assert (await one.router.chat(asking(model="a/m"), Call("id", "openai"))).rule == ""
    made_rules.rules = [as_rule(made(action={"model": "b/m"}))]
    plan = await one.router.chat(asking(model="a/m"), Call("id", "openai"))
    assert (plan.rule, plan.legs[0].candidates[0].target.id) == ("r", "b/m")
