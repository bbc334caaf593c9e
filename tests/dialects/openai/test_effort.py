"""How much a model reasons, asked in any form, reaches each server in its own; nothing contradicts itself silently."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.call import Loss
from trunkline.dialects import anthropic, openai
from trunkline.dialects.openai.profile import OPENAI, Profile
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest, ReasoningConfig

BASE: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
FIELDS = ("reasoning_effort", "reasoning", "include_reasoning", "thinking", "enable_thinking", "thinking_budget")


def read(**fields: Any) -> ChatRequest:
    return openai.decode_request(Object(loads(dumps({**BASE, **fields}))))


def written(request: ChatRequest, profile: Profile) -> dict[str, Any]:
    wire = loads(dumps(openai.encode_request(request, profile)))
    return {key: wire[key] for key in FIELDS if key in wire}


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"reasoning_effort": "low"}, ReasoningConfig(effort="low")),
        ({"reasoning": {"effort": "high"}}, ReasoningConfig(effort="high")),
        ({"reasoning": {"max_tokens": 2000}}, ReasoningConfig(budget_tokens=2000)),
        ({"reasoning": {"enabled": True}}, ReasoningConfig(enabled=True)),
        ({"reasoning": {"enabled": False}}, ReasoningConfig(enabled=False)),
        ({"reasoning": {"exclude": True, "effort": "low"}}, ReasoningConfig(effort="low", summary="none")),
        ({"reasoning": {"summary": "auto"}}, ReasoningConfig(summary="auto")),
        ({"include_reasoning": False}, ReasoningConfig(summary="none")),
        ({"thinking": {"type": "enabled"}}, ReasoningConfig(enabled=True)),
        ({"thinking": {"type": "disabled"}}, ReasoningConfig(enabled=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, ReasoningConfig(enabled=True, budget_tokens=9)),
        ({"enable_thinking": True, "thinking_budget": 5}, ReasoningConfig(enabled=True, budget_tokens=5)),
        ({"reasoning_effort": "low", "reasoning": {"effort": "low"}}, ReasoningConfig(effort="low")),
    ],
)
def test_every_form_is_read(fields: dict[str, Any], config: ReasoningConfig) -> None:
    """The contract has one form for all."""
    assert read(**fields).reasoning == config


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, "reasoning.effort"),
        (
            {"reasoning": {"max_tokens": 1}, "thinking": {"type": "enabled", "budget_tokens": 2}},
            "thinking.budget_tokens",
        ),
        ({"thinking": {"type": "disabled"}, "enable_thinking": True}, "enable_thinking"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"thinking": [1]}, "thinking"),
        ({"thinking_budget": "x"}, "thinking_budget"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], named: str) -> None:
    """Forms that disagree, or cannot be read, are refused by name."""
    with pytest.raises(GatewayError) as refused:
        read(**fields)
    assert refused.value.param == named


FORMS: list[tuple[Profile, dict[str, Any]]] = [
    (OPENAI, {"reasoning_effort": "none"}),
    (Profile(effort="reasoning"), {"reasoning": {"enabled": False}}),
    (Profile(effort="thinking"), {"thinking": {"type": "disabled"}}),
    (Profile(effort="enable_thinking"), {"enable_thinking": False}),
]


@pytest.mark.parametrize(("profile", "expected"), FORMS)
@pytest.mark.parametrize(
    "fields", [{"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}, {"enable_thinking": False}]
)
def test_each_server_gets_its_own_form(profile: Profile, expected: dict[str, Any], fields: dict[str, Any]) -> None:
    """Whichever form the caller used, the server's is sent, and no other."""
    assert written(read(**fields), profile) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning": {"effort": "high", "exclude": False, "context": "auto"}},
        {"thinking": {"type": "enabled", "level": 3}},
        {"enable_thinking": True, "thinking_budget": 5},
        {"reasoning_effort": "low"},
        {"reasoning_effort": "high", "thinking": {"type": "enabled"}},
    ],
)
def test_a_server_that_nobody_knows_gets_what_was_written(fields: dict[str, Any]) -> None:
    """Behind `openai-compatible` may be anything: the caller's own form goes there as it is."""
    assert written(read(**fields), Profile()) == fields


def test_what_a_form_has_beyond_stays_for_its_server() -> None:
    """OpenRouter's further keys reach OpenRouter."""
    fields = {"reasoning": {"effort": "high", "context": "auto"}}
    assert written(read(**fields), Profile(effort="reasoning")) == fields


def test_other_dialects_take_the_contracts_form_and_lose_nothing() -> None:
    """A budget in OpenRouter's form is Anthropic's budget, and is no loss."""
    losses: list[Loss] = []
    request = read(reasoning={"max_tokens": 2000}, max_tokens=9000)
    wire = anthropic.encode_request(request, anthropic.profile_of("claude-opus-4-5"), losses)

    assert wire["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert not losses
