"""`response-healing`: answers that were to be JSON, and almost are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from typing import ClassVar, Final

from trunkline.call import Call
from trunkline.core.plugin import Work, note
from trunkline.dialects.emulate.conform import mismatch
from trunkline.dialects.emulate.schema import sorts_of
from trunkline.dialects.wire import Json, Object, loads
from trunkline.errors import GatewayError
from trunkline.plugins.json_text import JsonText
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChoiceEnd, PartDelta, ResponseFormat
from trunkline.v1.content_pb2 import Citation, TokenLogprob

_MOST: Final = 16 * 1024 * 1024
"""The most characters of an answer that are held to be checked."""

_CUT_SHORT: Final = (
    chat_pb2.FINISH_REASON_LENGTH,
    chat_pb2.FINISH_REASON_CONTENT_FILTER,
    chat_pb2.FINISH_REASON_OTHER,
)


class ResponseHealing:
    """Mends the text of answers in JSON mode, and of those that were to match a schema, and checks what it is then.

    Nothing is made up: what cannot be understood, and what was cut, stays as it came. What was mended is noted in the
    message (`extras["trunkline"]`) and counted in the call's record.
    """

    id: ClassVar[str] = "response-healing"
    aliases: ClassVar[tuple[str, ...]] = ()

    def configure(self, options: Object) -> Work:
        """See `Maker.configure`: there is no option."""
        return _Healing()

    async def close(self) -> None:
        """See `Maker.close`."""


class _Healing(Work):
    def __init__(self) -> None:
        self._schema: Json = None
        self._sorts: Set[str] = frozenset()
        self._counts: dict[str, int] = {}
        self._choices: dict[int, _Choice] = {}

    async def prepare(self, request: ChatRequest, call: Call) -> ChatRequest:
        if request.response_format.WhichOneof("kind") is None:
            return request
        self.revises = True
        self._schema = _schema(request.response_format)
        self._sorts = sorts_of(self._schema)
        self._counts = call.plugins
        if any(plugin.id == ResponseHealing.id and plugin.enabled for plugin in request.plugins):
            return request
        # Said in the request, so that where JSON is emulated, what is almost JSON is not refused.
        copy = ChatRequest()
        copy.CopyFrom(request)
        copy.plugins.add(id=ResponseHealing.id, enabled=True)
        return copy

    def feed(self, event: ChatEvent) -> list[ChatEvent]:
        match event.WhichOneof("event"):
            case "part_start":
                return self._choice(event.part_start.choice).start(event)
            case "part_delta":
                return self._choice(event.part_delta.choice).delta(event)
            case "part_end":
                return self._choice(event.part_end.choice).end_part(event)
            case "choice_end":
                choice = self._choice(event.choice_end.choice)
                events = choice.end(event)
                self._tell(choice, event.choice_end)
                return events
            case "start" | "usage" | "response_end" | None:
                return [event]

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(self._sorts)
        return choice

    def _tell(self, choice: _Choice, end: ChoiceEnd) -> None:
        """Note what was mended, and what is wrong all the same."""
        told: dict[str, Json] = {}
        if choice.faults:
            told["repaired"] = dict(sorted(choice.faults.items()))
        for fault, count in choice.faults.items():
            name = f"{ResponseHealing.id}.{fault}"
            self._counts[name] = self._counts.get(name, 0) + count
        problem = choice.problem(self._schema) if choice.answers and not _is_cut(end) else None
        if problem is not None:
            told["problem"] = problem
            name = f"{ResponseHealing.id}.invalid"
            self._counts[name] = self._counts.get(name, 0) + 1
        if told:
            note(end.message_extras, ResponseHealing.id, told)


class _Choice:
    """One choice: its texts, and the end of the last one, which waits until it is known whether that was cut."""

    def __init__(self, sorts: Set[str]) -> None:
        self.faults: Counter[str] = Counter()
        self.answers = True
        """Whether its text is the answer, rather than what the model says beside a call or a refusal."""
        self._sorts = sorts
        self._open: dict[int, _Text] = {}
        self._ending: ChatEvent | None = None
        self._pieces: list[str] = []
        self._size = 0

    def start(self, event: ChatEvent) -> list[ChatEvent]:
        events = self._settle(whole=True)
        part = event.part_start.part
        match part.WhichOneof("kind"):
            case "text":
                text = self._open[event.part_start.index] = _Text(self._sorts)
                text.citations.extend(part.citations)
                del part.citations[:]
                part.text = self._kept(text.json.feed(part.text))
            case "tool_call" | "refusal":
                self.answers = False
        return [*events, event]

    def delta(self, event: ChatEvent) -> list[ChatEvent]:
        delta = event.part_delta
        text = self._open.get(delta.index)
        if text is None:
            return [event]
        text.logprobs.extend(delta.logprobs)
        told = self._kept(text.json.feed(delta.text))
        if not told:
            return []
        delta.text = told
        del delta.logprobs[:]
        delta.logprobs.extend(text.logprobs)
        text.logprobs.clear()
        return [event]

    def end_part(self, event: ChatEvent) -> list[ChatEvent]:
        if event.part_end.index not in self._open:
            return [event]
        events = self._settle(whole=True)
        self._ending = event
        return events

    def end(self, event: ChatEvent) -> list[ChatEvent]:
        return [*self._settle(whole=not _is_cut(event.choice_end)), event]

    def problem(self, schema: Json) -> str | None:
        """What is wrong with the whole text; None where nothing is, or where it is too long to be looked at."""
        if self._size > _MOST:
            return None
        try:
            value = loads("".join(self._pieces))
        except GatewayError as error:
            return error.message
        found = mismatch(value, schema)
        return None if found is None else f"The answer does not match the schema: {found}."

    def _settle(self, *, whole: bool) -> list[ChatEvent]:
        """Tell the end of a text that waited."""
        event, self._ending = self._ending, None
        if event is None:
            return []
        end = event.part_end
        text = self._open.pop(end.index)
        rest = self._kept(text.json.end(whole=whole))
        self.faults.update(text.json.faults)
        if text.citations:
            text.citations.extend(end.part.citations)
            del end.part.citations[:]
            end.part.citations.extend(text.citations)
        if text.json.faults:
            for citation in end.part.citations:
                # Where in the text a claim stands is not known any more.
                citation.ClearField("start_index")
                citation.ClearField("end_index")
        if not rest and not text.logprobs:
            return [event]
        delta = PartDelta(choice=end.choice, index=end.index, text=rest, logprobs=text.logprobs)
        return [ChatEvent(part_delta=delta), event]

    def _kept(self, text: str) -> str:
        self._size += len(text)
        if self._size > _MOST:
            self._pieces.clear()
        elif text:
            self._pieces.append(text)
        return text


class _Text:
    """A text that is written, and what was not told of it yet: log probabilities, and the citations of its start."""

    __slots__ = ("citations", "json", "logprobs")

    def __init__(self, sorts: Set[str]) -> None:
        self.json = JsonText(sorts)
        self.logprobs: list[TokenLogprob] = []
        self.citations: list[Citation] = []


def _is_cut(end: ChoiceEnd) -> bool:
    return end.finish.reason in _CUT_SHORT or bool(end.finish.stop_sequence)


def _schema(form: ResponseFormat) -> Json:
    """The schema that the answer must match. What is none is for the provider to refuse."""
    if form.WhichOneof("kind") == "json_object":
        return {"type": "object"}
    try:
        schema = loads(form.json_schema.schema_json or "{}")
    except GatewayError:
        return {}
    return schema if isinstance(schema, dict) else {}
