"""The events of an emulated answer, as the events of a native one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from trunkline.dialects.emulate.conform import mismatch
from trunkline.dialects.emulate.cutter import Cutter, cut_out
from trunkline.dialects.emulate.plan import Plan
from trunkline.dialects.wire import loads
from trunkline.errors import GatewayError, provider_failed
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChoiceEnd, PartDelta, PartEnd, PartStart
from trunkline.v1.content_pb2 import Part, TokenLogprob

_MOST: Final = 16 * 1024 * 1024
"""The most characters of an answer, which is held to be checked."""

_CUT_SHORT: Final = (
    chat_pb2.FINISH_REASON_LENGTH,
    chat_pb2.FINISH_REASON_CONTENT_FILTER,
    chat_pb2.FINISH_REASON_OTHER,
)

_BRACED: Final = frozenset({"object", "array"})

_Place = int | Literal["text", "answer", "nowhere"]
"""What becomes of a part: an index of its own, text in which the answer may be, the answer, or nothing."""


class Reader:
    """Reads one answer. Text that is not part of the JSON that was asked for is left out, and the JSON comes as it is
    written; where it need be no object or array, and where the model writes what it was to call a tool with, it comes
    at the end.

    Raises `GatewayError` (PROVIDER_FAILED) at the end of a choice whose answer is not what was asked for, unless it was
    cut short, refused, or is a call of the caller's own tools.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: ChatEvent) -> list[ChatEvent]:
        """What the caller is told for `event`."""
        match event.WhichOneof("event"):
            case "part_start":
                return self._choice(event.part_start.choice).start(event.part_start)
            case "part_delta":
                return self._choice(event.part_delta.choice).delta(event.part_delta)
            case "part_end":
                return self._choice(event.part_end.choice).end_part(event.part_end)
            case "choice_end":
                return self._choice(event.choice_end.choice).end(event.choice_end)
            case "start" | "usage" | "response_end" | None:
                return [event]

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index, self._plan)
        return choice


class _Choice:
    def __init__(self, index: int, plan: Plan) -> None:
        self._index = index
        self._plan = plan
        self._places: dict[int, _Place] = {}
        self._parts = 0
        self._calls = False
        self._refused = False
        self._size = 0
        self._held: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._said = Part()
        """What the parts that are text tell beside it."""
        self._answer: int | None = None
        self._pieces: list[str] = []
        self._cutter = Cutter(plan.sorts) if not plan.tool and plan.sorts <= _BRACED else None

    def start(self, start: PartStart) -> list[ChatEvent]:
        part = start.part
        events: list[ChatEvent] = []
        kind = part.WhichOneof("kind")
        if kind == "text":
            self._places[start.index] = "text"
            self._tell(part)
            self._text(part.text, part.logprobs, events)
        elif kind == "tool_call" and self._plan.tool and part.tool_call.name == self._plan.tool:
            first = "answer" not in self._places.values()
            self._places[start.index] = "answer" if first else "nowhere"
            if first:
                self._write(part.tool_call.arguments_json, events)
        else:
            if kind == "tool_call":
                self._calls = True
                self._release(events)
            self._refused = self._refused or kind == "refusal"
            self._places[start.index] = place = self._next()
            own = PartStart(choice=self._index, index=place, part=part)
            events.append(ChatEvent(part_start=own))
        return events

    def delta(self, delta: PartDelta) -> list[ChatEvent]:
        place = self._places.get(delta.index, "nowhere")
        events: list[ChatEvent] = []
        if place == "text":
            self._text(delta.text, delta.logprobs, events)
        elif place == "answer":
            self._write(delta.text, events)
        elif place != "nowhere":
            own = PartDelta()
            own.CopyFrom(delta)
            own.index = place
            events.append(ChatEvent(part_delta=own))
        return events

    def end_part(self, end: PartEnd) -> list[ChatEvent]:
        place = self._places.get(end.index, "nowhere")
        if place == "text":
            self._tell(end.part)
        if isinstance(place, str):
            return []
        own = PartEnd(choice=self._index, index=place)
        if end.HasField("part"):
            own.part.CopyFrom(end.part)
        return [ChatEvent(part_end=own)]

    def end(self, end: ChoiceEnd) -> list[ChatEvent]:
        events: list[ChatEvent] = []
        own = ChoiceEnd()
        own.CopyFrom(end)
        cut = end.finish.reason in _CUT_SHORT or end.finish.stop_sequence
        whole = not (self._calls or self._refused or cut)
        if self._answer is None and whole and self._cutter is None:
            text = "".join(self._held)
            self._held.clear()
            self._write(cut_out(text, self._plan.sorts), events)
        if whole and not self._plan.lenient:
            self._check()
        self._release(events)
        if self._answer is not None:
            if self._logprobs:
                events.append(self._piece("", self._answer))
            events.append(ChatEvent(part_end=PartEnd(choice=self._index, index=self._answer, part=self._told())))
        if self._plan.tool and not self._calls and own.finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS:
            own.finish.reason = chat_pb2.FINISH_REASON_STOP
        events.append(ChatEvent(choice_end=own))
        return events

    def _text(self, text: str, logprobs: Sequence[TokenLogprob], events: list[ChatEvent]) -> None:
        """Text of the model's: the answer is in it, or it goes before the answer."""
        self._logprobs.extend(logprobs)
        if self._plan.lenient and not self._plan.tool:
            self._write(text, events)
            return
        piece = "" if self._cutter is None else self._cutter.feed(text)
        if self._cutter is not None and self._cutter.begun:
            self._write(piece, events)
        else:
            self._hold(text)

    def _tell(self, part: Part) -> None:
        """Keep what a part tells beside its text. Where in the text a citation belongs is not known any more."""
        self._said.extras.update(part.extras)
        for citation in part.citations:
            own = self._said.citations.add()
            own.CopyFrom(citation)
            own.ClearField("start_index")
            own.ClearField("end_index")

    def _told(self) -> Part | None:
        """What was kept, once."""
        told, self._said = self._said, Part()
        return told if told.extras or told.citations else None

    def _hold(self, text: str) -> None:
        self._count(text)
        self._held.append(text)

    def _count(self, text: str) -> None:
        self._size += len(text)
        if self._size > _MOST:
            raise provider_failed(f"The model's answer is longer than {_MOST} characters.")

    def _write(self, text: str, events: list[ChatEvent]) -> None:
        """More of the answer."""
        if not text:
            return
        self._count(text)
        self._pieces.append(text)
        if self._answer is None:
            self._answer = self._next()
            start = PartStart(choice=self._index, index=self._answer, part=Part(text=""))
            events.append(ChatEvent(part_start=start))
        events.append(self._piece(text, self._answer))

    def _piece(self, text: str, index: int) -> ChatEvent:
        delta = PartDelta(choice=self._index, index=index, text=text, logprobs=self._logprobs)
        self._logprobs = []
        return ChatEvent(part_delta=delta)

    def _release(self, events: list[ChatEvent]) -> None:
        """Tell what was held, as it turned out to be no answer but what the model says beside its calls."""
        text = "".join(self._held)
        self._held.clear()
        if not text or self._answer is not None:
            return
        part = self._told() or Part()
        part.text = text
        part.logprobs.extend(self._logprobs)
        self._logprobs = []
        index = self._next()
        events.append(ChatEvent(part_start=PartStart(choice=self._index, index=index, part=part)))
        events.append(ChatEvent(part_end=PartEnd(choice=self._index, index=index)))

    def _next(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _check(self) -> None:
        try:
            value = loads("".join(self._pieces))
        except GatewayError as error:
            raise provider_failed(f"The model's answer is not the JSON that was asked for: {error.message}") from None
        schema = {"type": "object"} if self._plan.schema is None else self._plan.schema
        problem = mismatch(value, schema)
        if problem is not None:
            raise provider_failed(f"The model's answer does not match the schema that was asked for: {problem}.")
