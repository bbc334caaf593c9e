"""Reasoning in each model's own form, and what it does not go with."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.anthropic.asking import (
    ADAPTIVE,
    ALWAYS,
    ASSISTANT,
    BOTH,
    MANUAL,
    THINKS,
    TOOL,
    TWEEN,
    USER,
    call,
    result,
    said,
    written,
)
from hypothesis import given
from hypothesis import strategies as st

from trunkline.call import LossKind
from trunkline.v1.chat_pb2 import Function, ReasoningConfig, Tool, ToolChoice
from trunkline.v1.content_pb2 import Part, Reasoning


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort", "lost"),
    [
        (MANUAL, {"effort": "low"}, {"type": "enabled", "budget_tokens": 2048}, None, {}),
        (MANUAL, {"effort": "minimal"}, {"type": "enabled", "budget_tokens": 1024}, None, {}),
        (MANUAL, {"effort": "max"}, {"type": "enabled", "budget_tokens": 23999}, None, {}),
        (MANUAL, {"effort": "wild"}, {"type": "enabled", "budget_tokens": 8192}, None, {"reasoning_effort": "a"}),
        (MANUAL, {"enabled": True}, {"type": "enabled", "budget_tokens": 8192}, None, {}),
        (MANUAL, {"budget_tokens": 5000}, {"type": "enabled", "budget_tokens": 5000}, None, {}),
        (
            MANUAL,
            {"budget_tokens": 10},
            {"type": "enabled", "budget_tokens": 1024},
            None,
            {"reasoning.budget_tokens": "a"},
        ),
        (
            MANUAL,
            {"budget_tokens": 32000},
            {"type": "enabled", "budget_tokens": 31999},
            None,
            {"reasoning.budget_tokens": "a"},
        ),
        (MANUAL, {"effort": "none"}, {"type": "disabled"}, None, {}),
        (MANUAL, {"enabled": False}, {"type": "disabled"}, None, {}),
        (MANUAL, {"budget_tokens": 0}, {"type": "disabled"}, None, {}),
        (
            "claude-opus-4-5",
            {"effort": "low", "budget_tokens": 2000},
            {"type": "enabled", "budget_tokens": 2000},
            "low",
            {},
        ),
        (BOTH, {"effort": "high"}, {"type": "adaptive"}, "high", {}),
        (BOTH, {"effort": "xhigh"}, {"type": "adaptive"}, "high", {"reasoning_effort": "a"}),
        (BOTH, {"effort": "minimal"}, {"type": "adaptive"}, "low", {"reasoning_effort": "a"}),
        (BOTH, {"enabled": True}, {"type": "adaptive"}, None, {}),
        (BOTH, {"budget_tokens": 2000}, {"type": "enabled", "budget_tokens": 2000}, None, {}),
        (ADAPTIVE, {"effort": "xhigh"}, {"type": "adaptive"}, "xhigh", {}),
        (ADAPTIVE, {"budget_tokens": 9000}, {"type": "adaptive"}, "high", {"reasoning.budget_tokens": "a"}),
        (ADAPTIVE, {"effort": "none"}, {"type": "disabled"}, None, {}),
        (ADAPTIVE, {"effort": "low", "summary": "auto"}, {"type": "adaptive", "display": "summarized"}, "low", {}),
        (ADAPTIVE, {"effort": "low", "summary": "none"}, {"type": "adaptive", "display": "omitted"}, "low", {}),
        (THINKS, {"effort": "none"}, {"type": "disabled"}, None, {}),
        (ALWAYS, {"effort": "none"}, None, None, {"reasoning_effort": "d"}),
        (TWEEN, {"effort": "none"}, {"type": "between_tools"}, None, {"reasoning_effort": "a"}),
        ("claude-3-5-haiku-latest", {"effort": "high"}, None, None, {"reasoning_effort": "d"}),
        ("claude-3-5-haiku-latest", {"effort": "none"}, None, None, {}),
        ("kimi-k2", {"effort": "medium"}, {"type": "enabled", "budget_tokens": 6143}, None, {}),
    ],
)
def test_reasoning(model: str, reasoning: Any, thinking: Any, effort: str | None, lost: dict[str, str]) -> None:
    """Effort, budget and the switch in each model's own form."""
    wire, losses = written(model=model, reasoning=ReasoningConfig(**reasoning))
    assert wire.get("thinking") == thinking
    assert wire.get("output_config", {}).get("effort") == effort
    kinds = {"a": LossKind.APPROXIMATED, "d": LossKind.DROPPED}
    assert losses == {name: kinds[kind] for name, kind in lost.items()}


@given(st.integers(1, 4000), st.sampled_from(["minimal", "low", "medium", "high", "xhigh", "max"]))
def test_budgets_fit_below_the_limit(limit: int, effort: str) -> None:
    """A budget is at least 1024 and below the limit of tokens; where none fits there is no thinking, which is noted."""
    wire, losses = written(model=MANUAL, reasoning=ReasoningConfig(effort=effort), max_output_tokens=limit)
    assert wire["max_tokens"] == limit
    if "thinking" in wire:
        assert 1024 <= wire["thinking"]["budget_tokens"] < limit
    else:
        assert limit <= 1024
        assert losses == {"reasoning_effort": LossKind.DROPPED}


@pytest.mark.parametrize(("model", "thinks"), [(MANUAL, False), (ADAPTIVE, True), (THINKS, True)])
def test_forced_tools_and_thinking(model: str, thinks: bool) -> None:
    """A model that thinks by a budget cannot be forced as well: the tool wins, which is noted."""
    wire, losses = written(
        model=model,
        tools=[Tool(function=Function(name="f"))],
        tool_choice=ToolChoice(name="f"),
        reasoning=ReasoningConfig(effort="low"),
    )
    assert wire["tool_choice"] == {"type": "tool", "name": "f"}
    assert ("thinking" in wire) == thinks
    assert losses == ({} if thinks else {"reasoning_effort": LossKind.DROPPED})


@pytest.mark.parametrize(
    ("model", "signed", "thinks"), [(MANUAL, False, False), (MANUAL, True, True), (ADAPTIVE, False, True)]
)
def test_thinking_cannot_begin_in_the_middle_of_calls(model: str, signed: bool, thinks: bool) -> None:
    """Where calls that were made without thinking wait for their results, a model with a budget does not think."""
    own = Part(reasoning=Reasoning(text="x"), extras={"anthropic": '{"signature":"s"}'})
    foreign = Part(reasoning=Reasoning(text="x"), extras={"gemini": "{}"})
    turns = [said(USER, "a"), said(ASSISTANT, own if signed else foreign, call()), said(TOOL, result("1"))]
    wire, losses = written(*turns, model=model, reasoning=ReasoningConfig(effort="low"))
    assert ("thinking" in wire) == thinks
    assert losses == ({} if thinks else {"reasoning_effort": LossKind.DROPPED})
    again, _ = written(*turns, said(USER, "b"), model=model, reasoning=ReasoningConfig(effort="low"))
    assert "thinking" in again


def test_reasoning_of_others_is_never_sent() -> None:
    """Reasoning that Anthropic did not sign is left out without a word, as the contract has it."""
    parts = [
        Part(reasoning=Reasoning(text="no signature")),
        Part(reasoning=Reasoning(text="theirs"), extras={"openai": '{"signature":"fake"}'}),
        Part(reasoning=Reasoning(redacted=True), extras={"gemini": '{"data":"fake"}'}),
    ]
    wire, losses = written(said(USER, "a"), said(ASSISTANT, *parts, "b"))
    assert wire["messages"][1]["content"] == "b"
    assert losses == {}
