"""A streamed answer as chunks, for clients of Gemini."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.dialects.gemini.carry import Carrier
from trunkline.dialects.gemini.citations import encode_citations
from trunkline.dialects.gemini.finish import decode_block, encode_finish
from trunkline.dialects.gemini.logprobs import encode_logprobs
from trunkline.dialects.gemini.names import DIALECT
from trunkline.dialects.gemini.response import encode_head, encode_part
from trunkline.dialects.gemini.usage import encode_usage
from trunkline.dialects.tiers import standard_tier
from trunkline.dialects.wire import Json, dumps, restore
from trunkline.v1.chat_pb2 import ChatEvent, ChoiceEnd, PartDelta, PartEnd, PartStart, Usage
from trunkline.v1.content_pb2 import Part, TokenLogprob

_STREAMED = frozenset({"text", "refusal", "reasoning"})
"""The kinds of part that go out as they come."""


class StreamEncoder:
    """Writes chunks, each the JSON text of one server-sent event without a type.

    Texts go out as they come; a part with a signature, a function call and a medium go out whole, at their end. The
    finish reasons and the usage are in the last chunk, which `end` gives; and so is a text with a signature that comes
    last, as what cites it is there, too.
    """

    def __init__(self) -> None:
        self._head: dict[str, Json] = {}
        self._tail: dict[str, Json] = {}
        self._tier: dict[str, Json] = {}
        self._usage: Usage | None = None
        self._parts: dict[tuple[int, int], Part] = {}
        self._pieces: dict[tuple[int, int], list[str]] = {}
        self._sent: set[tuple[int, int]] = set()
        self._held: dict[int, dict[str, Json]] = {}
        self._parted = False
        self._texts: dict[int, list[Part]] = {}
        self._ends: list[ChoiceEnd] = []
        self._carriers: dict[int, Carrier] = {}

    def feed(self, event: ChatEvent) -> list[bytes]:
        """The chunks that `event` is written as."""
        match event.WhichOneof("event"):
            case "part_delta":
                return self._delta(event.part_delta)
            case "part_start":
                return self._start_part(event.part_start)
            case "part_end":
                return self._end_part(event.part_end)
            case "choice_end":
                self._ends.append(event.choice_end)
            case "usage":
                if self._usage is None:
                    self._usage = Usage()
                self._usage.MergeFrom(event.usage)
            case "response_end":
                restore(self._tail, event.response_end.extras, DIALECT)
            case "start":
                self._head = encode_head(event.start)
                if event.start.service_tier:
                    self._tier = {"serviceTier": standard_tier(event.start.service_tier)}
                    self._head["usageMetadata"] = self._tier
                restore(self._tail, event.start.extras, DIALECT)
        return []

    def end(self) -> list[bytes]:
        """The last chunk."""
        wire: dict[str, Json] = {}
        if self._ends and (self._parted or decode_block(self._tail.get("promptFeedback")) is None):
            wire["candidates"] = [self._end_candidate(end) for end in self._ends]
        if self._usage is not None:
            wire["usageMetadata"] = {**encode_usage(self._usage), **self._tier}
        return [dumps({**self._head, **wire, **self._tail})] if wire or self._tail else []

    def _end_candidate(self, end: ChoiceEnd) -> dict[str, Json]:
        wire = self._held.pop(end.choice, None) or _candidate(end.choice, {"text": ""})
        restore(wire["content"], end.message_extras, DIALECT)
        wire["finishReason"] = encode_finish(end.finish)
        citations = encode_citations(self._texts.get(end.choice, ()))
        if citations is not None:
            wire["citationMetadata"] = citations
        restore(wire, end.extras, DIALECT)
        return wire

    def _start_part(self, start: PartStart) -> list[bytes]:
        key = (start.choice, start.index)
        part = Part()
        part.CopyFrom(start.part)
        kind = part.WhichOneof("kind")
        self._parts[key] = part
        self._pieces[key] = []
        self._parted = True
        if kind == "text":
            self._texts.setdefault(start.choice, []).append(part)
        chunks: list[bytes] = []
        held = self._held.pop(start.choice, None)
        if held is not None:
            chunks.append(self._chunk(held))
        if kind in _STREAMED and not _is_signed(part):
            self._sent.add(key)
            if _text(part):
                chunks.append(self._chunk(_candidate(start.choice, encode_part(part))))
        return chunks

    def _delta(self, delta: PartDelta) -> list[bytes]:
        key = (delta.choice, delta.index)
        part, text, logprobs = self._parts[key], delta.text, delta.logprobs
        if delta.data:
            part.media.data += delta.data
        if logprobs:
            part.logprobs.extend(logprobs)
        if not text:
            return []
        self._pieces[key].append(text)
        if key not in self._sent:
            return []
        if part.WhichOneof("kind") == "reasoning":
            return [self._chunk(_candidate(delta.choice, {"text": text, "thought": True}))]
        return [self._chunk(_candidate(delta.choice, {"text": text}, logprobs))]

    def _end_part(self, end: PartEnd) -> list[bytes]:
        key = (end.choice, end.index)
        part = self._parts.pop(key)
        _append(part, "".join(self._pieces.pop(key)))
        part.MergeFrom(end.part)
        if key in self._sent:
            self._sent.discard(key)
            # What only the end told, such as a signature, goes with an empty text.
            rest: dict[str, Json] = {"text": ""}
            restore(rest, end.part.extras, DIALECT)
            if part.HasField("reasoning"):
                carried = self._carrier(end.choice).load(part, {"text": "", "thought": True})
                return (
                    [self._chunk(_candidate(end.choice, {**carried, **rest}))] if len({**carried, **rest}) > 2 else []
                )
            return [self._chunk(_candidate(end.choice, rest))] if len(rest) > 1 else []
        wire = self._carrier(end.choice).load(part, encode_part(part))
        if wire is None:
            return []
        candidate = _candidate(end.choice, wire, part.logprobs)
        if part.WhichOneof("kind") == "text" and end.choice not in self._held:
            self._held[end.choice] = candidate
            return []
        return [self._chunk(candidate)]

    def _carrier(self, choice: int) -> Carrier:
        return self._carriers.setdefault(choice, Carrier())

    def _chunk(self, candidate: dict[str, Json]) -> bytes:
        return dumps({"candidates": [candidate], **self._head})


def _candidate(choice: int, part: Json, logprobs: Sequence[TokenLogprob] = ()) -> dict[str, Json]:
    wire: dict[str, Json] = {"content": {"parts": [part], "role": "model"}, "index": choice}
    if logprobs:
        wire["logprobsResult"] = encode_logprobs(logprobs)
    return wire


def _is_signed(part: Part) -> bool:
    """Whether the part holds what must go out with all of its text."""
    own = part.extras.get(DIALECT)
    return own is not None and own != '{"thought":true}'


def _text(part: Part) -> str:
    match part.WhichOneof("kind"):
        case "text":
            return part.text
        case "refusal":
            return part.refusal
        case _:
            return part.reasoning.text


def _append(part: Part, text: str) -> None:
    match part.WhichOneof("kind"):
        case "text":
            part.text += text
        case "refusal":
            part.refusal += text
        case "reasoning":
            part.reasoning.text += text
        case "tool_call":
            part.tool_call.arguments_json += text
