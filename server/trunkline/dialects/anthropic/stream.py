"""The events of a streamed answer, read."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.anthropic.citations import decode_citation
from trunkline.dialects.anthropic.content import KINDS, decode_call
from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.errors import decode_error
from trunkline.dialects.anthropic.finish import decode_finish
from trunkline.dialects.anthropic.response import FINISH_KEYS, decode_answer_block, decode_head, drop_nulls
from trunkline.dialects.anthropic.usage import decode_usage
from trunkline.dialects.event import text_delta
from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.errors import GatewayError, provider_failed
from trunkline.v1.chat_pb2 import (
    ChatEvent,
    ChatResponse,
    ChoiceEnd,
    PartEnd,
    PartStart,
    ResponseEnd,
    Usage,
)
from trunkline.v1.content_pb2 import Citation, Message, Part

_TEXTS: Final[dict[str, tuple[str, str]]] = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking")}
"""Type of delta -> its key, and the type of block that it extends."""


class _Block:
    """A block that is being written. `index` is its part; None for one that is told when it is whole."""

    __slots__ = ("citations", "fields", "index", "input", "kind", "seal")

    def __init__(self, kind: str, fields: dict[str, Json]) -> None:
        self.kind = kind
        self.fields = fields
        self.index: int | None = None
        self.input: list[str] = []
        self.citations: list[Citation] = []
        self.seal: dict[str, Json] = {}


class StreamDecoder:
    """Reads the data of the events of one stream.

    The choice ends at `message_stop`, the one event that tells that the answer is whole.
    """

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._id: Json = None
        self._parts = 0
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Json] = {}
        self._extras: dict[str, Json] = {}
        self._sent: dict[str, Json] = {}
        self._end = ChatEvent(choice_end=ChoiceEnd())

    @property
    def done(self) -> bool:
        """Whether the provider said that nothing follows."""
        return self._done

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of the data of one event. Raises `GatewayError` where it holds an error, or is no event."""
        if self._done:
            return []
        event = loads(data)
        if type(event) is not dict:
            raise provider_failed("An event of the provider's stream is not a JSON object.")
        kind = event.get("type")
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "error" or (kind is None and event.get("error")):
            raise decode_error(200, {}, data)
        if kind == "message_start":
            return self._start(event)
        if not self._started:
            if kind == "ping" or kind is None:
                return []
            raise provider_failed(f"The provider's stream begins with `{str(kind)[:64]}`.")
        match kind:
            case "content_block_start":
                return self._open(event)
            case "content_block_stop":
                block = self._blocks.pop(_index(event), None)
                return [] if block is None else self._close(block)
            case "message_delta":
                return self._message(event)
            case "message_stop":
                return self._stop(event)
            case _:
                # A ping, or an event that is younger than this reader.
                return []

    def end(self) -> list[ChatEvent]:
        """Nothing: all that the end of a whole stream means was told by its last event."""
        return []

    def _start(self, event: dict[str, Json]) -> list[ChatEvent]:
        message = event.get("message")
        if self._started:
            if type(message) is dict and message.get("id") == self._id:
                # Proxies that try again say once more what they said already.
                return []
            raise provider_failed("The provider began a second answer within one stream.")
        if type(message) is not dict:
            raise provider_failed("The provider's stream begins without a message.")
        self._started = True
        self._id = message.get("id")
        content = message.pop("content", None)
        usage = message.get("usage")
        if isinstance(usage, dict):
            self._usage = {key: value for key, value in usage.items() if value is not None and key != "service_tier"}
        start = ChatResponse()
        wire = Object(message, lenient=True)
        # Of a turn that goes on in a container, the first event tells all: the call, and why it ended.
        self._ended(wire)
        decode_head(wire, start)
        self._sent = dict(wire.fields)
        self._extras = dict(wire.fields)
        events = [ChatEvent(start=start)]
        if start.HasField("usage"):
            events.append(ChatEvent(usage=start.usage))
            start.ClearField("usage")
            events[0].start.ClearField("usage")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict):
                self._whole(block, events)
        return events

    def _open(self, event: dict[str, Json]) -> list[ChatEvent]:
        fields = event.get("content_block")
        if type(fields) is not dict:
            raise provider_failed("A block of the provider's stream has no content.")
        number = _index(event)
        events: list[ChatEvent] = []
        before = self._blocks.pop(number, None)
        if before is not None:
            events.extend(self._close(before))
        kind = fields.get("type")
        block = self._blocks[number] = _Block(kind if isinstance(kind, str) else "unknown", fields)
        if block.kind in KINDS:
            drop_nulls(fields)
        wire = Object(fields, lenient=True)
        part = Part()
        match block.kind:
            case "text":
                part.text = wire.take_str("text") or ""
                block.citations.extend(decode_citation(item) for item in wire.take_objects("citations"))
            case "thinking":
                part.reasoning.text = wire.take_str("thinking") or ""
                signature = wire.take_str("signature")
                wire.take("type")
                if signature:
                    block.seal["signature"] = signature
                block.seal.update(wire.fields)
            case "tool_use":
                given = fields.get("input")
                if given:
                    block.input.append("")
                    block.fields = {"input": given}
                wire.take("type")
                decode_call(wire, part)
                part.tool_call.arguments_json = ""
                wire.keep(part.extras, DIALECT)
            case _:
                return events
        if block.kind == "text":
            wire.take("type")
            wire.keep(part.extras, DIALECT)
        block.index = self._parts
        self._parts += 1
        events.append(ChatEvent(part_start=PartStart(index=block.index, part=part)))
        return events

    def _delta(self, event: dict[str, Json]) -> list[ChatEvent]:
        block = self._blocks.get(_index(event))
        delta = event.get("delta")
        if block is None or type(delta) is not dict:
            raise provider_failed("The provider's stream extends a block that it did not begin.")
        kind = delta.get("type")
        if type(kind) is not str:
            return []
        index = block.index
        if index is not None:
            text = _TEXTS.get(kind)
            if text is not None and text[1] == block.kind:
                more = delta.get(text[0])
                if type(more) is not str or not more:
                    return []
                return [text_delta(more, index)]
            if kind == "input_json_delta" and block.kind == "tool_use":
                more = delta.get("partial_json")
                if type(more) is not str or not more:
                    return []
                block.input.append(more)
                return [text_delta(more, index)]
        return self._other(block, kind, delta)

    def _other(self, block: _Block, kind: str, delta: dict[str, Json]) -> list[ChatEvent]:
        """A delta that is told at the end of its block."""
        if kind == "signature_delta" and block.kind == "thinking":
            if isinstance(delta.get("signature"), str):
                block.seal["signature"] = delta["signature"]
        elif kind == "citations_delta" and block.kind == "text":
            citation = delta.get("citation")
            if isinstance(citation, dict):
                block.citations.append(decode_citation(Object(citation, lenient=True)))
        elif kind == "input_json_delta":
            if isinstance(delta.get("partial_json"), str):
                block.input.append(delta["partial_json"])
        elif block.index is None:
            _extend(block.fields, delta)
        return []

    def _close(self, block: _Block) -> list[ChatEvent]:
        events: list[ChatEvent] = []
        if block.index is None:
            if block.input:
                block.fields["input"] = _parsed("".join(block.input))
            self._whole(block.fields, events)
            return events
        end = PartEnd(index=block.index)
        match block.kind:
            case "text":
                end.part.citations.extend(block.citations)
            case "thinking" if block.seal:
                end.part.extras[DIALECT] = text_of(block.seal)
            case "tool_use" if not any(block.input):
                # The whole input came at once, or there is none.
                arguments = text_of(block.fields["input"]) if block.input else "{}"
                events.append(text_delta(arguments, block.index))
        events.append(ChatEvent(part_end=end))
        return events

    def _whole(self, fields: dict[str, Json], events: list[ChatEvent]) -> None:
        """Tell a block that is whole."""
        message = Message()
        decode_answer_block(Object(fields, lenient=True), message)
        for part in message.parts:
            events.append(ChatEvent(part_start=PartStart(index=self._parts, part=part)))
            events.append(ChatEvent(part_end=PartEnd(index=self._parts)))
            self._parts += 1

    def _message(self, event: dict[str, Json]) -> list[ChatEvent]:
        delta = event.pop("delta", None)
        if isinstance(delta, dict):
            self._ended(Object(delta, lenient=True))
            drop_nulls(delta)
            self._extras.update(delta)
        usage = event.pop("usage", None)
        self._keep(event)
        if not isinstance(usage, dict):
            return []
        self._usage.update((key, value) for key, value in usage.items() if value is not None)
        return [ChatEvent(usage=self._counts())]

    def _ended(self, wire: Object) -> None:
        """Take why the answer ended, where it is told."""
        finish = decode_finish(wire.take_str("stop_reason"), wire.take_str("stop_sequence"))
        ending = {key: value for key in FINISH_KEYS if (value := wire.take(key)) is not None}
        if finish.native_reason:
            self._end.choice_end.finish.CopyFrom(finish)
        Object(ending).keep(self._end.choice_end.extras, DIALECT)

    def _counts(self) -> Usage:
        # Each event tells all counts: the reader takes them out of what it is given.
        copy = {key: dict(value) if type(value) is dict else value for key, value in self._usage.items()}
        return decode_usage(Object(copy, lenient=True))

    def _stop(self, event: dict[str, Json]) -> list[ChatEvent]:
        self._keep(event)
        self._done = True
        events: list[ChatEvent] = []
        for number in sorted(self._blocks):
            events.extend(self._close(self._blocks[number]))
        self._blocks.clear()
        events.append(self._end)
        if self._extras != self._sent:
            events.append(ChatEvent(response_end=ResponseEnd(extras={DIALECT: text_of(self._extras)})))
        return events

    def _keep(self, event: dict[str, Json]) -> None:
        """Keep what an event tells beside what it is for."""
        event.pop("type", None)
        drop_nulls(event)
        self._extras.update(event)


def _index(event: dict[str, Json]) -> int:
    index = event.get("index", 0)
    return index if type(index) is int else 0


def _extend(fields: dict[str, Json], delta: dict[str, Json]) -> None:
    """Put a piece of a block that is carried verbatim to it: texts go on, lists too, the rest is replaced."""
    for key, value in delta.items():
        present = fields.get(key)
        if key == "type" or value is None:
            continue
        if isinstance(present, str) and isinstance(value, str):
            fields[key] = present + value
        elif isinstance(present, list) and isinstance(value, list):
            fields[key] = [*present, *value]
        else:
            fields[key] = value


def _parsed(text: str) -> Json:
    """The input of a call that the provider runs; as text where it is no JSON."""
    if not text or text.isspace():
        return {}
    try:
        return loads(text)
    except GatewayError:
        return text
