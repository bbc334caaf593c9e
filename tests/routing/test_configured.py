"""Names, patience and rules as the configuration has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.scripted_provider import ScriptedProvider, asking
from pydantic import ValidationError

from trunkline.call import Call
from trunkline.config.model import Config, ProviderConfig
from trunkline.core.hedge import Hedge
from trunkline.core.plan import MidStream, Policy
from trunkline.routing.configured import breaker_of, rules_of, spec_of, target_names
from trunkline.routing.health import Breaker
from trunkline.routing.spec import BUILT_IN, Spec

_PROVIDERS = {
    "one": {"kind": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "models": ["m"]},
    "two": {"kind": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "api_keys": {"k1": "sk-1", "k2": "sk-2"}},
}


def config_of(**settings: Any) -> Config:
    """A configuration with two providers."""
    return Config.model_validate({"providers": _PROVIDERS, **settings})


def spec(**settings: Any) -> Spec:
    """What `settings` make of names."""
    config = config_of(**settings)
    made: dict[str, ProviderConfig] = dict(config.providers)
    providers = {name: ScriptedProvider(name.partition("#")[0]) for name in ("one", "two#k1", "two#k2")}
    return spec_of(config, made, providers)


def test_everything_by_default() -> None:
    """Three retries, a minute, and no hedge."""
    made = spec()
    assert made.policy == Policy()
    assert made.policy.retries == 3
    assert made.policy.timeout == 60
    assert made.policy.backoff == 0.5
    assert made.policy.mid_stream is MidStream.FAIL
    assert made.policy.hedge is None
    assert breaker_of(config_of()) == Breaker(5, 15.0, 300.0)
    assert rules_of(config_of()).apply(asking(), Call("id", "openai")) == (asking(), "")
    assert [member.key for member in made.members["two"]] == ["k1", "k2"]
    assert made.models == {"one": ["m"]}


def test_a_route_has_its_own_patience() -> None:
    """Over that of all, each setting by itself; zero is a setting."""
    made = spec(
        routing={"retries": 5, "timeout": 20, "backoff": 0.1, "first_token_timeout": 4, "hedge": {"share": 0.2}},
        models={
            "mine": {"targets": ["one/m"], "retries": 0, "mid_stream": "continue", "aliases": ["also"]},
            "other": {"targets": ["one/m"], "total_timeout": 9, "hedge": {"delay": 2}},
        },
    )
    mine, other = made.routes["mine"].policy, made.routes["other"].policy
    assert (mine.retries, mine.timeout, mine.backoff, mine.first_token) == (0, 20, 0.1, 4)
    assert mine.mid_stream is MidStream.CONTINUE
    assert (other.retries, other.total, other.mid_stream) == (5, 9, MidStream.FAIL)
    assert made.routes["also"] is made.routes["mine"]
    assert isinstance(mine.hedge, Hedge)
    assert mine.hedge is made.policy.hedge
    assert (mine.hedge.share, mine.hedge.delay) == (0.2, None)
    assert other.hedge is not None
    assert other.hedge.delay == 2


def test_routes_and_pools() -> None:
    """Weights and strategies; a pool that is built in keeps what it asks for unless it names models."""
    made = spec(
        models={"mine": {"targets": ["one/m", "two/n"], "weights": {"two/n": 3}, "strategy": "weighted"}},
        routing={
            "aliases": {"x-*": "mine"},
            "pools": {
                "reasoning": {"strategy": "cost"},
                "chat": {"models": ["mine"], "retries": 1},
                "own": {"models": ["m*"]},
            },
        },
    )
    assert list(made.routes["mine"].targets) == [("one/m", 1.0), ("two/n", 3)]
    assert made.routes["mine"].strategy == "weighted"
    assert made.aliases == {"x-*": "mine"}
    assert made.pools["reasoning"].features == BUILT_IN["reasoning"].features
    assert made.pools["reasoning"].strategy == "cost"
    assert made.pools["chat"].policy is not None
    assert made.pools["chat"].policy.retries == 1
    assert not made.pools["own"].features
    assert target_names(config_of(models={"mine": {"targets": ["one/m"]}})) == {"mine": ["one/m"]}


def test_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every condition and every action has its setting."""
    moment = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # a Friday
    monkeypatch.setattr("time.gmtime", moment.timetuple)
    match = {
        "models": ["gpt-*"],
        "callers": ["team"],
        "users": ["u"],
        "surfaces": ["openai"],
        "metadata": {"tier": "gold"},
        "headers": {"X-Title": "App"},
        "contains": ["hi"],
        "min_tokens": 1,
        "max_tokens": 1000,
        "tools": False,
        "stream": True,
        "hours": "22:00-06:30",
        "days": ["fri"],
        "modes": ["balanced"],
    }
    action = {
        "model": "mine",
        "mode": "cost",
        "provider": "one",
        "provider_order": ["one", "two"],
        "fallback_models": ["m"],
        "temperature": 0,
        "max_output_tokens": 7,
        "reasoning_effort": "low",
        "warning": "careful",
    }
    rules = rules_of(config_of(routing={"rules": [{"name": "all", "match": match, "action": action}]}))
    call = Call("id", "openai", "stream_chat", caller="team")
    call.metadata["tier"] = "gold"
    call.headers = {"x-title": "App"}
    changed, name = rules.apply(asking("Hi", "gpt-4o:balance", user="u"), call)

    assert name == "all"
    assert changed.model == "mine:cost"
    assert changed.routing.provider_order == ["one", "two"]
    assert changed.routing.allowed_providers == ["one"]
    assert changed.routing.fallback_models == ["m"]
    assert changed.sampling.HasField("temperature")
    assert (changed.max_output_tokens, changed.reasoning.effort) == (7, "low")
    assert call.warnings == ["careful"]


@pytest.mark.parametrize(
    "settings",
    [
        {"routing": {"retries": -1}},
        {"routing": {"retries": 101}},
        {"routing": {"timeout": -1}},
        {"routing": {"backoff": -1}},
        {"routing": {"mid_stream": "perhaps"}},
        {"routing": {"hedge": {"share": 1.5}}},
        {"routing": {"breaker": {"failures": 0}}},
        {"routing": {"unknown": 1}},
        {"routing": {"rules": [{"name": "x", "match": {"hours": "25:00-26:00"}, "action": {}}]}},
        {"routing": {"rules": [{"name": "x", "match": {"hours": "noon"}, "action": {}}]}},
        {"routing": {"rules": [{"name": "x", "match": {"days": ["someday"]}, "action": {}}]}},
        {"routing": {"rules": [{"name": "x"}]}},
        {"routing": {"pools": {"p": {"strategy": "luck"}}}},
        {"models": {"m": {"targets": []}}},
        {"models": {"m": {"targets": ["one"]}}},
        {"models": {"m": {"targets": ["one/m"], "weights": {"one/m": 0}}}},
        {"models": {"m": {"targets": ["one/m"], "weights": {"one/other": 1}}}},
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    """When it is read."""
    with pytest.raises((ValidationError, ValueError)):
        config_of(**settings)
