"""The events of a streamed answer, read."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from trunkline.dialects.bedrock.citations import CITED, decode_citation
from trunkline.dialects.bedrock.content import SERVER_TOOL
from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.bedrock.errors import decode_error
from trunkline.dialects.bedrock.finish import decode_finish
from trunkline.dialects.bedrock.response import decode_answer_block
from trunkline.dialects.bedrock.usage import decode_usage
from trunkline.dialects.event import text_delta
from trunkline.dialects.ids import call_id
from trunkline.dialects.wire import Json, Object, dumps, loads, text_of
from trunkline.errors import GatewayError, provider_failed
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, ChoiceEnd, PartEnd, PartStart, ResponseEnd
from trunkline.v1.content_pb2 import Citation, Message, Part

_KINDS: Final = {"text": "text", "citation": "text", "reasoningContent": "reasoning"}
"""Key of a delta -> the kind of block that it belongs to, which no event begins."""


class _Block:
    """A block that is being written. `index` is its part; -1 for one that is told when it is whole."""

    __slots__ = ("citations", "cited", "fields", "index", "input", "kind", "seal")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.index = -1
        self.fields: dict[str, Json] = {}
        self.input: list[str] = []
        self.citations: list[Citation] = []
        self.cited = False
        self.seal: dict[str, str] = {}


class StreamDecoder:
    """Reads the data of the events of one stream, as `framing.Reader` gives them.

    The choice ends at `messageStop`. What an answer used comes in `metadata`, usually behind it.
    """

    def __init__(self) -> None:
        self._started = False
        self._stopped = False
        self._measured = False
        self._done = False
        self._parts = 0
        self._blocks: dict[int, _Block] = {}
        self._extras: dict[str, Json] = {}

    @property
    def done(self) -> bool:
        """Whether the provider said that nothing follows."""
        return self._done

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of the data of one event. Raises `GatewayError` where it holds an exception, or is no event."""
        if self._done:
            return []
        wire = loads(data)
        if type(wire) is not dict or len(wire) != 1:
            raise provider_failed("An event of the provider's stream is not a JSON object with one key.")
        ((kind, event),) = wire.items()
        if type(event) is not dict:
            raise provider_failed(f"The event `{kind[:64]}` of the provider's stream is not a JSON object.")
        if kind == "exception":
            raise decode_error(200, {}, dumps(event))
        if self._stopped:
            return self._metadata(event) if kind == "metadata" else []
        if kind == "contentBlockDelta":
            return self._begin(self._delta(event)) if not self._started else self._delta(event)
        match kind:
            case "contentBlockStart":
                return self._begin(self._open(event))
            case "contentBlockStop":
                block = self._blocks.pop(_index(event), None)
                return self._begin([] if block is None else self._close(block))
            case "messageStart":
                if self._started:
                    raise provider_failed("The provider began a second answer within one stream.")
                return self._begin([])
            case "messageStop":
                return self._begin(self._stop(event))
            case "metadata":
                return self._begin(self._metadata(event))
            case _:
                # An event that is younger than this reader.
                return []

    def end(self) -> list[ChatEvent]:
        """What the answer told of itself, where its `metadata` never came."""
        return self._finish() if self._stopped and not self._done else []

    def _begin(self, events: list[ChatEvent]) -> list[ChatEvent]:
        """`events` behind the start of the answer, of which the provider tells nothing."""
        if not self._started:
            self._started = True
            events.insert(0, ChatEvent(start=ChatResponse()))
        return events

    def _open(self, event: dict[str, Json]) -> list[ChatEvent]:
        number = _index(event)
        before = self._blocks.pop(number, None)
        events = [] if before is None else self._close(before)
        start = event.get("start")
        fields = start if type(start) is dict else {}
        call = fields.get("toolUse")
        if type(call) is not dict or call.get("type") == SERVER_TOOL:
            block = self._blocks[number] = _Block("whole")
            block.fields = fields
            return events
        block = self._blocks[number] = _Block("tool_use")
        wire = Object(fields, lenient=True)
        inner = wire.take_object("toolUse") or wire
        if inner.fields.get("type") == "tool_use":
            inner.take("type")
        part = Part()
        part.tool_call.id = inner.take_str("toolUseId") or call_id("", 0, self._parts + 1)
        part.tool_call.name = inner.need_str("name")
        wire.keep(part.extras, DIALECT)
        events.append(self._start(block, part))
        return events

    def _start(self, block: _Block, part: Part) -> ChatEvent:
        block.index = self._parts
        self._parts += 1
        return ChatEvent(part_start=PartStart(index=block.index, part=part))

    def _delta(self, event: dict[str, Json]) -> list[ChatEvent]:
        delta = event.get("delta")
        if type(delta) is not dict or not delta:
            return []
        number = event.get("contentBlockIndex", 0)
        block = self._blocks.get(number) if type(number) is int else None
        if block is not None:
            text = delta.get("text")
            if type(text) is str and block.kind == "text":
                return [text_delta(text, block.index)] if text else []
            more = delta.get("toolUse")
            if type(more) is dict and block.kind == "tool_use":
                piece = more.get("input")
                if type(piece) is not str or not piece:
                    return []
                block.input.append(piece)
                return [text_delta(piece, block.index)]
        return self._other(_index(event), block, delta)

    def _other(self, number: int, block: _Block | None, delta: dict[str, Json]) -> list[ChatEvent]:
        """A delta of another kind, or one that begins its block."""
        key = next((key for key in _KINDS if key in delta), None)
        events: list[ChatEvent] = []
        if block is not None and block.kind == "whole":
            _extend(block.fields, delta)
            return events
        if key is None:
            if "toolUse" in delta:
                raise provider_failed("The provider's stream extends a tool call that it did not begin.")
            if block is None:
                self._blocks[number] = block = _Block("whole")
                block.fields = delta
            return events
        kind = _KINDS[key]
        if block is not None and block.kind != kind:
            events += self._close(block)
            block = None
        inner = delta[key]
        if block is None:
            block = self._blocks[number] = _Block(kind)
            part = Part()
            if kind == "text":
                part.text = ""
            else:
                part.reasoning.redacted = type(inner) is dict and "redactedContent" in inner
            events.append(self._start(block, part))
        text = inner
        if key == "citation":
            block.cited = True
            text = None
            if type(inner) is dict:
                block.citations.append(decode_citation(Object(inner, lenient=True)))
        elif key == "reasoningContent":
            text = _reasoning(block, inner)
        if type(text) is str and text:
            events.append(text_delta(text, block.index))
        return events

    def _close(self, block: _Block) -> list[ChatEvent]:
        events: list[ChatEvent] = []
        if block.kind == "whole":
            return self._whole(block)
        end = PartEnd(index=block.index)
        if block.kind == "tool_use":
            if not any(block.input):
                events.append(text_delta("{}", block.index))
        elif block.kind == "reasoning":
            _seal(block, end.part)
        elif block.cited:
            end.part.citations.extend(block.citations)
            if not any(DIALECT in citation.extras for citation in block.citations):
                end.part.extras[DIALECT] = CITED
        events.append(ChatEvent(part_end=end))
        return events

    def _whole(self, block: _Block) -> list[ChatEvent]:
        """Tell a block that is whole."""
        call = block.fields.get("toolUse")
        if type(call) is dict and type(call.get("input")) is str:
            call["input"] = _parsed(call["input"])
        if not block.fields:
            return []
        message = Message()
        decode_answer_block(Object(block.fields, lenient=True), message)
        index = self._parts
        self._parts += 1
        return [
            ChatEvent(part_start=PartStart(index=index, part=message.parts[0])),
            ChatEvent(part_end=PartEnd(index=index)),
        ]

    def _stop(self, event: dict[str, Json]) -> list[ChatEvent]:
        event.pop("p", None)
        events: list[ChatEvent] = []
        for number in sorted(self._blocks):
            events += self._close(self._blocks[number])
        self._blocks.clear()
        wire = Object(event, lenient=True)
        events.append(ChatEvent(choice_end=ChoiceEnd(finish=decode_finish(wire))))
        self._stopped = True
        self._extras.update(wire.rest())
        if self._measured:
            events += self._finish()
        return events

    def _metadata(self, event: dict[str, Json]) -> list[ChatEvent]:
        # Padding, which hides the length of the rest.
        event.pop("p", None)
        wire = Object(event, lenient=True)
        usage = wire.take_object("usage")
        events: list[ChatEvent] = []
        if usage is not None:
            events.append(ChatEvent(usage=decode_usage(usage)))
        self._extras.update(wire.rest())
        self._measured = True
        if self._stopped:
            events += self._finish()
        return events

    def _finish(self) -> list[ChatEvent]:
        self._done = True
        if not self._extras:
            return []
        return [ChatEvent(response_end=ResponseEnd(extras={DIALECT: text_of(self._extras)}))]


def _index(event: dict[str, Json]) -> int:
    index = event.get("contentBlockIndex", 0)
    return index if type(index) is int else 0


def _reasoning(block: _Block, inner: Json) -> str | None:
    """The text of a piece of reasoning. What seals it waits for its end."""
    if type(inner) is not dict:
        return None
    for key in ("signature", "redactedContent"):
        more = inner.get(key)
        if type(more) is str:
            before = block.seal.get(key, "")
            block.seal[key] = before + more if key == "signature" else _joined(before, more)
    text = inner.get("text")
    return text if type(text) is str else None


def _seal(block: _Block, part: Part) -> None:
    """What it takes to send the reasoning back."""
    inner: dict[str, Json] = {}
    if "redactedContent" in block.seal:
        part.reasoning.redacted = True
        inner["redactedContent"] = block.seal["redactedContent"]
    if "signature" in block.seal:
        inner["reasoningText"] = {"signature": block.seal["signature"]}
    if inner:
        part.extras[DIALECT] = text_of({"reasoningContent": inner})


def _joined(before: str, more: str) -> str:
    """Two pieces of base64 as one: the first may end in padding."""
    if not before:
        return more
    try:
        return base64.b64encode(base64.b64decode(before) + base64.b64decode(more)).decode()
    except (binascii.Error, ValueError):
        return before + more


def _extend(fields: dict[str, Json], delta: dict[str, Json]) -> None:
    """Put a piece of a block that is carried verbatim to it: texts go on, lists too, objects within, the rest is
    replaced. What a tool of the provider's own said comes as a list, which is its content."""
    for key, value in delta.items():
        present = fields.get(key)
        if isinstance(present, dict) and isinstance(value, list):
            present["content"] = [*present.get("content", ()), *value]
        elif isinstance(present, dict) and isinstance(value, dict):
            _extend(present, value)
        elif isinstance(present, str) and isinstance(value, str):
            fields[key] = _joined(present, value) if key == "bytes" else present + value
        elif isinstance(present, list) and isinstance(value, list):
            fields[key] = [*present, *value]
        elif value is not None:
            fields[key] = value


def _parsed(text: str) -> Json:
    """The input of a call that the provider runs; as text where it is no JSON."""
    if not text or text.isspace():
        return {}
    try:
        return loads(text)
    except GatewayError:
        return text
