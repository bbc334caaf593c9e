"""The events of a streamed answer, written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from trunkline.dialects.responses.carry import is_carrier
from trunkline.dialects.responses.content import encode_citation, encode_logprobs, encode_output
from trunkline.dialects.responses.extras import DIALECT, ITEM, own
from trunkline.dialects.responses.reasoning import PIECES, SEPARATOR, TYPES, cuts
from trunkline.dialects.responses.response import Echo, begins_item, carrier, encode_item, head, whole
from trunkline.dialects.responses.turns import CALLS
from trunkline.dialects.wire import Json, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, Finish, PartDelta, PartEnd, PartStart
from trunkline.v1.content_pb2 import Part

Event: TypeAlias = tuple[str, bytes]
"""The type of an event, which is its name in the stream, too, and its data."""

_DELTAS: Final = {
    "text": "response.output_text",
    "refusal": "response.refusal",
    "function_call": "response.function_call_arguments",
    "custom_tool_call": "response.custom_tool_call_input",
    "summary": "response.reasoning_summary_text",
    "content": "response.reasoning_text",
}
"""What is written -> how the types of its events begin."""


class _Item:
    """An item that is being written: its place, what it is so far, and how many of its parts are still open."""

    __slots__ = ("open", "place", "sealed", "wire")

    def __init__(self, place: int, wire: dict[str, Json]) -> None:
        self.place = place
        self.wire = wire
        self.open = 0
        self.sealed = False


class _Written:
    """A part that is being written: its item, what it is, where it stands in the item, and its text so far.

    `prefix` is an event's JSON up to its sequence number, which each delta of the part repeats. Of reasoning, `pieces`
    are the texts that ended, each with its array, `cuts` the arrays and lengths of those to come, where they are known
    beforehand, and `skip` what is left of the separator between two.
    """

    __slots__ = ("array", "cuts", "item", "number", "part", "pieces", "prefix", "skip", "text", "what")

    def __init__(self, item: _Item, part: Part, what: str, number: int) -> None:
        self.item = item
        self.part = part
        self.what = what
        self.array = "summary"
        self.number = number
        self.text: list[str] = []
        self.pieces: list[tuple[str, str]] = []
        self.cuts: list[tuple[str, int]] = []
        self.skip = 0
        self.prefix = b""


def encode_failure(error: GatewayError, response: dict[str, Json], number: int) -> list[Event]:
    """The events that end an answer that failed, the first of them `number`: the error, and the whole `response`."""
    row = error.row
    told = {"type": row.openai_type, "code": row.openai_code, "message": error.message, "param": error.param}
    flat = {"code": row.openai_code, "message": error.message, "param": error.param}
    return [
        _event("error", number, {**flat, "error": told}),
        _event("response.failed", number + 1, {"response": response}),
    ]


def _event(kind: str, number: int, fields: dict[str, Json]) -> Event:
    return kind, dumps({"type": kind, "sequence_number": number, **fields})


class StreamEncoder:
    """Writes events, each as its type and its JSON text.

    `request` is what the answer is to, parts of which a response repeats; `decided` are fields of the response that
    the gateway itself decides, and `expected` is what is known of the answer before its first event. Of several choices
    the first is written.
    """

    def __init__(
        self,
        request: ChatRequest | None = None,
        decided: Mapping[str, Json] | None = None,
        expected: ChatResponse | None = None,
    ) -> None:
        self._echo = Echo(request, decided)
        self._response = ChatResponse() if expected is None else expected
        self._finish = Finish()
        self._number = 0
        self._places = 0
        self._output: dict[int, Json] = {}
        self._message: _Item | None = None
        self._parts: dict[int, _Written] = {}

    def feed(self, event: ChatEvent) -> list[Event]:
        """The events that `event` is written as."""
        match event.WhichOneof("event"):
            case "part_delta" if event.part_delta.choice == 0:
                return self._delta(event.part_delta)
            case "part_start" if event.part_start.choice == 0:
                return self._start_part(event.part_start)
            case "part_end" if event.part_end.choice == 0:
                return self._end_part(event.part_end)
            case "choice_end" if event.choice_end.choice == 0:
                self._finish = event.choice_end.finish
                return self._seal()
            case "usage":
                self._response.usage.MergeFrom(event.usage)
            case "response_end":
                self._response.extras.MergeFrom(event.response_end.extras)
            case "start":
                self._response = ChatResponse()
                self._response.CopyFrom(event.start)
                return self._begin("in_progress")
        return []

    def queue(self) -> list[Event]:
        """The events of an answer that nobody writes yet."""
        return self._begin("queued")

    def so_far(self, status: str) -> dict[str, Json]:
        """The response as far as it came."""
        response = head(self._response, self._echo, status)
        response["output"] = [self._output[place] for place in sorted(self._output)]
        return response

    def whole(self) -> dict[str, Json]:
        """The whole response, once every event was read."""
        output = [self._output[place] for place in sorted(self._output)]
        return whole(self._response, output, self._finish, self._echo)

    def failed(self, error: GatewayError) -> dict[str, Json]:
        """The response of an answer that failed: as far as it came."""
        code = error.row.openai_code
        return {
            **self.so_far("failed"),
            "error": {"code": code if code in _CODES else "server_error", "message": error.message},
        }

    def end(self, response: dict[str, Json] | None = None) -> list[Event]:
        """The last event, which holds the whole `response`."""
        response = self.whole() if response is None else response
        return [self._event(f"response.{_ENDINGS.get(response['status'], 'completed')}", {"response": response})]

    def error(self, error: GatewayError, response: dict[str, Json] | None = None) -> list[Event]:
        """The events that tell of an error after the first event, the last of which holds the whole `response`."""
        events = encode_failure(error, self.failed(error) if response is None else response, self._number)
        self._number += len(events)
        return events

    def _begin(self, status: str) -> list[Event]:
        response = {"response": head(self._response, self._echo, status)}
        events = [] if self._number else [self._event("response.created", response)]
        return [*events, self._event(f"response.{status}", response)]

    def _event(self, kind: str, fields: dict[str, Json]) -> Event:
        number = self._number
        self._number += 1
        return _event(kind, number, fields)

    def _start_part(self, start: PartStart) -> list[Event]:
        part = start.part
        seed = f"{self._response.id}/{start.index}"
        match part.WhichOneof("kind"):
            case "text" | "refusal" as kind:
                return self._start_content(start.index, part, kind, seed)
            case "tool_call":
                wire = encode_item(part, seed, self._echo)
                wire["status"] = "in_progress"
                written, events = self._start_item(start.index, part, wire["type"], wire)
                return events + self._begin_text(written, part.tool_call.arguments_json)
            case "reasoning":
                return self._start_reasoning(start.index, part, seed)
            case "opaque" if part.opaque.dialect == DIALECT:
                return self._start_item(start.index, part, "opaque", loads(part.opaque.json))[1]
            case "opaque" | "media" as kind:
                events = self._seal()
                kept = Part()
                kept.CopyFrom(part)
                self._parts[start.index] = _Written(_Item(-1, {}), kept, "media" if kind == "media" else "foreign", 0)
                return events
        return []

    def _start_item(self, index: int, part: Part, what: str, wire: dict[str, Json]) -> tuple[_Written, list[Event]]:
        events = self._seal()
        item = self._add(wire, events)
        written = self._parts[index] = _Written(item, part, what, 0)
        if what in CALLS:
            # What it is called with comes as deltas.
            item.wire = {**wire, CALLS[what]: ""}
            events[-1] = self._again(events[-1], {"output_index": item.place, "item": item.wire})
            self._prefix(written, "")
        return written, events

    def _again(self, event: Event, fields: dict[str, Json]) -> Event:
        self._number -= 1
        return self._event(event[0], fields)

    def _add(self, wire: dict[str, Json], events: list[Event]) -> _Item:
        item = _Item(self._places, wire)
        self._places += 1
        events.append(self._event("response.output_item.added", {"output_index": item.place, "item": wire}))
        return item

    def _start_content(self, index: int, part: Part, kind: str, seed: str) -> list[Event]:
        events: list[Event] = []
        item = self._message
        if item is None or begins_item(part):
            events = self._seal()
            wire = encode_item(part, seed, self._echo)
            wire["status"] = "in_progress"
            item = self._message = self._add(wire, events)
            item.wire = {**wire, "content": []}
        item.open += 1
        written = self._parts[index] = _Written(item, part, kind, len(item.wire["content"]))
        empty: dict[str, Json] = {"type": "refusal", "refusal": ""}
        if kind == "text":
            empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        item.wire["content"].append(empty)
        events.append(self._content_event("response.content_part.added", written, {"part": empty}))
        self._prefix(written, "content_index")
        return events + self._begin_text(written, part.text or part.refusal)

    def _start_reasoning(self, index: int, part: Part, seed: str) -> list[Event]:
        wire = encode_item(part, seed, self._echo)
        wire.pop("content", None)
        wire.pop("encrypted_content", None)
        written, events = self._start_item(index, part, "reasoning", {**wire, "summary": []})
        written.cuts = cuts(own(part.extras).get(PIECES))
        if written.cuts:
            written.array = written.cuts[0][0]
        if not all(length for _, length in written.cuts):
            # The item is only begun: nobody knows its pieces yet.
            written.cuts = []
        if part.reasoning.text:
            events += self._reason(written, part.reasoning.text)
        return events

    def _begin_text(self, written: _Written, text: str) -> list[Event]:
        """The text that a part begins with."""
        return [self._delta_event(written, text)] if text else []

    def _content_event(self, kind: str, written: _Written, fields: dict[str, Json]) -> Event:
        where = {
            "item_id": written.item.wire["id"],
            "output_index": written.item.place,
            "content_index": written.number,
        }
        return self._event(kind, {**where, **fields})

    def _prefix(self, written: _Written, index: str) -> None:
        """Prepare what every delta of a part repeats; `index` is the key of its place within the item."""
        what = written.array if written.what == "reasoning" else written.what
        fields: dict[str, Json] = {
            "type": f"{_DELTAS[what]}.delta",
            "item_id": written.item.wire.get("id", ""),
            "output_index": written.item.place,
        }
        if index:
            fields[index] = written.number
        if what == "text":
            fields["logprobs"] = []
        written.prefix = dumps(fields)[:-1]

    def _delta(self, delta: PartDelta) -> list[Event]:
        written = self._parts.get(delta.index)
        if written is None or written.what == "foreign":
            return []
        if written.what == "opaque":
            return self._progress(delta, written.item.place)
        if written.what == "media":
            written.part.media.data += delta.data
            return []
        if written.what == "reasoning":
            return self._reason(written, delta.text)
        if not delta.text and not delta.logprobs:
            return []
        if delta.logprobs:
            written.part.logprobs.extend(delta.logprobs)
            written.text.append(delta.text)
            fields = {"delta": delta.text, "logprobs": encode_logprobs(delta.logprobs)}
            return [self._content_event(f"{_DELTAS[written.what]}.delta", written, fields)]
        return [self._delta_event(written, delta.text)]

    def _progress(self, delta: PartDelta, place: int) -> list[Event]:
        """What a provider told of the progress of an item that only this dialect can read, at the item's own place."""
        if delta.progress.dialect != DIALECT:
            return []
        wire = loads(delta.progress.json)
        kind = wire.pop("type", None) if isinstance(wire, dict) else None
        if not isinstance(kind, str):
            return []
        wire.pop("sequence_number", None)
        return [self._event(kind, {**wire, "output_index": place})]

    def _delta_event(self, written: _Written, text: str) -> Event:
        """A delta, its JSON put together by hand: streams are made of these."""
        written.text.append(text)
        number = self._number
        self._number += 1
        kind = _DELTAS[written.array if written.what == "reasoning" else written.what] + ".delta"
        return kind, b'%b,"sequence_number":%d,"delta":%b}' % (written.prefix, number, dumps(text))

    def _reason(self, written: _Written, text: str) -> list[Event]:
        if not text:
            # The decoder of this dialect tells so that another text of the item begins, after a separator.
            return self._next_piece(written)
        events: list[Event] = []
        while text and (written.cuts or written.skip):
            if written.skip:
                passed = min(written.skip, len(text))
                written.skip -= passed
                text = text[passed:]
                continue
            written.array, left = written.cuts[0]
            now, text = text[:left], text[left:]
            events += self._reason_text(written, now)
            if len(now) < left:
                written.cuts[0] = (written.array, left - len(now))
                continue
            del written.cuts[0]
            if written.cuts:
                events += self._next_piece(written)
        if text:
            events += self._reason_text(written, text)
        return events

    def _next_piece(self, written: _Written) -> list[Event]:
        """End a text of a reasoning item, which another follows behind a separator."""
        events = self._end_piece(written)
        written.prefix = b""
        written.skip = len(SEPARATOR)
        return events

    def _reason_text(self, written: _Written, text: str) -> list[Event]:
        events: list[Event] = []
        if not written.prefix:
            written.number = sum(array == written.array for array, _ in written.pieces)
            self._prefix(written, _INDEXES[written.array])
            part = {"type": TYPES[written.array], "text": ""}
            events.append(self._event(_PARTS[written.array] + ".added", {**self._place(written), "part": part}))
        events.append(self._delta_event(written, text))
        return events

    def _place(self, written: _Written) -> dict[str, Json]:
        return {
            "item_id": written.item.wire.get("id", ""),
            "output_index": written.item.place,
            _INDEXES[written.array]: written.number,
        }

    def _end_piece(self, written: _Written) -> list[Event]:
        """End the text of a reasoning item that is being written, if any."""
        if not written.prefix:
            return []
        text = "".join(written.text)
        written.text.clear()
        written.pieces.append((written.array, text))
        where = self._place(written)
        part = {"type": TYPES[written.array], "text": text}
        return [
            self._event(f"{_DELTAS[written.array]}.done", {**where, "text": text}),
            self._event(f"{_PARTS[written.array]}.done", {**where, "part": part}),
        ]

    def _end_part(self, end: PartEnd) -> list[Event]:
        written = self._parts.pop(end.index, None)
        if written is None:
            return []
        part = written.part
        citations = len(part.citations)
        part.MergeFrom(end.part)
        seed = f"{self._response.id}/{end.index}"
        events: list[Event]
        match written.what:
            case "text" | "refusal":
                events = self._end_content(written, citations)
            case "reasoning":
                events = self._end_reasoning(written, seed)
            case "opaque":
                written.item.wire = loads(part.opaque.json)
                events = self._finish_item(written.item)
            case "foreign":
                events = []
            case "media":
                events = []
                events += self._finish_item(self._add(encode_item(part, seed, self._echo), events))
            case _:
                events = self._end_call(written, seed)
        if is_carrier(part):
            events += self._seal()
            item = self._add(carrier(part, seed), events)
            events += self._finish_item(item)
        return events

    def _end_content(self, written: _Written, told: int) -> list[Event]:
        part, item = written.part, written.item
        text = "".join(written.text)
        events: list[Event] = []
        if written.what == "refusal":
            part.refusal = text
            wire = encode_output(part)
            events.append(self._content_event("response.refusal.done", written, {"refusal": text}))
        else:
            part.text = text
            wire = encode_output(part)
            for number, citation in enumerate(part.citations):
                fields = {"annotation_index": number, "annotation": encode_citation(citation)}
                events.append(self._content_event("response.output_text.annotation.added", written, fields))
            fields = {"text": text, "logprobs": wire["logprobs"]}
            events.append(self._content_event("response.output_text.done", written, fields))
        item.wire["content"][written.number] = wire
        kept = own(part.extras).get(ITEM) if DIALECT in part.extras else None
        if isinstance(kept, dict):
            item.wire.update(kept, type="message")
        events.append(self._content_event("response.content_part.done", written, {"part": wire}))
        item.open -= 1
        if item.sealed and not item.open:
            events += self._finish_item(item)
        return events

    def _end_call(self, written: _Written, seed: str) -> list[Event]:
        part, item = written.part, written.item
        key = CALLS[written.what]
        part.tool_call.arguments_json = "".join(written.text)
        begun = item.wire
        item.wire = {**encode_item(part, seed, self._echo), "id": begun["id"], "type": written.what}
        text = item.wire[key]
        where: dict[str, Json] = {"item_id": begun["id"], "output_index": item.place}
        if written.what == "function_call":
            where["name"] = item.wire["name"]
        return [self._event(f"{_DELTAS[written.what]}.done", {**where, key: text}), *self._finish_item(item)]

    def _end_reasoning(self, written: _Written, seed: str) -> list[Event]:
        part, item = written.part, written.item
        events = self._end_piece(written)
        begun = item.wire
        item.wire = {**encode_item(part, seed, self._echo), "id": begun["id"]}
        if not own(part.extras).keys() & TYPES.keys():
            item.wire["summary"] = []
            item.wire.pop("content", None)
            for array, text in written.pieces:
                item.wire.setdefault(array, []).append({"type": TYPES[array], "text": text})
        return events + self._finish_item(item)

    def _seal(self) -> list[Event]:
        """Let the open message end as soon as its parts do."""
        item, self._message = self._message, None
        if item is None:
            return []
        item.sealed = True
        return [] if item.open else self._finish_item(item)

    def _finish_item(self, item: _Item) -> list[Event]:
        if item.wire.get("status") == "in_progress":
            item.wire["status"] = "completed"
        self._output[item.place] = item.wire
        return [self._event("response.output_item.done", {"output_index": item.place, "item": item.wire})]


_CODES: Final = frozenset({"rate_limit_exceeded", "context_length_exceeded", "insufficient_quota"})
"""The codes of errors by which clients know what to do; `server_error` stands for all else."""

_INDEXES: Final = {"summary": "summary_index", "content": "content_index"}
"""Arrays of a reasoning item -> what the place of a text in them is called."""

_PARTS: Final = {"summary": "response.reasoning_summary_part", "content": "response.content_part"}
"""Arrays of a reasoning item -> how the types of the events about their parts begin."""

_ENDINGS: Final = {"incomplete": "incomplete", "in_progress": "in_progress", "queued": "queued"}
"""State of a response -> the type of the event that ends its stream; `completed` for all else."""
