"""Rules that change where requests go: the first that matches, by priority."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from trunkline.call import Call
from trunkline.core.estimate import estimate_tokens
from trunkline.routing.strategies import MODES
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest


@dataclass(frozen=True, slots=True)
class Match:
    """What a request must be for a rule; what is empty or None is not looked at, and the rest must all hold.

    `models`, `users`, `callers` and the values of `metadata` and `headers` may hold `*` for anything. `contains` is
    looked for in what users say, whatever the case. `hours` and `days` are those of UTC; hours may go over midnight.
    """

    models: Sequence[str] = ()
    modes: Sequence[str] = ()
    callers: Sequence[str] = ()
    users: Sequence[str] = ()
    surfaces: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    contains: Sequence[str] = ()
    min_tokens: int | None = None
    max_tokens: int | None = None
    tools: bool | None = None
    stream: bool | None = None
    hours: tuple[float, float] | None = None
    days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Action:
    """What a rule does; what is empty is left as it is. `parameters` are merged into the request."""

    model: str = ""
    mode: str = ""
    provider_order: Sequence[str] = ()
    allowed_providers: Sequence[str] = ()
    fallback_models: Sequence[str] = ()
    parameters: ChatRequest | None = None
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. Those of a higher priority are looked at first."""

    name: str
    match: Match
    action: Action
    priority: int = 0
    enabled: bool = True


class MadeRules:
    """The rules that were made by API. `rules` is replaced as a whole."""

    def __init__(self) -> None:
        self.rules: Sequence[Rule] = ()


class Rules:
    """The rules in force: those of the configuration, and those of `made` beside them. The first that matches acts; the
    others are not looked at."""

    def __init__(self, rules: Sequence[Rule], made: MadeRules | None = None) -> None:
        self._configured = rules
        self._made = made or MadeRules()
        self._seen: Sequence[Rule] = ()
        self._rules = _in_order(rules)

    def apply(self, request: ChatRequest, call: Call) -> tuple[ChatRequest, str]:
        """The request as a rule leaves it, and the name of the rule; as it is, and nothing, where none matches."""
        for rule in self._in_force():
            if _matches(rule.match, request, call):
                return _changed(rule.action, request, call), rule.name
        return request, ""

    def _in_force(self) -> list[Rule]:
        if self._made.rules is not self._seen:
            self._seen = self._made.rules
            self._rules = _in_order([*self._configured, *self._seen])
        return self._rules


def _in_order(rules: Sequence[Rule]) -> list[Rule]:
    return sorted((rule for rule in rules if rule.enabled), key=lambda rule: -rule.priority)


def _matches(match: Match, request: ChatRequest, call: Call) -> bool:
    return (
        _any(match.models, request.model)
        and (not match.modes or _mode(request.model) in map(MODES.get, match.modes))
        and _any(match.callers, call.caller)
        and _any(match.users, request.user)
        and (not match.surfaces or call.surface in match.surfaces)
        and all(fnmatchcase(call.metadata.get(name, ""), pattern) for name, pattern in match.metadata.items())
        and all(fnmatchcase(call.headers.get(name, ""), pattern) for name, pattern in match.headers.items())
        and (match.tools is None or match.tools == bool(request.tools))
        and (match.stream is None or match.stream == (call.operation == "stream_chat"))
        and _now_within(match)
        and _sized(match, request)
        and (not match.contains or _says(request, match.contains))
    )


def _any(patterns: Sequence[str], value: str) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for pattern in patterns)


def _mode(model: str) -> str:
    word = model.rpartition(":")[2]
    return "balance" if word == "auto" else MODES.get(word, "")


def _now_within(match: Match) -> bool:
    if match.hours is None and not match.days:
        return True
    now = time.gmtime()
    if match.days and now.tm_wday not in match.days:
        return False
    if match.hours is None:
        return True
    begin, end = match.hours
    hour = now.tm_hour + now.tm_min / 60
    return begin <= hour < end if begin <= end else hour >= begin or hour < end


def _sized(match: Match, request: ChatRequest) -> bool:
    if match.min_tokens is None and match.max_tokens is None:
        return True
    tokens = estimate_tokens(request)
    return (match.min_tokens or 0) <= tokens and (match.max_tokens is None or tokens <= match.max_tokens)


def _says(request: ChatRequest, words: Sequence[str]) -> bool:
    said = [
        part.text.casefold()
        for message in request.messages
        if message.role == content_pb2.ROLE_USER
        for part in message.parts
        if part.WhichOneof("kind") == "text"
    ]
    return any(word.casefold() in text for word in words for text in said)


def _changed(action: Action, request: ChatRequest, call: Call) -> ChatRequest:
    changed = ChatRequest()
    changed.CopyFrom(request)
    if action.parameters is not None:
        changed.MergeFrom(action.parameters)
    if action.model:
        changed.model = action.model
    if action.mode:
        name, _, word = changed.model.rpartition(":")
        changed.model = f"{name if name and word in MODES else changed.model}:{action.mode}"
    if action.provider_order:
        changed.routing.provider_order[:] = action.provider_order
    if action.allowed_providers:
        changed.routing.allowed_providers[:] = action.allowed_providers
    if action.fallback_models:
        changed.routing.fallback_models[:] = action.fallback_models
    if action.warning:
        call.warnings.append(action.warning)
    return changed
