"""The events of a streamed answer, read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trunkline.dialects.event import text_delta
from trunkline.dialects.ids import call_id
from trunkline.dialects.openai.logprobs import decode_logprobs
from trunkline.dialects.responses.content import decode_citation
from trunkline.dialects.responses.errors import decode_failure
from trunkline.dialects.responses.extras import DIALECT, ITEM, keep, own, take_item
from trunkline.dialects.responses.finish import decode_finish
from trunkline.dialects.responses.reasoning import PIECES, SEPARATOR, put_pieces
from trunkline.dialects.responses.response import decode_head
from trunkline.dialects.responses.turns import CALLS, decode_output, is_hosted, opaque
from trunkline.dialects.responses.usage import decode_usage
from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.errors import provider_failed
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, ChoiceEnd, PartDelta, PartEnd, PartStart, ResponseEnd
from trunkline.v1.content_pb2 import Message, Part


class _Open:
    """A part that is being written: its index, its kind, what was told of its text, and its annotations."""

    __slots__ = ("citations", "has_logprobs", "index", "kind", "said")

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.said: list[str] = []
        self.has_logprobs = False
        self.citations: list[Json] = []


class _Item:
    """An item that is being written."""

    __slots__ = ("adjacent", "ended", "fields", "heard", "id", "kind", "parts", "piece", "pieces")

    def __init__(self, fields: dict[str, Json]) -> None:
        self.fields = fields
        self.id = fields.get("id")
        self.kind = fields.get("type") or ""
        self.adjacent = False
        self.ended = False
        # Parts of a message by the server's own number, which need not begin at 0; one part, 0, for all else.
        self.parts: dict[Any, _Open] = {}
        self.piece: tuple[str, Any] | None = None
        self.heard: set[tuple[str, Any]] = set()
        self.pieces: list[tuple[str, int]] = []


class StreamDecoder:
    """Reads the data of the events of one stream.

    An answer is whole once the server says so (`response.completed`, `response.incomplete`). What `.done` events say
    again is passed over, and taken where nothing was said before. Nothing is told before the first item, so that a
    response that fails at once can be asked of another target.
    """

    def __init__(self) -> None:
        self._start: ChatResponse | None = None
        self._told = False
        self._done = False
        self._parts = 0
        self._called = False
        self._after_message = False
        self._head: dict[str, Json] = {}
        self._items: dict[Any, _Item] = {}

    @property
    def done(self) -> bool:
        """Whether the server said that nothing follows."""
        return self._done

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of one event of the server's. Raises `GatewayError` where it tells of an error, or is none."""
        if self._done or data.startswith(b"[DONE]"):
            return []
        wire = loads(data)
        if not isinstance(wire, dict):
            raise provider_failed("An event of the provider's stream is not a JSON object.")
        for key in _PLACES:
            if key in wire and type(wire[key]) is not int and type(wire[key]) is not str:
                del wire[key]
        events: list[ChatEvent] = []
        kind = wire.get("type")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is not None:
            read(self, wire, events)
        elif wire.get("error"):
            raise decode_failure(wire["error"])
        elif isinstance(kind, str):
            self._progress(wire, events)
        return events

    def end(self) -> list[ChatEvent]:
        """The events that the end of the stream means: none, as it ends with its last event or too early."""
        return []

    def _begin(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        response = wire.get("response")
        if self._start is None and isinstance(response, dict):
            self._start = _head_of(response, self._head)

    def _tell(self, events: list[ChatEvent]) -> None:
        if not self._told:
            self._told = True
            events.append(ChatEvent(start=self._start or ChatResponse()))

    def _key(self, wire: dict[str, Json]) -> Any:
        """What tells one item from another: its place, or its id where the server leaves the place out; the item that
        was begun last where it tells neither."""
        place = wire.get("output_index")
        if type(place) is int:
            return place
        item = wire.get("item")
        given = item.get("id") if isinstance(item, dict) else wire.get("item_id")
        if given is None:
            return next(reversed(self._items), None)
        return next((key for key, item in self._items.items() if item.id == given), _text(given))

    def _added(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        fields = wire.get("item")
        if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
            return
        unplaced = "output_index" not in wire and fields.get("id") is None
        key = len(self._items) if unplaced else self._key(wire)
        if key not in self._items:
            self._add(key, fields, events)

    def _add(self, key: Any, fields: dict[str, Json], events: list[ChatEvent]) -> _Item:
        self._tell(events)
        item = self._items[key] = _Item(fields)
        item.adjacent = self._after_message
        self._after_message = item.kind == "message"
        if item.kind in CALLS and not is_hosted(fields):
            self._called = True
            part = Part()
            call = part.tool_call
            call.id = _text(fields.get("call_id")) or call_id(self._id, 0, self._parts)
            call.name = _text(fields.get("name"))
            told = take_item(Object(dict(fields), lenient=True))
            if item.kind != "function_call":
                told["type"] = item.kind
            if told:
                part.extras[DIALECT] = text_of({ITEM: told})
            self._open(item, 0, part, events)
        elif item.kind not in ("message", "reasoning"):
            part = Part()
            opaque(fields, part)
            self._open(item, 0, part, events)
        return item

    @property
    def _id(self) -> str:
        return self._start.id if self._start is not None else ""

    def _open(self, item: _Item, number: Any, part: Part, events: list[ChatEvent]) -> _Open:
        opened = item.parts[number] = _Open(self._parts, part.WhichOneof("kind") or "")
        self._parts += 1
        events.append(ChatEvent(part_start=PartStart(index=opened.index, part=part)))
        return opened

    def _item(self, wire: dict[str, Json], kind: str, events: list[ChatEvent]) -> _Item | None:
        """The item that an event is about, begun here where the server did not say that it begins; None where it is of
        another kind, or has ended."""
        key = self._key(wire)
        item = self._items.get(key)
        if item is None:
            item = self._add(key, {"type": kind, "id": wire.get("item_id")}, events)
        return item if item.kind == kind and not item.ended else None

    def _content(self, item: _Item, number: Any, kind: str, events: list[ChatEvent]) -> _Open:
        """The part of a message with the server's `number`, begun where it is not yet."""
        opened = item.parts.get(number)
        if opened is None:
            part = Part(text="") if kind == "text" else Part(refusal="")
            if not item.parts:
                told = take_item(Object(dict(item.fields), lenient=True))
                if told or item.adjacent:
                    part.extras[DIALECT] = text_of({ITEM: told})
            opened = self._open(item, number, part, events)
        return opened

    def _part_added(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        part = wire.get("part")
        named = part.get("type") if isinstance(part, dict) else None
        kind = _KINDS.get(named) if isinstance(named, str) else None
        if kind is not None:
            item = self._item(wire, "message", events)
            if item is not None:
                self._content(item, wire.get("content_index", 0), kind, events)

    def _text_delta(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        text = wire.get("delta")
        if not isinstance(text, str) or not text:
            return
        item = self._items.get(wire.get("output_index"))
        opened = item.parts.get(wire.get("content_index", 0)) if item is not None else None
        if opened is None or item is None or item.ended:
            item = self._item(wire, "message", events)
            if item is None:
                return
            kind = "refusal" if wire["type"] == "response.refusal.delta" else "text"
            opened = self._content(item, wire.get("content_index", 0), kind, events)
        if opened.kind in ("text", "refusal"):
            opened.said.append(text)
            event = text_delta(text, opened.index)
            logprobs = wire.get("logprobs")
            if logprobs:
                opened.has_logprobs = True
                event.part_delta.logprobs.extend(decode_logprobs(logprobs))
            events.append(event)

    def _text_done(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        item = self._item(wire, "message", events)
        if item is None:
            return
        kind = "refusal" if wire["type"] == "response.refusal.done" else "text"
        opened = self._content(item, wire.get("content_index", 0), kind, events)
        if opened.kind == kind:
            self._say(opened, wire.get("refusal" if kind == "refusal" else "text"), events)

    def _say(self, opened: _Open, text: Json, events: list[ChatEvent]) -> None:
        """Tell of a whole text what was not told in pieces. What was told and is not its beginning stays as it is."""
        if not isinstance(text, str):
            return
        said = "".join(opened.said)
        if len(text) > len(said) and text.startswith(said):
            opened.said = [text]
            events.append(text_delta(text[len(said) :], opened.index))

    def _progress(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        """Carry what is told of an item that only this dialect can read."""
        if "output_index" not in wire and "item_id" not in wire:
            return
        item = self._items.get(self._key(wire))
        opened = item.parts.get(0) if item is not None and not item.ended else None
        if opened is not None and opened.kind == "opaque":
            delta = PartDelta(index=opened.index)
            delta.progress.dialect = DIALECT
            delta.progress.json = text_of(wire)
            events.append(ChatEvent(part_delta=delta))

    def _annotation(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        item = self._items.get(self._key(wire))
        opened = item.parts.get(wire.get("content_index", 0)) if item is not None else None
        if opened is not None and isinstance(wire.get("annotation"), dict):
            opened.citations.append(wire["annotation"])

    def _arguments(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        item = self._items.get(self._key(wire))
        opened = item.parts.get(0) if item is not None and not item.ended else None
        if opened is None or opened.kind != "tool_call":
            return
        text = wire.get("delta")
        if isinstance(text, str) and text:
            opened.said.append(text)
            events.append(text_delta(text, opened.index))
        self._say(opened, wire.get("arguments", wire.get("input")), events)

    def _summary(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        self._reason(wire, "summary", wire.get("summary_index", 0), events)

    def _reasoning(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        self._reason(wire, "content", wire.get("content_index", 0), events)

    def _reason(self, wire: dict[str, Json], array: str, number: Any, events: list[ChatEvent]) -> None:
        delta = wire.get("delta")
        text = wire.get("text") if delta is None else delta
        if not isinstance(text, str) or not text:
            return
        item = self._item(wire, "reasoning", events)
        if item is not None and (delta is not None or (array, number) not in item.heard):
            self._reason_text(item, array, number, text, events)

    def _reason_text(self, item: _Item, array: str, number: Any, text: str, events: list[ChatEvent]) -> None:
        opened = item.parts.get(0)
        if opened is None:
            opened = self._begin_reasoning(item, array, events)
        if item.piece != (array, number):
            if item.pieces:
                # The empty delta tells the encoder of this dialect that another text of the item begins.
                events.append(text_delta("", opened.index))
                events.append(text_delta(SEPARATOR, opened.index))
                opened.said.append(SEPARATOR)
            item.piece = (array, number)
            item.heard.add(item.piece)
            item.pieces.append((array, 0))
        item.pieces[-1] = (array, item.pieces[-1][1] + len(text))
        opened.said.append(text)
        events.append(text_delta(text, opened.index))

    def _begin_reasoning(self, item: _Item, array: str, events: list[ChatEvent]) -> _Open:
        part = Part()
        part.reasoning.SetInParent()
        told: dict[str, Json] = {"id": item.id} if item.id else {}
        put_pieces(told, [(array, 0)])
        part.extras[DIALECT] = text_of(told)
        return self._open(item, 0, part, events)

    def _item_done(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        fields = wire.get("item")
        if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
            return
        key = self._key(wire)
        item = self._items.get(key)
        if item is None or not item.ended:
            self._finish(key, fields, events)

    def _finish(self, key: Any, fields: dict[str, Json], events: list[ChatEvent]) -> None:
        """End an item, of which `fields` tell the whole."""
        item = self._items.get(key)
        if item is None:
            item = self._add(key, fields, events)
        item.ended = True
        if fields.get("type") != item.kind:
            fields = item.fields
        if item.kind == "message":
            self._finish_message(item, fields, events)
            return
        message = Message()
        decode_output(Object(dict(fields), lenient=True), message.parts, adjacent=False)
        if not message.parts:
            return
        final = message.parts[0]
        end = PartEnd()
        match final.WhichOneof("kind"):
            case "reasoning":
                if 0 not in item.parts:
                    array = own(final.extras).get(PIECES) or [("summary", 0)]
                    self._begin_reasoning(item, array[0][0], events)
                self._say(item.parts[0], final.reasoning.text, events)
            case "tool_call":
                self._say(item.parts[0], final.tool_call.arguments_json, events)
                if final.tool_call.name != _text(item.fields.get("name")):
                    end.part.tool_call.name = final.tool_call.name
                if final.tool_call.id and final.tool_call.id != _text(item.fields.get("call_id")):
                    end.part.tool_call.id = final.tool_call.id
            case "opaque":
                if final.opaque.json != text_of(item.fields):
                    end.part.opaque.json = final.opaque.json
        if final.extras:
            end.part.extras.update(final.extras)
        end.index = item.parts[0].index
        events.append(ChatEvent(part_end=end))

    def _finish_message(self, item: _Item, fields: dict[str, Json], events: list[ChatEvent]) -> None:
        message = Message()
        decode_output(Object(dict(fields), lenient=True), message.parts, adjacent=item.adjacent)
        opened = [item.parts[number] for number in item.parts]
        for final in message.parts:
            kind = final.WhichOneof("kind") or ""
            if kind in ("text", "refusal"):
                at = next((one for one in opened if one.kind == kind), None)
                if at is None:
                    at = self._content(item, object(), kind, events)
                else:
                    opened.remove(at)
                self._say(at, final.text or final.refusal, events)
                events.append(ChatEvent(part_end=_end_text(at, final)))
            else:
                at = self._open(item, object(), final, events)
                events.append(ChatEvent(part_end=PartEnd(index=at.index)))
        events.extend(ChatEvent(part_end=_end_text(at, Part())) for at in opened)

    def _complete(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        response = wire.get("response")
        fields: dict[str, Json] = response if isinstance(response, dict) else {}
        if self._start is None:
            self._start = _head_of(fields, self._head)
        self._tell(events)
        output = fields.get("output")
        self._finish_rest(output if isinstance(output, list) else [], events)
        last = Object({key: value for key, value in fields.items() if key != "output"}, lenient=True)
        end = ChatResponse()
        decode_head(last, end)
        status = last.take_str("status") or str(wire["type"]).removeprefix("response.")
        finish = decode_finish(status, last.take("incomplete_details"), calls=self._called)
        usage = last.take_object("usage")
        if usage is not None:
            events.append(ChatEvent(usage=decode_usage(usage)))
            last.take("usage")
        events.append(ChatEvent(choice_end=ChoiceEnd(finish=finish)))
        rest = {**self._head, **{key: value for key, value in last.rest().items() if value is not None}}
        if end.service_tier != self._start.service_tier:
            rest["service_tier"] = end.service_tier
        if rest != self._head:
            events.append(ChatEvent(response_end=ResponseEnd(extras={DIALECT: text_of(rest)})))
        self._done = True

    def _finish_rest(self, output: list[Json], events: list[ChatEvent]) -> None:
        """End the items that the server did not end, by what the whole response says of them."""
        items = [fields for fields in output if isinstance(fields, dict) and isinstance(fields.get("type"), str)]
        for key, item in [(key, item) for key, item in self._items.items() if not item.ended]:
            same = [fields for fields in items if fields["type"] == item.kind and fields.get("id") == item.id]
            self._finish(key, same[0] if same else item.fields, events)
        if not self._items:
            for place, fields in enumerate(items):
                self._finish(place, fields, events)

    def _failed(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        response = wire.get("response")
        raise decode_failure(response.get("error") if isinstance(response, dict) else None)

    def _error(self, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        error = wire.get("error")
        raise decode_failure(error if isinstance(error, dict) else {**wire, "type": None})


def _head_of(fields: dict[str, Json], head: dict[str, Json]) -> ChatResponse:
    """A response without its items; `head` is filled with what of it is extras."""
    start = ChatResponse()
    wire = Object({key: value for key, value in fields.items() if key != "output"}, lenient=True)
    decode_head(wire, start)
    if start.service_tier == "auto":
        # What was asked for: the end tells what came of it.
        start.service_tier = ""
    for key in ("status", "incomplete_details", "usage"):
        wire.take(key)
    head.update({key: value for key, value in wire.rest().items() if value is not None})
    keep(wire, start.extras)
    return start


def _end_text(at: _Open, final: Part) -> PartEnd:
    end = PartEnd(index=at.index)
    if final.citations:
        end.part.citations.extend(final.citations)
    elif at.citations:
        end.part.citations.extend(decode_citation(Object(dict(one), lenient=True)) for one in at.citations)
    if final.logprobs and not at.has_logprobs:
        end.part.logprobs.extend(final.logprobs)
    if final.extras:
        end.part.extras.update(final.extras)
    return end


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


_PLACES: Final = ("output_index", "content_index", "summary_index", "item_id")
"""The keys that tell what an event is about."""

_KINDS: Final[dict[Any, str]] = {"output_text": "text", "refusal": "refusal"}

_READERS: Final[dict[str, Callable[[StreamDecoder, dict[str, Json], list[ChatEvent]], None]]] = {
    "response.created": StreamDecoder._begin,
    "response.queued": StreamDecoder._begin,
    "response.in_progress": StreamDecoder._begin,
    "response.output_item.added": StreamDecoder._added,
    "response.output_item.done": StreamDecoder._item_done,
    "response.content_part.added": StreamDecoder._part_added,
    "response.output_text.delta": StreamDecoder._text_delta,
    "response.output_text.done": StreamDecoder._text_done,
    "response.output_text.annotation.added": StreamDecoder._annotation,
    "response.refusal.delta": StreamDecoder._text_delta,
    "response.refusal.done": StreamDecoder._text_done,
    "response.function_call_arguments.delta": StreamDecoder._arguments,
    "response.function_call_arguments.done": StreamDecoder._arguments,
    "response.custom_tool_call_input.delta": StreamDecoder._arguments,
    "response.custom_tool_call_input.done": StreamDecoder._arguments,
    "response.reasoning_summary_text.delta": StreamDecoder._summary,
    "response.reasoning_summary_text.done": StreamDecoder._summary,
    "response.reasoning_text.delta": StreamDecoder._reasoning,
    "response.reasoning_text.done": StreamDecoder._reasoning,
    "response.completed": StreamDecoder._complete,
    "response.incomplete": StreamDecoder._complete,
    "response.failed": StreamDecoder._failed,
    "response.cancelled": StreamDecoder._failed,
    "error": StreamDecoder._error,
}
"""Type of event -> what reads it. Every other tells of the progress of an item, which is told whole when it is done: of
the items that only this dialect can read it is carried."""
