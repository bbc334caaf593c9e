"""How much a model reasons, in the forms that servers of OpenAI's language ask for it."""

from __future__ import annotations

from collections.abc import Set
from typing import Final, Literal

from trunkline.call import LossKind
from trunkline.dialects.openai.profile import Writing
from trunkline.dialects.wire import Json, Object
from trunkline.errors import invalid_request
from trunkline.v1.chat_pb2 import ReasoningConfig

_EFFORTS: Final = ((1024, "minimal"), (4096, "low"), (16384, "medium"))
"""A budget of at most so many tokens -> the effort that comes near it; `high` above."""


FORMS: Final[dict[str, tuple[str, ...]]] = {
    "reasoning_effort": ("reasoning_effort",),
    "reasoning": ("reasoning", "include_reasoning"),
    "thinking": ("thinking",),
    "thinking_effort": ("thinking",),
    "enable_thinking": ("enable_thinking", "thinking_budget"),
}
"""Form -> the fields by which it asks for reasoning."""

WRITTEN: Final = frozenset(name for form, names in FORMS.items() if form != "reasoning_effort" for name in names)
"""The fields of the forms that are kept as they were written, for servers of which nobody knows the form."""


def encode_effort(config: ReasoningConfig, wire: dict[str, Json], to: Writing, written: Set[str] = frozenset()) -> None:
    """Write `config` in the server's own form; what that cannot say is named as lost.

    `written` are the fields of any form that the caller wrote himself: a server whose form nobody knows gets those,
    and `reasoning_effort` beside the ones that tell no effort.
    """
    if to.profile.effort == "any" and written:
        if config.effort and "reasoning" not in written:
            wire["reasoning_effort"] = config.effort
        return
    off = config.effort == "none" or (config.HasField("enabled") and not config.enabled)
    match to.profile.effort:
        case "reasoning_effort" | "any":
            _effort(config, wire, to, off=off)
        case "reasoning":
            _reasoning(config, wire, off=off)
        case "thinking":
            _thinking(config, wire, to, off=off)
        case "thinking_effort":
            _thinking_effort(config, wire, to, off=off)
        case "enable_thinking":
            _enable_thinking(config, wire, to, off=off)
    if config.summary and to.profile.effort != "reasoning":
        to.lose("reasoning.summary")


def drop_other_forms(wire: dict[str, Json], to: Writing) -> None:
    """Take out of a request the forms that its server does not know: its own says the same."""
    if to.profile.effort != "any":
        for name in WRITTEN & wire.keys():
            if name not in FORMS[to.profile.effort]:
                del wire[name]


def _effort(config: ReasoningConfig, wire: dict[str, Json], to: Writing, *, off: bool) -> None:
    if off:
        wire["reasoning_effort"] = "none"
    elif not _grade(config, wire, to) and config.HasField("enabled"):
        # A model that can reason does so unasked.
        to.lose("reasoning.enabled", LossKind.APPROXIMATED)


def _grade(config: ReasoningConfig, wire: dict[str, Json], to: Writing) -> bool:
    """Write how much the model is to reason in words. Tells whether anything is known of that."""
    if config.HasField("budget_tokens"):
        to.lose("reasoning.budget_tokens", LossKind.APPROXIMATED)
    if config.effort:
        wire["reasoning_effort"] = config.effort
    elif config.HasField("budget_tokens"):
        wire["reasoning_effort"] = next((word for most, word in _EFFORTS if config.budget_tokens <= most), "high")
    else:
        return False
    return True


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
    """Moonshot's and Z.ai's: on or off."""
    wire["thinking"] = {"type": "disabled" if off else "enabled"}
    if not off and (config.effort or config.HasField("budget_tokens")):
        to.lose("reasoning_effort", LossKind.APPROXIMATED)


def _thinking_effort(config: ReasoningConfig, wire: dict[str, Json], to: Writing, *, off: bool) -> None:
    """DeepSeek's: on or off, and how much (https://api-docs.deepseek.com/guides/thinking_mode)."""
    wire["thinking"] = {"type": "disabled" if off else "enabled"}
    if not off:
        _grade(config, wire, to)


def _enable_thinking(config: ReasoningConfig, wire: dict[str, Json], to: Writing, *, off: bool) -> None:
    """Alibaba's."""
    wire["enable_thinking"] = not off
    if config.HasField("budget_tokens") and not off:
        wire["thinking_budget"] = config.budget_tokens
    elif config.effort and not off:
        to.lose("reasoning_effort", LossKind.APPROXIMATED)


def decode_effort(wire: Object, config: ReasoningConfig) -> None:
    """Read how much the model is to reason, in whichever form: OpenAI's `reasoning_effort`, OpenRouter's `reasoning`
    and `include_reasoning`, `thinking` as DeepSeek, Z.ai and others have it, or Alibaba's `enable_thinking`.

    All but the first stay in `wire`, too. Raises `GatewayError` (INVALID_REQUEST) where two of them disagree.
    """
    asked = _Asked(config)
    effort = wire.take_str("reasoning_effort")
    if effort is not None:
        asked.put("effort", effort, "reasoning_effort")
    if WRITTEN.isdisjoint(wire.fields):
        return
    # Readers of their own: what they take is not taken out of the request.
    reasoning = _copy(wire, "reasoning")
    if reasoning is not None:
        asked.put("effort", reasoning.take_str("effort"), "reasoning.effort")
        asked.put("budget_tokens", reasoning.take_int("max_tokens", 0), "reasoning.max_tokens")
        asked.put("enabled", reasoning.take_bool("enabled"), "reasoning.enabled")
        asked.put("summary", "none" if reasoning.take_bool("exclude") else None, "reasoning.exclude")
        asked.put("summary", reasoning.take_str("summary"), "reasoning.summary")
    if wire.fields.get("include_reasoning") is False:
        asked.put("summary", "none", "include_reasoning")
    thinking = _copy(wire, "thinking")
    if thinking is not None:
        asked.put("enabled", _SWITCH.get(thinking.take_str("type") or ""), "thinking.type")
        asked.put("budget_tokens", thinking.take_int("budget_tokens", 0), "thinking.budget_tokens")
    top = Object({key: wire.fields[key] for key in FORMS["enable_thinking"] if key in wire.fields})
    asked.put("enabled", top.take_bool("enable_thinking"), "enable_thinking")
    asked.put("budget_tokens", top.take_int("thinking_budget", 0), "thinking_budget")


_SWITCH: Final = {"enabled": True, "disabled": False}


def _copy(wire: Object, key: str) -> Object | None:
    value = wire.fields.get(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_request(f"`{key}` must be an object.", key)
    outer = Object({key: dict(value)})
    return outer.take_object(key)


class _Asked:
    """Puts what is asked into a `ReasoningConfig`, and remembers by which field."""

    def __init__(self, config: ReasoningConfig) -> None:
        self._config = config
        self._by: dict[str, str] = {}

    def put(self, name: Literal["effort", "budget_tokens", "enabled", "summary"], value: Json, field: str) -> None:
        if value is None:
            return
        if name in self._by and getattr(self._config, name) != value:
            raise invalid_request(f"`{field}` disagrees with `{self._by[name]}`: send one of them.", field)
        self._by[name] = field
        setattr(self._config, name, value)
