"""One choice of a streamed answer: its deltas, put together into the events of parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.dialects.custom import CUSTOM
from trunkline.dialects.event import text_delta
from trunkline.dialects.openai.calls import take_arguments
from trunkline.dialects.openai.citations import ANNOTATIONS, decode_annotations, decode_sources
from trunkline.dialects.openai.content import DIALECT, decode_opaque, decode_reference, take_thinking
from trunkline.dialects.openai.extra_content import take_blocks, take_foreign
from trunkline.dialects.openai.finish import decode_finish
from trunkline.dialects.openai.images import IMAGES, decode_image
from trunkline.dialects.openai.logprobs import decode_logprobs
from trunkline.dialects.openai.merge import Block, Details, Pieces, audio, merge_rest
from trunkline.dialects.openai.reasoning import is_carried, put_carried, told_in_details
from trunkline.dialects.openai.response import call_id
from trunkline.dialects.wire import Json, Object, text_of
from trunkline.v1.chat_pb2 import ChatEvent, ChoiceEnd, PartEnd, PartStart
from trunkline.v1.content_pb2 import Citation, Part

_NEW: Final = {"text": Part(text=""), "refusal": Part(refusal=""), "reasoning": Part()}
_NEW["reasoning"].reasoning.SetInParent()


class _Call:
    """A tool call that is being written. It is a part once its name is known."""

    __slots__ = ("extras", "given", "id", "name", "part", "rest", "told", "waiting", "written")

    def __init__(self, given: str, id_: str) -> None:
        self.given = given
        self.id = id_
        self.name = ""
        self.part: int | None = None
        self.waiting: list[str] = []
        self.written = False
        self.rest: dict[str, Json] = {}
        self.extras: dict[str, str] = {}
        self.told: dict[str, str] = {}

    def all_extras(self) -> dict[str, str]:
        """What goes with it, for each dialect."""
        return {**self.extras, DIALECT: text_of(self.rest)} if self.rest else self.extras


class Choice:
    """Reads the deltas of one choice into events. `answer` is what is told of the answer so far beside its choices."""

    def __init__(self, index: int, response_id: str, answer: Mapping[str, Json]) -> None:
        self._answer = answer
        self.finish: str | None = None
        self.native: str | None = None
        self.met = ""
        self.extras: dict[str, Json] = {}
        self._index = index
        self._response_id = response_id
        self._parts = 0
        self._open: int | None = None
        self._kind = ""
        self._calls: list[_Call] = []
        self._numbered: dict[int, _Call] = {}
        self._named: dict[str, _Call] = {}
        self._blocks: dict[int, Block] = {}
        self._details = Details()
        self._reasons = False
        self._carried: Part | None = None
        self._block_rest: dict[str, Json] = {}
        self._text_extras: dict[str, str] = {}
        self._citations: list[Citation] = []
        self._annotations: list[Json] = []
        """What the first text rests on, as far as it was told before the text ended."""
        self._texts = 0
        self._foreign: dict[str, str] = {}
        self._audio: Pieces | None = None
        self._message_extras: dict[str, Json] = {}

    def text(self, text: str, events: list[ChatEvent]) -> None:
        """More of the content: by far the most frequent delta."""
        self._append("text", text, events)

    def delta(self, delta: Object, logprobs: Object | None, events: list[ChatEvent]) -> None:
        """Any delta. What it tells beside the parts is kept for the end."""
        delta.take("role")
        self._reason(delta, events)
        self._content(delta, logprobs, events)
        refusal = delta.take_str("refusal")
        if refusal:
            self._append("refusal", refusal, events, logprobs, "refusal")
        for item in delta.take_objects(IMAGES):
            part = Part()
            decode_image(item, part)
            self._whole(part, events)
        if "extra_content" in delta.fields:
            self._extra(delta, events)
        for position, item in enumerate(delta.take_objects("tool_calls")):
            self._call(item, position, events)
        function = delta.take_object("function_call")
        if function is not None:
            self._function(function, events)
        spoken = delta.take_object("audio")
        if spoken is not None:
            self._audio = self._audio or audio()
            self._audio.add(spoken.fields)
            spoken.fields.clear()
        if delta.fields.get(ANNOTATIONS) and self._texts <= 1 and (not self._texts or self._kind == "text"):
            told = {ANNOTATIONS: self._annotations}
            merge_rest(told, {ANNOTATIONS: delta.take(ANNOTATIONS)})
            self._annotations = told[ANNOTATIONS]
        rest = delta.rest()
        if rest:
            merge_rest(self._message_extras, {key: value for key, value in rest.items() if value is not None})

    def end(self, events: list[ChatEvent]) -> None:
        """The end of every part, and of the choice."""
        self._close(events)
        for call in self._calls:
            if call.part is None:
                self._start_call(call, events)
            self._end_call(call, events)
        for block in self._blocks.values():
            part = Part()
            part.opaque.dialect = DIALECT
            part.opaque.json = text_of({"id": "", **block.whole()})
            self._whole(part, events)
        if self._audio is not None:
            self._message_extras["audio"] = self._audio.whole()
        end = ChoiceEnd(choice=self._index)
        end.finish.CopyFrom(decode_finish(self.finish or "", native=self.native, calls=bool(self._calls), met=self.met))
        if self.extras:
            end.extras[DIALECT] = text_of(self.extras)
        for dialect, text in self._foreign.items():
            end.message_extras[dialect] = text
        if self._annotations:
            merge_rest(self._message_extras, {ANNOTATIONS: self._annotations})
        if self._message_extras:
            end.message_extras[DIALECT] = text_of(self._message_extras)
        events.append(ChatEvent(choice_end=end))

    def _reason(self, delta: Object, events: list[ChatEvent]) -> None:
        first = delta.take_str("reasoning_content")
        second = delta.take_str("reasoning")
        details = delta.take_list("reasoning_details") or ()
        text = first or second
        self._reasons = self._reasons or bool(text)
        if not self._reasons:
            text = told_in_details(details)
        if text:
            self._append("reasoning", text, events)
        for item in details:
            self._begin("reasoning", events)
            if is_carried(item):
                # What this gateway wrote, and it does so at the end of the part.
                self._carried = Part()
                put_carried(self._carried, item)
                self._close(events)
            else:
                self._details.add([item])

    def _content(self, delta: Object, logprobs: Object | None, events: list[ChatEvent]) -> None:
        content = delta.fields.get("content")
        if type(content) is str:
            del delta.fields["content"]
            if content:
                self._append("text", content, events, logprobs, "content")
            return
        for block in delta.take_objects("content"):
            self._block(block, logprobs, events)

    def _block(self, block: Object, logprobs: Object | None, events: list[ChatEvent]) -> None:
        """A block of a content that is a list, as Mistral writes it."""
        kind = block.fields.get("type")
        if kind == "text" and type(block.fields.get("text")) is str and len(block.fields) == 2:
            self._append("text", block.fields["text"], events, logprobs, "content")
            return
        if kind == "thinking":
            text = take_thinking(block)
            if text is not None:
                self._append("reasoning", text, events)
                self._block_rest.update(block.fields)
                return
        citation = decode_reference(block.fields) if self._open is not None and self._kind == "text" else None
        if citation is not None:
            self._citations.append(citation)
            return
        part = Part()
        decode_opaque(block, part)
        self._whole(part, events)

    def _extra(self, delta: Object, events: list[ChatEvent]) -> None:
        """What other dialects need back: it belongs to the text, if one is open."""
        blocks = take_blocks(delta)
        take_foreign(delta, self._text_extras if self._kind == "text" else self._foreign)
        for _, part in blocks:
            self._whole(part, events)

    def _append(
        self, kind: str, text: str, events: list[ChatEvent], logprobs: Object | None = None, key: str = ""
    ) -> None:
        index = self._begin(kind, events)
        event = text_delta(text, index, self._index)
        if logprobs is not None and logprobs.fields.get(key):
            event.part_delta.logprobs.extend(decode_logprobs(logprobs.take(key)))
        events.append(event)

    def _begin(self, kind: str, events: list[ChatEvent]) -> int:
        """Begin a part of `kind` unless one is open, and give its index."""
        if self._open is not None:
            if self._kind == kind and not self._citations:
                return self._open
            self._close(events)
        self._open, self._kind = self._start(_NEW[kind], events), kind
        self._texts += kind == "text"
        return self._open

    def _close(self, events: list[ChatEvent]) -> None:
        """End the open text, refusal or reasoning, if any."""
        if self._open is None:
            return
        end = PartEnd(choice=self._index, index=self._open)
        if self._kind == "reasoning":
            if self._carried is not None:
                end.part.CopyFrom(self._carried)
                self._carried = None
            own = {**self._block_rest}
            details = self._details.whole()
            if details:
                own["reasoning_details"] = details
                self._details = Details()
            if own:
                end.part.extras[DIALECT] = text_of(own)
                self._block_rest = {}
        else:
            if self._text_extras:
                _put(end.part, self._text_extras)
                self._text_extras = {}
            if self._citations:
                end.part.citations.extend(self._citations)
                self._citations = []
            if self._annotations and self._kind == "text":
                citations = decode_annotations(self._annotations)
                if citations:
                    end.part.citations.extend(citations)
                    self._annotations = []
            if self._kind == "text" and self._texts == 1 and not end.part.citations:
                end.part.citations.extend(decode_sources(self._answer))
        events.append(ChatEvent(part_end=end))
        self._open, self._kind = None, ""

    def _start(self, part: Part, events: list[ChatEvent]) -> int:
        index = self._parts
        self._parts += 1
        events.append(ChatEvent(part_start=PartStart(choice=self._index, index=index, part=part)))
        return index

    def _whole(self, part: Part, events: list[ChatEvent]) -> None:
        """A part that is told at once."""
        self._close(events)
        index = self._start(part, events)
        events.append(ChatEvent(part_end=PartEnd(choice=self._index, index=index)))

    def _function(self, wire: Object, events: list[ChatEvent]) -> None:
        """A piece of a `function_call`, the older form of a call, which has no id. Some servers leave it empty."""
        name = wire.take_str("name") or ""
        arguments = take_arguments(wire)
        call = self._numbered.get(-1)
        if call is None:
            if not name:
                return
            call = self._numbered[-1] = _Call("", "")
            self._calls.append(call)
        self._write_call(call, name, arguments, events)

    def _call(self, wire: Object, position: int, events: list[ChatEvent]) -> None:
        number = wire.take_int("index", 0)
        number = position if number is None else number
        custom = wire.take_object(CUSTOM) if _is_custom(wire.fields) else None
        if custom is None and (number in self._blocks or wire.fields.get("type") not in (None, "", "function")):
            # A call of a type that nobody knows is one block: it is told once it is whole.
            self._blocks.setdefault(number, Block()).add(wire.fields)
            return
        if custom is None:
            wire.take("type")
        elif not wire.fields.get("type"):
            wire.fields["type"] = CUSTOM
        given = wire.take_str("id") or ""
        function = custom or wire.take_object("function")
        name = (function.take_str("name") if function is not None else None) or ""
        arguments = ""
        if function is not None:
            arguments = take_arguments(function) if custom is None else custom.take_str("input") or ""
        call = self._numbered.get(number)
        if call is None or (name and _is_another(call, given)):
            call = self._named.get(given) if given else None
            if call is None:
                call = _Call(given, given or call_id(self._response_id, self._index, len(self._calls)))
                self._calls.append(call)
                if given:
                    self._named[given] = call
            self._numbered[number] = call
        take_foreign(wire, call.extras)
        rest = wire.rest()
        if rest:
            merge_rest(call.rest, {key: value for key, value in rest.items() if value is not None})
        self._write_call(call, name, arguments, events)

    def _write_call(self, call: _Call, name: str, arguments: str, events: list[ChatEvent]) -> None:
        if call.part is None:
            if arguments:
                call.waiting.append(arguments)
            if name:
                call.name = name
                self._start_call(call, events)
        elif arguments:
            call.written = True
            events.append(text_delta(arguments, call.part, self._index))

    def _start_call(self, call: _Call, events: list[ChatEvent]) -> None:
        self._close(events)
        part = Part()
        part.tool_call.id = call.id
        part.tool_call.name = call.name
        call.told = dict(call.all_extras())
        _put(part, call.told)
        call.part = self._start(part, events)
        if call.waiting:
            self._write_call(call, "", "".join(call.waiting), events)

    def _end_call(self, call: _Call, events: list[ChatEvent]) -> None:
        end = PartEnd(choice=self._index, index=call.part or 0)
        extras = call.all_extras()
        if extras != call.told:
            _put(end.part, extras)
        events.append(ChatEvent(part_end=end))


def _is_custom(fields: dict[str, Json]) -> bool:
    """Whether this is a piece of the call of a custom tool. Snowflake writes an empty one beside each function."""
    inner, kind = fields.get(CUSTOM), fields.get("type")
    return type(inner) is dict and (kind == CUSTOM or (not kind and any(inner.values())))


def _is_another(call: _Call, given: str) -> bool:
    """Whether a call that has the number of `call` is another: servers number every call 0, some without an id."""
    if given or call.given:
        return bool(given) and given != call.given
    return call.written


def _put(part: Part, extras: Mapping[str, str]) -> None:
    for dialect, text in extras.items():
        part.extras[dialect] = text
