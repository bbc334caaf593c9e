"""Rules that were made by API, as they are looked at by each call."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from trunkline.errors import invalid_request
from trunkline.routing.rules import Action, Match, Rule
from trunkline.routing.strategies import MODES
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.rules_pb2 import RoutingRule, RuleAction, RuleMatch

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)
_SURFACES: Final = frozenset({"grpc", "native", "openai", "responses", "anthropic", "gemini"})
_MOST: Final = 64
"""The most items of one condition."""
_LONGEST: Final = 256
"""The most characters of a text."""


def check_rule(rule: RoutingRule) -> None:
    """Raise `GatewayError` (INVALID_REQUEST), naming the field, where `rule` cannot be in force."""
    if not 0 < len(rule.name) <= 128:
        raise invalid_request("`rule.name` must have from 1 to 128 characters.", "rule.name")
    if not -1000 <= rule.priority <= 1000:
        raise invalid_request("`rule.priority` must be from -1000 to 1000.", "rule.priority")
    if not rule.action.ByteSize():
        raise invalid_request("`rule.action` must do something.", "rule.action")
    match, action = rule.match, rule.action
    for name in ("models", "modes", "callers", "users", "surfaces", "contains", "days"):
        _check_texts(getattr(match, name), f"rule.match.{name}")
    for name in ("provider_order", "fallback_models"):
        _check_texts(getattr(action, name), f"rule.action.{name}")
    for name in ("model", "provider", "reasoning_effort", "warning"):
        if len(getattr(action, name)) > _LONGEST:
            raise invalid_request(f"`rule.action.{name}` is too long.", f"rule.action.{name}")
    _check_words(match.modes, MODES, "rule.match.modes")
    _check_words(match.surfaces, _SURFACES, "rule.match.surfaces")
    _check_words(match.days, _DAYS, "rule.match.days")
    _check_words([action.mode] if action.mode else [], MODES, "rule.action.mode")
    for name, values in (("metadata", match.metadata), ("headers", match.headers)):
        _check_texts([*values, *values.values()], f"rule.match.{name}")
    if match.hours and not _HOURS.fullmatch(match.hours):
        raise invalid_request("`rule.match.hours` must be two times of day, such as `22:00-06:00`.", "rule.match.hours")
    if action.HasField("temperature") and not 0 <= action.temperature < math.inf:
        raise invalid_request("`rule.action.temperature` must not be negative.", "rule.action.temperature")
    if action.HasField("max_output_tokens") and action.max_output_tokens < 1:
        raise invalid_request("`rule.action.max_output_tokens` must be at least 1.", "rule.action.max_output_tokens")


def as_rule(rule: RoutingRule) -> Rule:
    """A rule that was checked, as calls look at it."""
    return Rule(rule.name, _match(rule.match), _action(rule.action), rule.priority)


def hours_of(text: str) -> tuple[float, float]:
    """Two times of day as hours: `22:30-06:00` is 22.5 and 6."""
    begin, end = (int(time[:2]) + int(time[3:]) / 60 for time in text.split("-"))
    return begin, end


def _match(match: RuleMatch) -> Match:
    return Match(
        models=tuple(match.models),
        modes=tuple(match.modes),
        callers=tuple(match.callers),
        users=tuple(match.users),
        surfaces=tuple(match.surfaces),
        metadata=dict(match.metadata),
        headers={name.lower(): value for name, value in match.headers.items()},
        contains=tuple(match.contains),
        min_tokens=match.min_tokens if match.HasField("min_tokens") else None,
        max_tokens=match.max_tokens if match.HasField("max_tokens") else None,
        tools=match.tools if match.HasField("tools") else None,
        stream=match.stream if match.HasField("stream") else None,
        hours=hours_of(match.hours) if match.hours else None,
        days=frozenset(_DAYS.index(day) for day in match.days),
    )


def _action(action: RuleAction) -> Action:
    parameters = ChatRequest()
    if action.HasField("temperature"):
        parameters.sampling.temperature = action.temperature
    if action.HasField("max_output_tokens"):
        parameters.max_output_tokens = action.max_output_tokens
    if action.reasoning_effort:
        parameters.reasoning.effort = action.reasoning_effort
    return Action(
        model=action.model,
        mode=action.mode,
        provider_order=tuple(action.provider_order),
        allowed_providers=(action.provider,) if action.provider else (),
        fallback_models=tuple(action.fallback_models),
        parameters=parameters if parameters.ByteSize() else None,
        warning=action.warning,
    )


def _check_texts(texts: Sequence[str], field: str) -> None:
    if len(texts) > _MOST:
        raise invalid_request(f"`{field}` holds {len(texts)} items; at most {_MOST} are taken.", field)
    if any(not 0 < len(text) <= _LONGEST for text in texts):
        raise invalid_request(f"Each text of `{field}` must have from 1 to {_LONGEST} characters.", field)


def _check_words(words: Iterable[str], known: Iterable[str] | Mapping[str, str], field: str) -> None:
    for word in words:
        if word not in known:
            choice = ", ".join(f"`{one}`" for one in sorted(known))
            raise invalid_request(f"`{field}` must be of {choice}.", field)
