"""How much the model reasons: `thinking` and `output_config.effort`."""

from __future__ import annotations

from typing import Final

from trunkline.call import LossKind
from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.profile import Writing
from trunkline.dialects.wire import Json, Object
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ReasoningConfig

_BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}
"""Effort -> the most tokens to think, for models that take a budget only; least first."""

_LEAST_BUDGET: Final = 1024
_USUAL: Final = "medium"
"""The effort meant where reasoning is asked for and nothing more is said."""

_DISPLAYS: Final = {"summarized": "auto", "omitted": "none"}
"""`thinking.display` -> `ReasoningConfig.summary`."""


def decode_reasoning(wire: Object, request: ChatRequest) -> None:
    """Read `thinking`, and `output_config.effort` where it goes with thinking.

    Alone, effort is about the whole answer and not about reasoning: it stays in the extras, as do the forms of
    `thinking` that the contract cannot say.
    """
    thinking = wire.fields.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("enabled", "adaptive", "disabled"):
        if thinking is not None:
            wire.take_object("thinking")
        return
    reasoning = request.reasoning
    inner = wire.take_object("thinking")
    if inner is None:
        return
    inner.take("type")
    if kind == "disabled":
        reasoning.enabled = False
        return
    if kind == "enabled":
        budget = inner.take_int("budget_tokens", 0)
        if budget is not None:
            reasoning.budget_tokens = budget
    if not reasoning.HasField("budget_tokens"):
        reasoning.enabled = True
    display = inner.fields.get("display")
    if isinstance(display, str) and display in _DISPLAYS:
        inner.take("display")
        reasoning.summary = _DISPLAYS[display]
    config = wire.take_object("output_config")
    if config is not None:
        reasoning.effort = config.take_str("effort") or ""


def encode_reasoning(request: ChatRequest, wire: dict[str, Json], to: Writing, dialect: str = DIALECT) -> bool:
    """Write how much to reason; tells whether the model will have been asked to.

    `dialect` is the one whose signed blocks the request can hold.
    """
    reasoning = request.reasoning
    profile = to.profile
    if not request.HasField("reasoning"):
        return profile.thinks
    name = "reasoning_effort" if reasoning.effort else "reasoning"
    if _is_off(reasoning):
        _switch_off(wire, to, name)
        return profile.thinks and "thinking" not in wire
    if (_is_forced(request) and not _decides(reasoning, to)) or _lacks_thinking(request, to, dialect):
        # A model that thinks by a budget refuses to be forced to call a tool as well; one that decides takes both.
        to.lose(name)
        return False
    thinking = _thinking(reasoning, wire, to, name)
    if thinking is None:
        return False
    if reasoning.summary:
        thinking["display"] = "omitted" if reasoning.summary == "none" else "summarized"
    wire["thinking"] = thinking
    return True


def _is_off(reasoning: ReasoningConfig) -> bool:
    if reasoning.HasField("enabled"):
        return not reasoning.enabled
    return reasoning.effort == "none" or (reasoning.HasField("budget_tokens") and reasoning.budget_tokens == 0)


def _switch_off(wire: dict[str, Json], to: Writing, name: str) -> None:
    accepted = to.profile.thinking
    if "disabled" in accepted:
        wire["thinking"] = {"type": "disabled"}
    elif "between_tools" in accepted:
        wire["thinking"] = {"type": "between_tools"}
        to.lose(name, LossKind.APPROXIMATED)
    elif to.profile.thinks:
        to.lose(name)


def _is_forced(request: ChatRequest) -> bool:
    choice = request.tool_choice
    return bool(request.tools) and (
        choice.WhichOneof("choice") == "name" or choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED
    )


def _lacks_thinking(request: ChatRequest, to: Writing, dialect: str) -> bool:
    """Whether the tool calls that wait for an answer were made without thinking, after which a model with a budget
    may not begin to think: their turn would have to begin with a signed block, and there is none."""
    if to.profile.adaptive:
        return False
    for message in reversed(request.messages):
        if message.role == content_pb2.ROLE_ASSISTANT:
            signed = calls = False
            for part in message.parts:
                kind = part.WhichOneof("kind")
                signed = signed or (kind == "reasoning" and dialect in part.extras)
                calls = calls or kind == "tool_call"
            return calls and not signed
        if any(part.WhichOneof("kind") != "tool_result" for part in message.parts):
            return False
    return False


def _decides(reasoning: ReasoningConfig, to: Writing) -> bool:
    """Whether the model is left to decide how much to think, rather than given a budget."""
    return to.profile.adaptive and not (reasoning.HasField("budget_tokens") and "enabled" in to.profile.thinking)


def _thinking(reasoning: ReasoningConfig, wire: dict[str, Json], to: Writing, name: str) -> dict[str, Json] | None:
    profile = to.profile
    has_budget = reasoning.HasField("budget_tokens")
    if _decides(reasoning, to):
        effort = reasoning.effort
        if has_budget and not effort:
            effort = _effort_of(reasoning.budget_tokens)
            to.lose("reasoning.budget_tokens", LossKind.APPROXIMATED)
        _write_effort(effort, wire, to)
        return {"type": "adaptive"}
    if "enabled" not in profile.thinking:
        to.lose(name)
        return None
    most = wire["max_tokens"] - 1
    if has_budget:
        budget = min(max(reasoning.budget_tokens, _LEAST_BUDGET), most)
        if budget != reasoning.budget_tokens:
            to.lose("reasoning.budget_tokens", LossKind.APPROXIMATED)
        if profile.efforts:
            _write_effort(reasoning.effort, wire, to)
    else:
        if reasoning.effort and reasoning.effort not in _BUDGETS:
            to.lose(name, LossKind.APPROXIMATED)
        # Three quarters at most, so that something is left for the answer.
        budget = min(_BUDGETS.get(reasoning.effort, _BUDGETS[_USUAL]), max(most * 3 // 4, _LEAST_BUDGET))
    if budget < _LEAST_BUDGET or budget > most:
        to.lose(name)
        return None
    return {"type": "enabled", "budget_tokens": budget}


def _effort_of(budget: int) -> str:
    return next((effort for effort, most in _BUDGETS.items() if budget <= most), "max")


def _write_effort(effort: str, wire: dict[str, Json], to: Writing) -> None:
    """Write the nearest effort that the model knows, never a greater one where there is a lesser."""
    if not effort:
        return
    known = to.profile.efforts
    if effort not in known:
        to.lose("reasoning_effort", LossKind.APPROXIMATED)
        scale = list(_BUDGETS)
        place = scale.index(effort) if effort in _BUDGETS else scale.index(_USUAL)
        effort = next((word for word in reversed(known) if scale.index(word) <= place), known[0] if known else "")
    if effort:
        wire.setdefault("output_config", {})["effort"] = effort
