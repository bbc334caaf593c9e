"""The events of a streamed answer, written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from trunkline.dialects.anthropic.carry import pack
from trunkline.dialects.anthropic.citations import encode_citation
from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.finish import encode_finish
from trunkline.dialects.anthropic.response import answer_block, call_id, reasoning_block
from trunkline.dialects.anthropic.usage import encode_usage
from trunkline.dialects.tiers import standard_tier
from trunkline.dialects.wire import Json, dumps, restore
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, ChoiceEnd, PartDelta, Usage
from trunkline.v1.content_pb2 import Part

_NOTHING: Final[Mapping[str, Json]] = {}


class Frame(NamedTuple):
    """One event of the stream: its type, which is also the name of the server-sent event, and its data."""

    type: str
    data: bytes


class StreamEncoder:
    """Writes events, as pairs of their type and their JSON.

    Blocks stand one after another: of parts that are written at once, those behind wait for the first. What cannot be
    written in pieces waits for its end, and the start of the message for the event after it, which may tell how much
    was read; where that is told later, the start has the `estimate`, as clients show it. Choices beyond the first are
    passed over.
    """

    def __init__(self, estimate: Callable[[], int] | None = None) -> None:
        self._estimate = estimate
        self._start: ChatResponse | None = None
        self._usage = Usage()
        self._finish: ChoiceEnd | None = None
        self._end: dict[str, Json] = {}
        self._told: frozenset[str] = frozenset()
        self._blocks = 0
        self._current: int | None = None
        self._waiting: dict[int, deque[ChatEvent]] = {}
        self._parts: dict[int, Part] = {}
        self._prefix = b""
        self._id = ""

    def feed(self, event: ChatEvent) -> list[Frame]:
        """The events that `event` is written as."""
        match event.WhichOneof("event"):
            case "part_delta":
                delta = event.part_delta
                if delta.choice:
                    return []
                if delta.index != self._current:
                    self._waiting[delta.index].append(event)
                    return []
                return self._delta(delta)
            case "part_start":
                if event.part_start.choice:
                    return []
                frames = self._begin()
                index = event.part_start.index
                self._waiting[index] = deque([event])
                return frames if self._current is not None else frames + self._advance()
            case "part_end":
                if event.part_end.choice:
                    return []
                index = event.part_end.index
                self._waiting[index].append(event)
                return self._advance() if index == self._current else []
            case "choice_end":
                frames = self._begin()
                if event.choice_end.choice == 0:
                    self._finish = event.choice_end
                return frames
            case "usage":
                self._usage.MergeFrom(event.usage)
                return self._begin()
            case "response_end":
                restore(self._end, event.response_end.extras, DIALECT)
            case "start":
                self._start = event.start
                self._id = event.start.id
        return []

    def end(self, used: Mapping[str, Json] = _NOTHING) -> list[Frame]:
        """The last events; none where the answer did not come to its end. `used` is what the gateway itself tells
        of the usage."""
        frames = self._begin()
        if self._finish is None:
            return frames
        usage = {**encode_usage(self._usage), **used}
        finish = self._finish.finish
        delta: dict[str, Json] = {
            "stop_reason": encode_finish(finish),
            "stop_sequence": finish.stop_sequence or None,
        }
        restore(delta, self._finish.extras, DIALECT)
        late = {key: value for key, value in self._end.items() if key not in self._told}
        if "container" in late:
            delta["container"] = late.pop("container")
        wire = {"type": "message_delta", "delta": delta, "usage": usage, **late}
        frames.append(_frame(wire))
        frames.append(_frame({"type": "message_stop"}))
        return frames

    def _begin(self) -> list[Frame]:
        """The start of the message, unless it was written."""
        start, self._start = self._start, None
        if start is None:
            return []
        usage = encode_usage(self._usage)
        if self._estimate is not None and not self._usage.HasField("input_tokens"):
            usage["input_tokens"] = self._estimate()
        if start.service_tier:
            usage["service_tier"] = standard_tier(start.service_tier)
        message: dict[str, Json] = {
            "id": start.id,
            "type": "message",
            "role": "assistant",
            "model": start.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        restore(message, start.extras, DIALECT)
        self._told = frozenset(message)
        return [_frame({"type": "message_start", "message": message})]

    def _advance(self) -> list[Frame]:
        """Write what can be written of the current part and, where it ended, of those behind it."""
        frames: list[Frame] = []
        while True:
            if self._current is None:
                if not self._waiting:
                    return frames
                self._current = min(self._waiting)
            index = self._current
            events = self._waiting[index]
            while events:
                event = events.popleft()
                match event.WhichOneof("event"):
                    case "part_start":
                        frames += self._start_part(event.part_start.part)
                    case "part_delta":
                        frames += self._delta(event.part_delta)
                    case "part_end":
                        frames += self._end_part(index, event.part_end.part)
                        del self._waiting[index]
                        self._current = None
            if self._current is not None:
                return frames

    def _start_part(self, part: Part) -> list[Frame]:
        index = self._current or 0
        kept = self._parts[index] = Part()
        kept.CopyFrom(part)
        wire: dict[str, Json]
        match part.WhichOneof("kind"):
            case "text" | "refusal":
                wire = {"type": "text", "text": ""}
                first, kind, key = part.text or part.refusal, "text_delta", "text"
            case "tool_call":
                wire = {"type": "tool_use", "id": call_id(part, self._id), "name": part.tool_call.name, "input": {}}
                first, kind, key = part.tool_call.arguments_json, "input_json_delta", "partial_json"
            case "reasoning" if not part.reasoning.redacted:
                wire = {"type": "thinking", "thinking": "", "signature": ""}
                first, kind, key = part.reasoning.text, "thinking_delta", "thinking"
                kept.reasoning.text = ""
            case _:
                self._prefix = b""
                return []
        if part.extras and "thinking" not in wire:
            restore(wire, part.extras, DIALECT)
        frames = [self._block(wire)]
        self._prefix = b'{"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":' % (
            self._blocks,
            kind.encode(),
            key.encode(),
        )
        if first:
            frames.append(self._text(first))
        return frames

    def _block(self, wire: Json) -> Frame:
        return _frame({"type": "content_block_start", "index": self._blocks, "content_block": wire})

    def _text(self, text: str) -> Frame:
        return Frame("content_block_delta", self._prefix + dumps(text) + b"}}")

    def _delta(self, delta: PartDelta) -> list[Frame]:
        if self._prefix and delta.text:
            return [self._text(delta.text)]
        if delta.data:
            self._parts[delta.index].media.data += delta.data
        elif delta.text:
            self._parts[delta.index].reasoning.text += delta.text
        return []

    def _end_part(self, index: int, end: Part) -> list[Frame]:
        part = self._parts.pop(index)
        part.MergeFrom(end)
        kind = part.WhichOneof("kind")
        frames: list[Frame] = []
        if not self._prefix:
            block = answer_block(part, self._id)
            if block is not None:
                frames.append(self._block(block))
                frames.append(self._stop())
        else:
            if kind == "text":
                frames += [
                    self._extra({"type": "citations_delta", "citation": encode_citation(citation)})
                    for citation in part.citations
                ]
            elif kind == "reasoning":
                signature = (reasoning_block(part) or {}).get("signature")
                if signature:
                    frames.append(self._extra({"type": "signature_delta", "signature": signature}))
            frames.append(self._stop())
        cargo = pack(part) if kind != "reasoning" else None
        if cargo is not None:
            frames.append(self._block({"type": "redacted_thinking", "data": cargo}))
            frames.append(self._stop())
        self._prefix = b""
        return frames

    def _extra(self, delta: Json) -> Frame:
        return _frame({"type": "content_block_delta", "index": self._blocks, "delta": delta})

    def _stop(self) -> Frame:
        frame = _frame({"type": "content_block_stop", "index": self._blocks})
        self._blocks += 1
        return frame


def _frame(wire: dict[str, Json]) -> Frame:
    return Frame(wire["type"], dumps(wire))
