"""How much a model reasons, in the forms that servers of OpenAI's language ask for it."""

from __future__ import annotations

from typing import Final

from trunkline.call import LossKind
from trunkline.dialects.openai.profile import Writing
from trunkline.dialects.wire import Json
from trunkline.v1.chat_pb2 import ReasoningConfig

_EFFORTS: Final = ((1024, "minimal"), (4096, "low"), (16384, "medium"))
"""A budget of at most so many tokens -> the effort that comes near it; `high` above."""


def encode_effort(config: ReasoningConfig, wire: dict[str, Json], to: Writing) -> None:
    """Write `config` in the server's own form; what that cannot say is named as lost."""
    off = config.effort == "none" or (config.HasField("enabled") and not config.enabled)
    match to.profile.effort:
        case "reasoning_effort":
            _effort(config, wire, to, off=off)
        case "reasoning":
            _reasoning(config, wire, off=off)
        case "thinking":
            _thinking(config, wire, to, off=off)
        case "enable_thinking":
            _enable_thinking(config, wire, to, off=off)
    if config.summary and to.profile.effort != "reasoning":
        to.lose("reasoning.summary")


def _effort(config: ReasoningConfig, wire: dict[str, Json], to: Writing, *, off: bool) -> None:
    if off:
        wire["reasoning_effort"] = "none"
    elif config.effort:
        wire["reasoning_effort"] = config.effort
    elif config.HasField("budget_tokens"):
        wire["reasoning_effort"] = next((word for most, word in _EFFORTS if config.budget_tokens <= most), "high")
    elif config.HasField("enabled"):
        # A model that can reason does so unasked.
        to.lose("reasoning.enabled", LossKind.APPROXIMATED)
    if config.HasField("budget_tokens") and not off:
        to.lose("reasoning.budget_tokens", LossKind.APPROXIMATED)


def _reasoning(config: ReasoningConfig, wire: dict[str, Json], *, off: bool) -> None:
    """OpenRouter's: one object for all."""
    reasoning: dict[str, Json] = {}
    if off:
        reasoning["enabled"] = False
    elif config.HasField("budget_tokens"):
        reasoning["max_tokens"] = config.budget_tokens
    elif config.effort:
        reasoning["effort"] = config.effort
    elif config.HasField("enabled"):
        reasoning["enabled"] = True
    if config.summary:
        reasoning["exclude"] = config.summary == "none"
    wire["reasoning"] = reasoning


def _thinking(config: ReasoningConfig, wire: dict[str, Json], to: Writing, *, off: bool) -> None:
    """DeepSeek's, Moonshot's and Z.ai's: on or off."""
    wire["thinking"] = {"type": "disabled" if off else "enabled"}
    if not off and (config.effort or config.HasField("budget_tokens")):
        to.lose("reasoning_effort", LossKind.APPROXIMATED)


def _enable_thinking(config: ReasoningConfig, wire: dict[str, Json], to: Writing, *, off: bool) -> None:
    """Alibaba's."""
    wire["enable_thinking"] = not off
    if config.HasField("budget_tokens") and not off:
        wire["thinking_budget"] = config.budget_tokens
    elif config.effort and not off:
        to.lose("reasoning_effort", LossKind.APPROXIMATED)
