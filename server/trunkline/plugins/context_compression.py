"""`context-compression`: conversations that are too long for their model lose their middle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from trunkline.call import Call
from trunkline.core.estimate import estimate_message, estimate_text, estimate_tokens
from trunkline.core.plugin import Work, note
from trunkline.dialects.wire import Json, Object
from trunkline.errors import unsupported
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest
from trunkline.v1.content_pb2 import Message, Part

_ENGINE: Final = "middle-out"
_MARK: Final = "\n[...]\n"
_LEAST_KEPT: Final = 64
"""Tokens of a text below which it goes rather than be shortened."""
_FOR_ANSWER: Final = 16
"""The part of the context that is left for the answer where the request does not tell its length."""

_SYSTEM: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)

Context = Callable[[str], Awaitable[int | None]]
"""The name of a model -> the tokens that it can read and write; None where that is not known."""


class ContextCompression:
    """Removes messages around the middle, the middle-most first, and shortens the last of them, until the rest fits.

    What was said to the model as instructions, what begins the conversation, what the user said last and what came last
    stay as they are, and a call of a tool stays with its result. What was removed is noted in the answer.
    """

    id: ClassVar[str] = "context-compression"
    aliases: ClassVar[tuple[str, ...]] = (_ENGINE,)

    def __init__(self, context: Context) -> None:
        self._context = context

    def configure(self, options: Object) -> Work:
        """See `Maker.configure`: `engine`, which is `middle-out`."""
        engine = options.take_str("engine")
        if engine not in (None, _ENGINE):
            path = options.at("engine")
            raise unsupported(f"`{path}` must be `{_ENGINE}`.", path)
        return _Compressing(self._context)

    async def close(self) -> None:
        """See `Maker.close`."""


class _Compressing(Work):
    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: dict[str, Json] = {}

    async def prepare(self, request: ChatRequest, call: Call) -> ChatRequest:
        context = await self._context(request.model)
        if context is None or not request.messages:
            return request
        before = estimate_tokens(request)
        excess = before + (request.max_output_tokens or context // _FOR_ANSWER) - context
        if excess <= 0:
            return request
        compressed = ChatRequest()
        compressed.CopyFrom(request)
        cut = _Cut(compressed.messages)
        cut.reduce(excess)
        if not cut.removed and not cut.shortened:
            return request
        for index in sorted(cut.removed, reverse=True):
            del compressed.messages[index]
        self.revises = True
        self._told = {
            "engine": _ENGINE,
            "removed_messages": len(cut.removed),
            "shortened_messages": len(cut.shortened),
            "tokens_before": before,
            "tokens_after": estimate_tokens(compressed),
        }
        call.plugins[f"{ContextCompression.id}.removed_messages"] = len(cut.removed)
        call.plugins[f"{ContextCompression.id}.shortened_messages"] = len(cut.shortened)
        return compressed

    def feed(self, event: ChatEvent) -> list[ChatEvent]:
        if event.WhichOneof("event") == "choice_end":
            note(event.choice_end.message_extras, ContextCompression.id, self._told)
        return [event]


@dataclass(slots=True)
class _Unit:
    """Messages that stand or go together: a call of tools and its results, or one message. `end` is behind the last."""

    start: int
    end: int
    tokens: int = 0
    kept: bool = False


class _Cut:
    """What of a conversation is to go. `messages` are shortened in place; `removed` are the places of those to go."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.removed: list[int] = []
        self.shortened: set[int] = set()
        self._messages = messages
        self._last_said = _last_said(messages)
        self._units = _units(messages)
        for unit in self._units:
            unit.tokens = sum(map(estimate_message, messages[unit.start : unit.end]))
            roles = [message.role for message in messages[unit.start : unit.end]]
            unit.kept = any(role in _SYSTEM for role in roles) or unit.start <= self._last_said < unit.end
        free = [unit for unit in self._units if not _is_system(messages[unit.start])]
        for unit in (*free[:1], *free[-1:]):
            unit.kept = True

    def reduce(self, excess: int) -> None:
        """Take away `excess` tokens, or as many as there are to be had."""
        middle = (len(self._units) - 1) / 2
        going = [(abs(place - middle), unit) for place, unit in enumerate(self._units) if not unit.kept]
        for _, unit in sorted(going, key=lambda one: one[0]):
            if excess <= 0:
                return
            if unit.tokens - excess >= _LEAST_KEPT and self._shorten(unit, excess + 1, results_alone=False) <= 0:
                return
            self.shortened.difference_update(range(unit.start, unit.end))
            self.removed.extend(range(unit.start, unit.end))
            excess -= unit.tokens - (unit.end - unit.start)  # each was rounded up
        # What tools gave may be shortened even where it must stay.
        for unit in self._units:
            if excess > 0 and unit.kept:
                excess = self._shorten(unit, excess, results_alone=True)

    def _shorten(self, unit: _Unit, excess: int, *, results_alone: bool) -> int:
        """Shorten the longest texts of a unit by `excess` tokens. Gives how many are left."""
        texts: list[tuple[int, int, Part]] = []
        for index in range(unit.start, unit.end):
            for part, result in _texts(self._messages[index]):
                if result or not results_alone:
                    texts.append((estimate_text(part.text), index, part))
        for tokens, index, part in sorted(texts, key=lambda one: -one[0]):
            if excess <= 0:
                break
            least = max(_LEAST_KEPT, tokens - excess)
            if tokens <= least:
                continue
            part.text = _shortened(part.text, least)
            del part.citations[:], part.logprobs[:]
            excess -= tokens - estimate_text(part.text)
            self.shortened.add(index)
        return excess


def _units(messages: Sequence[Message]) -> list[_Unit]:
    units: list[_Unit] = []
    calls: dict[str, int] = {}
    for index, message in enumerate(messages):
        start = index
        for part in message.parts:
            match part.WhichOneof("kind"):
                case "tool_call":
                    calls[part.tool_call.id] = index
                case "tool_result":
                    # A call that cannot be read stands right before its result.
                    start = min(start, calls.get(part.tool_result.tool_call_id, max(0, index - 1)))
        while units and units[-1].end > start:
            start = min(start, units.pop().start)
        units.append(_Unit(start, index + 1))
    return units


def _last_said(messages: Sequence[Message]) -> int:
    """The place of the last message in which the user says something of his own; -1 where there is none."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role == content_pb2.ROLE_USER and any(
            part.WhichOneof("kind") != "tool_result" for part in message.parts
        ):
            return index
    return -1


def _is_system(message: Message) -> bool:
    return message.role in _SYSTEM


def _texts(message: Message) -> Iterator[tuple[Part, bool]]:
    """The texts of a message, and whether each is what a tool gave."""
    for part in message.parts:
        match part.WhichOneof("kind"):
            case "text":
                yield part, False
            case "tool_result":
                for inner in part.tool_result.parts:
                    if inner.WhichOneof("kind") == "text":
                        yield inner, True


def _shortened(text: str, most: int) -> str:
    """`text` without its middle, so that it is at most `most` tokens, about."""
    low, high = 0, len(text)
    while low < high:
        kept = (low + high + 1) // 2
        if estimate_text(_without_middle(text, kept)) <= most:
            low = kept
        else:
            high = kept - 1
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    head = (kept + 1) // 2
    return text[:head] + _MARK + text[len(text) - kept // 2 :]
