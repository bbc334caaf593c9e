"""How much the model reasons: in the words of each family, among the fields that the API passes on."""

from __future__ import annotations

from typing import Final

from trunkline.call import LossKind
from trunkline.dialects import anthropic
from trunkline.dialects.anthropic.profile import Writing as ClaudeWriting
from trunkline.dialects.anthropic.reasoning import decode_reasoning as decode_claude
from trunkline.dialects.anthropic.reasoning import encode_reasoning as encode_claude
from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.bedrock.profile import Writing
from trunkline.dialects.wire import Json, Object
from trunkline.v1.chat_pb2 import ChatRequest, ReasoningConfig

FIELDS: Final = "additionalModelRequestFields"

_EFFORTS: Final = {"low": "low", "medium": "medium", "high": "high", "minimal": "low", "xhigh": "high", "max": "high"}
"""Effort -> the word of the three that Amazon's, OpenAI's and Qwen's models know."""

_BUDGETS: Final = ((4096, "low"), (16384, "medium"))
"""A budget of at most so many tokens -> the effort that comes near it; `high` above."""

_ANTHROPIC: Final = anthropic.Profile()

_OWN_LIMIT: Final = 4096
"""The most tokens that Claude writes where the request does not say."""


def decode_reasoning(wire: Object, request: ChatRequest) -> None:
    """Read what asks for reasoning in the known forms; others stay in the extras."""
    fields = wire.take_object(FIELDS)
    if fields is None:
        return
    config = wire.take_object("outputConfig")
    if type(fields.fields.get("thinking")) is dict:
        decode_claude(fields, request)
        if request.HasField("reasoning") and request.reasoning.HasField("enabled") and request.reasoning.enabled:
            effort = config.take_str("effort") if config is not None else None
            request.reasoning.effort = effort or request.reasoning.effort
    amazon = fields.fields.get("reasoningConfig")
    if type(amazon) is dict and amazon.get("type") in ("enabled", "disabled"):
        inner = fields.take_object("reasoningConfig")
        if inner is not None:
            request.reasoning.enabled = inner.take_str("type") == "enabled"
            request.reasoning.effort = inner.take_str("maxReasoningEffort") or ""
    for key in ("reasoning_effort", "reasoning_config"):
        if fields.fields.get(key) in ("low", "medium", "high"):
            request.reasoning.effort = fields.need_str(key)


def encode_reasoning(request: ChatRequest, wire: dict[str, Json], to: Writing) -> bool:
    """Write how much to reason; tells whether the model is one of Claude's and will have been asked to."""
    form = to.profile.reasoning
    if form == "thinking":
        return _encode_claude(request, wire, to)
    if not request.HasField("reasoning"):
        return False
    reasoning = request.reasoning
    name = "reasoning_effort" if reasoning.effort else "reasoning"
    if form is None:
        if not _is_off(reasoning):
            to.lose(name)
        return False
    if reasoning.summary:
        to.lose("reasoning.summary")
    effort = _effort(reasoning, to)
    fields = wire.setdefault(FIELDS, {})
    if form == "reasoningConfig":
        fields[form] = {"type": "disabled"} if effort is None else {"type": "enabled", **_amazon(effort, request, to)}
    elif effort is not None:
        fields[form] = effort
    elif form == "reasoning_effort":
        # A model that cannot but reason.
        fields[form] = "low"
        to.lose(name, LossKind.APPROXIMATED)
    else:
        to.lose(name)
    return False


def _encode_claude(request: ChatRequest, wire: dict[str, Json], to: Writing) -> bool:
    claude = to.profile.claude or _ANTHROPIC
    limit = request.max_output_tokens if request.HasField("max_output_tokens") else claude.max_tokens
    scratch: dict[str, Json] = {"max_tokens": limit}
    thinks = encode_claude(request, scratch, ClaudeWriting(claude, to.losses), DIALECT)
    if "thinking" in scratch:
        wire.setdefault(FIELDS, {})["thinking"] = scratch["thinking"]
        if scratch["thinking"].get("budget_tokens", 0) >= _OWN_LIMIT:
            # A budget must be below the limit.
            wire["inferenceConfig"] = {"maxTokens": limit}
    if "output_config" in scratch:
        wire.setdefault("outputConfig", {}).update(scratch["output_config"])
    return thinks


def _is_off(reasoning: ReasoningConfig) -> bool:
    if reasoning.HasField("enabled"):
        return not reasoning.enabled
    return reasoning.effort == "none" or (reasoning.HasField("budget_tokens") and reasoning.budget_tokens == 0)


def _effort(reasoning: ReasoningConfig, to: Writing) -> str | None:
    """The effort in one of three words; None where there is to be no reasoning."""
    if _is_off(reasoning):
        return None
    if reasoning.effort:
        effort = _EFFORTS.get(reasoning.effort, "medium")
        if effort != reasoning.effort:
            to.lose("reasoning_effort", LossKind.APPROXIMATED)
        return effort
    if reasoning.HasField("budget_tokens"):
        to.lose("reasoning.budget_tokens", LossKind.APPROXIMATED)
        return next((word for most, word in _BUDGETS if reasoning.budget_tokens <= most), "high")
    return "medium"


def _amazon(effort: str, request: ChatRequest, to: Writing) -> dict[str, Json]:
    sampling = request.sampling
    limited = request.HasField("max_output_tokens") or sampling.HasField("temperature") or sampling.HasField("top_p")
    if effort == "high" and limited:
        # Nova refuses its highest effort together with any of these.
        to.lose("reasoning_effort", LossKind.APPROXIMATED)
        effort = "medium"
    return {"maxReasoningEffort": effort}
