"""Rules that change where requests go."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fakes.scripted_provider import asking

from trunkline.call import Call
from trunkline.routing.rules import Action, Match, Rule, Rules
from trunkline.v1.chat_pb2 import ChatRequest

_ACTION = Action(model="other")


def acts(match: Match, request: ChatRequest, call: Call | None = None) -> bool:
    """Whether a rule acts on a request."""
    changed, rule = Rules([Rule("r", match, _ACTION)]).apply(request, call or Call("id", "openai"))
    assert (changed.model == "other") == bool(rule)
    return bool(rule)


@pytest.mark.parametrize(
    ("match", "request_", "holds"),
    [
        (Match(), asking(), True),
        (Match(models=["m"]), asking(), True),
        (Match(models=["x", "gpt-*"]), asking(model="gpt-4o"), True),
        (Match(models=["gpt-*"]), asking(), False),
        (Match(modes=["cost"]), asking(model="auto:cost"), True),
        (Match(modes=["cost"]), asking(model="gpt-4o:cost"), True),
        (Match(modes=["cost"]), asking(model="auto:quality"), False),
        (Match(modes=["balanced"]), asking(model="auto"), True),
        (Match(modes=["balance"]), asking(model="auto:balanced"), True),
        (Match(modes=["fast"]), asking(model="auto:latency"), True),
        (Match(modes=["cost"]), asking(model="gpt-4o"), False),
        (Match(users=["u-*"]), asking(user="u-1"), True),
        (Match(users=["u-*"]), asking(), False),
        (Match(tools=True), asking(tools=[{"function": {"name": "f"}}]), True),
        (Match(tools=True), asking(), False),
        (Match(tools=False), asking(), True),
        (Match(contains=["HELP", "stop"]), asking("please help me"), True),
        (Match(contains=["help"]), asking("please"), False),
        (Match(min_tokens=100), asking("word " * 1000), True),
        (Match(min_tokens=100), asking(), False),
        (Match(max_tokens=100), asking(), True),
        (Match(max_tokens=100), asking("word " * 1000), False),
        (Match(models=["m"], tools=True), asking(), False),
    ],
)
def test_what_a_request_must_be(match: Match, request_: ChatRequest, holds: bool) -> None:
    """All that is set must hold."""
    assert acts(match, request_) == holds


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        (Match(callers=["team-*"]), True),
        (Match(callers=["other"]), False),
        (Match(surfaces=["openai", "grpc"]), True),
        (Match(surfaces=["grpc"]), False),
        (Match(metadata={"tier": "g*"}), True),
        (Match(metadata={"tier": "silver"}), False),
        (Match(metadata={"missing": "x"}), False),
        (Match(headers={"x-title": "App*"}), True),
        (Match(headers={"x-title": "Other"}), False),
        (Match(stream=True), True),
        (Match(stream=False), False),
    ],
)
def test_what_a_call_must_be(match: Match, holds: bool) -> None:
    """The caller's key, the surface, what was noted, headers, and whether it is streamed."""
    call = Call("id", "openai", operation="stream_chat", caller="team-a")
    call.metadata["tier"] = "gold"
    call.headers = {"x-title": "App 1"}
    assert acts(match, asking(), call) == holds


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        (Match(hours=(9.0, 17.5)), True),
        (Match(hours=(22.0, 6.0)), False),
        (Match(hours=(16.0, 6.0)), True),
        (Match(hours=(17.0, 17.0)), False),
        (Match(days=frozenset({4})), True),
        (Match(days=frozenset({0, 1})), False),
        (Match(days=frozenset({4}), hours=(0.0, 1.0)), False),
    ],
)
def test_when(monkeypatch: pytest.MonkeyPatch, match: Match, holds: bool) -> None:
    """A Friday at 17:15 UTC; hours may go over midnight."""
    moment = time.struct_time((2026, 11, 20, 17, 15, 0, 4, 324, 0))
    monkeypatch.setattr("time.gmtime", lambda: moment)
    assert acts(match, asking()) == holds


def test_the_first_that_matches_acts() -> None:
    """By priority, equal ones as they stand; those that are off do not."""
    rules = Rules(
        [
            Rule("low", Match(), Action(model="low"), priority=-1),
            Rule("off", Match(), Action(model="off"), priority=9, enabled=False),
            Rule("no", Match(models=["x"]), Action(model="no"), priority=5),
            Rule("first", Match(), Action(model="first")),
            Rule("second", Match(), Action(model="second")),
        ]
    )
    changed, rule = rules.apply(asking(), Call("id", "grpc"))
    assert (changed.model, rule) == ("first", "first")
    assert Rules([Rule("off", Match(), _ACTION, enabled=False)]).apply(asking(), Call("id", "grpc"))[1] == ""


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        (Action(model="other"), {"model": "other"}),
        (Action(mode="cost"), {"model": "m:cost"}),
        (Action(model="auto", mode="cost"), {"model": "auto:cost"}),
        (Action(model="auto:fast", mode="cost"), {"model": "auto:cost"}),
        (Action(model="auto/pool", mode="cost"), {"model": "auto/pool:cost"}),
        (Action(model="autopilot", mode="cost"), {"model": "autopilot:cost"}),
        (Action(provider_order=["a", "b"]), {"routing": {"provider_order": ["a", "b"]}}),
        (Action(allowed_providers=["a"]), {"routing": {"allowed_providers": ["a"]}}),
        (Action(fallback_models=["n"]), {"routing": {"fallback_models": ["n"]}}),
        (Action(parameters=ChatRequest(max_output_tokens=5)), {"max_output_tokens": 5}),
    ],
)
def test_what_a_rule_does(action: Action, fields: dict[str, Any]) -> None:
    """The request itself stays as it was."""
    request = asking()
    changed, _ = Rules([Rule("r", Match(), action)]).apply(request, Call("id", "grpc"))
    assert changed == asking(**fields)
    assert request == asking()


def test_warnings_are_told() -> None:
    """Beside the answer."""
    call = Call("id", "grpc")
    Rules([Rule("r", Match(), Action(warning="mind the price"))]).apply(asking(), call)
    assert call.warnings == ["mind the price"]
