"""How much the model reasons: Gemini's `thinkingConfig`."""

from __future__ import annotations

from typing import Final

from trunkline.call import LossKind
from trunkline.dialects.gemini.names import camel
from trunkline.dialects.gemini.profile import Writing
from trunkline.dialects.wire import Json, Object
from trunkline.v1.chat_pb2 import ReasoningConfig

_LEVELS: Final = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
"""Effort -> the nearest level."""

_BUDGETS: Final = {
    "none": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
"""Effort -> tokens: the numbers of Google's own OpenAI-compatible endpoint, and steps beside them."""

_DYNAMIC: Final = -1
"""The budget of a model that decides for itself."""


def decode_thinking(wire: Object, reasoning: ReasoningConfig) -> None:
    """Read a `thinkingConfig`. Google shows no thoughts unless it is told to."""
    camel(wire.fields)
    level = wire.take_str("thinkingLevel")
    if level:
        reasoning.effort = level.lower()
    budget = wire.take_int("thinkingBudget", _DYNAMIC)
    if budget == _DYNAMIC:
        reasoning.enabled = True
    elif budget == 0:
        reasoning.enabled = False
    elif budget is not None:
        reasoning.budget_tokens = budget
    reasoning.summary = "auto" if wire.take_bool("includeThoughts") else "none"


def encode_thinking(reasoning: ReasoningConfig, to: Writing) -> dict[str, Json]:
    """Write a `thinkingConfig`; empty where the model takes none, or none is needed."""
    profile = to.profile
    off = reasoning.effort == "none" or (reasoning.HasField("enabled") and not reasoning.enabled)
    if profile.thinking is None:
        if not off:
            to.lose(_name(reasoning))
        return {}
    wire: dict[str, Json] = {}
    if off:
        _turn_off(wire, to)
        return wire
    if reasoning.effort and (profile.thinking == "level" or not reasoning.HasField("budget_tokens")):
        _put_effort(wire, reasoning.effort, to)
    elif reasoning.HasField("budget_tokens"):
        _put_budget(wire, reasoning.budget_tokens, to, _name(reasoning))
    elif reasoning.enabled:
        wire["thinkingBudget"] = _DYNAMIC
    if reasoning.summary != "none":
        wire["includeThoughts"] = True
    return wire


def _name(reasoning: ReasoningConfig) -> str:
    return "reasoning_effort" if reasoning.effort else "reasoning"


def _turn_off(wire: dict[str, Json], to: Writing) -> None:
    if to.profile.thinking_stops:
        wire["thinkingBudget"] = 0
        return
    to.lose("reasoning_effort", LossKind.APPROXIMATED)
    if to.profile.thinking == "level":
        wire["thinkingLevel"] = _LEVELS["none"]
    else:
        wire["thinkingBudget"] = to.profile.least_budget


def _put_effort(wire: dict[str, Json], effort: str, to: Writing) -> None:
    if to.profile.thinking == "level":
        # A word that is not in the table may be a newer level: Google knows.
        wire["thinkingLevel"] = _LEVELS.get(effort, effort.upper())
        if effort in ("xhigh", "max"):
            to.lose("reasoning_effort", LossKind.APPROXIMATED)
    elif effort in _BUDGETS:
        # The budget of an effort is the gateway's own choice, so that fitting it to the model loses nothing.
        wire["thinkingBudget"] = min(max(_BUDGETS[effort], to.profile.least_budget), to.profile.most_budget)
    else:
        to.lose("reasoning_effort")


def _put_budget(wire: dict[str, Json], budget: int, to: Writing, name: str) -> None:
    fitting = min(max(budget, to.profile.least_budget), to.profile.most_budget)
    if fitting != budget:
        to.lose(name, LossKind.APPROXIMATED)
    wire["thinkingBudget"] = fitting
