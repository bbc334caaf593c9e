"""The chunks of a streamed answer, written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.dialects.custom import marked_by
from trunkline.dialects.openai.calls import encode_call, encode_function
from trunkline.dialects.openai.citations import encode_annotations, put_annotations
from trunkline.dialects.openai.content import DIALECT, encode_opaque, encode_references
from trunkline.dialects.openai.extra_content import put_block, put_foreign
from trunkline.dialects.openai.finish import put_finish
from trunkline.dialects.openai.images import IMAGES, encode_drawn
from trunkline.dialects.openai.logprobs import encode_logprobs
from trunkline.dialects.openai.reasoning import encode_details
from trunkline.dialects.openai.usage import encode_usage
from trunkline.dialects.tiers import openai_tier
from trunkline.dialects.wire import Json, dumps, restore
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, ChoiceEnd, PartDelta, PartEnd, PartStart, Usage
from trunkline.v1.content_pb2 import Part

_EVERY: Final = ("provider", "system_fingerprint")
"""What every chunk repeats. All else that is known at the start is in the first chunk alone."""

_NOTHING: Final[Mapping[str, Json]] = {}


class _Part:
    """A part that is being written: what its start told, and how much followed."""

    __slots__ = ("call", "custom", "kind", "length", "part")

    def __init__(self, kind: str, part: Part) -> None:
        self.kind = kind
        self.part = part
        self.length = len(part.reasoning.text) if kind == "reasoning" else len(part.text) if kind == "text" else 0
        self.call: int | None = None
        """The place of a call among the calls of its choice; None for one of the older form, `function_call`."""
        self.custom = kind == "tool_call" and bool(part.extras) and marked_by(part) is not None
        """Whether it is a call of a custom tool."""


class _Cited:
    """What the texts of a choice rest on, and how long they are. It is told at the end of the choice, in one piece:
    clients that put chunks together have no way to add to such a list."""

    __slots__ = ("annotations", "length")

    def __init__(self) -> None:
        self.annotations: list[Json] = []
        self.length = 0

    def add(self, part: Part, length: int) -> None:
        """Take a text that ended."""
        if part.citations:
            self.annotations.extend(encode_annotations(part.citations, self.length, length))
        self.length += length


class StreamEncoder:
    """Writes chunks, as JSON text. The first chunk of a choice tells the role; usage has a chunk of its own, last."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._head: dict[str, Json] = {}
        self._prefix = b""
        self._first: dict[str, Json] = {}
        self._usage: Usage | None = None
        self._end: dict[str, Json] = {}
        self._calls: dict[int, int] = {}
        """Choice -> how many calls it has; a choice is there from its first chunk on."""
        self._parts: dict[tuple[int, int], _Part] = {}
        self._cited: dict[int, _Cited] = {}
        self._places: dict[tuple[int, str], int] = {}

    def feed(self, event: ChatEvent) -> list[bytes]:
        """The chunks that `event` is written as."""
        match event.WhichOneof("event"):
            case "part_delta":
                return [self._delta(event.part_delta)]
            case "part_start":
                return self._start_part(event.part_start)
            case "part_end":
                return self._end_part(event.part_end)
            case "choice_end":
                return self._end_choice(event.choice_end)
            case "usage":
                if self._usage is None:
                    self._usage = Usage()
                self._usage.MergeFrom(event.usage)
            case "response_end":
                restore(self._end, event.response_end.extras, DIALECT)
            case "start":
                self._start(event.start)
        return []

    def end(self, more: Mapping[str, Json] = _NOTHING, used: Mapping[str, Json] = _NOTHING) -> list[bytes]:
        """The last chunk, where there is something to say in it; then `more`, too, which the gateway itself tells, and
        `used` in its usage."""
        wire = {**self._head, **self._first, **self._end, **more, "choices": []}
        if self._usage is not None and self._include_usage:
            wire["usage"] = {**encode_usage(self._usage), **used}
        elif not self._end:
            return []
        return [dumps(wire)]

    def _start(self, start: ChatResponse) -> None:
        head: dict[str, Json] = {
            "id": start.id,
            "object": "chat.completion.chunk",
            "created": start.create_time.seconds,
            "model": start.model,
        }
        if start.provider:
            head["provider"] = start.provider
        if start.service_tier:
            head["service_tier"] = openai_tier(start.service_tier)
        self._head = {**head}
        restore(head, start.extras, DIALECT)
        for key in head.keys() - self._head.keys():
            (self._head if key in _EVERY else self._first)[key] = head[key]
        self._prefix = dumps(self._head)[:-1] + b',"choices":['

    def _chunk(self, choice: dict[str, Json]) -> bytes:
        if self._first:
            wire = {**self._head, **self._first, "choices": [choice]}
            self._first = {}
            return dumps(wire)
        return self._prefix + dumps(choice) + b"]}"

    def _delta_chunk(self, choice: int, delta: dict[str, Json], logprobs: Json = None) -> bytes:
        wire: dict[str, Json] = {"index": choice, "delta": delta, "finish_reason": None}
        if logprobs is not None:
            wire["logprobs"] = logprobs
        return self._chunk(wire)

    def _delta(self, delta: PartDelta) -> bytes:
        open_part = self._parts[delta.choice, delta.index]
        text = delta.text
        logprobs = None
        match open_part.kind:
            case "text":
                open_part.length += len(text)
                wire: dict[str, Json] = {"content": text}
                if delta.logprobs:
                    logprobs = {"content": encode_logprobs(delta.logprobs), "refusal": None}
            case "reasoning":
                open_part.length += len(text)
                wire = {"reasoning_content": text, "reasoning": text}
            case "refusal":
                wire = {"refusal": text}
                if delta.logprobs:
                    logprobs = {"content": None, "refusal": encode_logprobs(delta.logprobs)}
            case "media":
                open_part.part.media.data += delta.data
                wire = {}
            case "opaque":
                wire = {}
            case _ if open_part.call is None:
                wire = {"function_call": {"arguments": text}}
            case _ if open_part.custom:
                wire = {"tool_calls": [{"index": open_part.call, "custom": {"input": text}}]}
            case _:
                wire = {"tool_calls": [{"index": open_part.call, "function": {"arguments": text}}]}
        return self._delta_chunk(delta.choice, wire, logprobs)

    def _start_part(self, start: PartStart) -> list[bytes]:
        choice, part = start.choice, start.part
        kind = part.WhichOneof("kind") or ""
        open_part = self._parts[choice, start.index] = _Part(kind, part)
        chunks: list[bytes] = []
        if choice not in self._calls:
            chunks.append(self._role(choice, content="" if kind == "text" else None))
        delta: dict[str, Json] = {}
        match kind:
            case "text" if part.text:
                delta["content"] = part.text
            case "refusal" if part.refusal:
                delta["refusal"] = part.refusal
            case "reasoning" if part.reasoning.text:
                delta["reasoning_content"] = delta["reasoning"] = part.reasoning.text
            case "tool_call" if part.tool_call.id:
                open_part.call = self._number(choice)
                delta["tool_calls"] = [{"index": open_part.call, **encode_call(part)}]
            case "tool_call":
                delta["function_call"] = encode_function(part.tool_call)
            case "opaque" if part.opaque.dialect == DIALECT:
                block = encode_opaque(part, "message")
                if "id" in block:
                    delta["tool_calls"] = [{"index": self._number(choice), **block}]
                else:
                    delta["content"] = [block]
        if delta:
            chunks.append(self._delta_chunk(choice, delta))
        return chunks

    def _next(self, choice: int, what: str) -> int:
        """The place of the next item in an array that a choice tells in pieces."""
        place = self._places.get((choice, what), 0)
        self._places[choice, what] = place + 1
        return place

    def _number(self, choice: int) -> int:
        """The place of a call among the calls of its choice."""
        number = self._calls[choice]
        self._calls[choice] = number + 1
        return number

    def _role(self, choice: int, content: str | None) -> bytes:
        self._calls[choice] = 0
        return self._delta_chunk(choice, {"role": "assistant", "content": content})

    def _end_part(self, end: PartEnd) -> list[bytes]:
        """What is known of a part only now: what goes with it, and the whole of what cannot be told in pieces."""
        open_part = self._parts.pop((end.choice, end.index))
        part = open_part.part
        delta: dict[str, Json] = {}
        match open_part.kind:
            case "reasoning":
                part.MergeFrom(end.part)
                encode_details(part, open_part.length, delta, lambda: self._next(end.choice, "reasoning"))
            case "opaque" if part.opaque.dialect != DIALECT:
                # Only its end has all of a block: it may begin as a search that has found nothing yet.
                part.MergeFrom(end.part)
                put_block(delta, part.opaque, end.index, self._next(end.choice, part.opaque.dialect))
            case "media":
                part.MergeFrom(end.part)
                delta[IMAGES] = [encode_drawn(part, self._next(end.choice, IMAGES))]
            case "text":
                part.MergeFrom(end.part)
                cited = self._cited.setdefault(end.choice, _Cited())
                cited.add(part, open_part.length)
                references = encode_references(part)
                if references:
                    delta["content"] = references
                put_foreign(delta, part.extras)
                restore(delta, part.extras, DIALECT)
            case "tool_call" if open_part.call is not None and (part.extras or end.part.extras):
                rest = _late(part, end.part)
                if rest:
                    # OpenAI's clients look for the call itself in each of its pieces.
                    nothing = {"custom": {"input": ""}} if open_part.custom else {"function": {"arguments": ""}}
                    delta["tool_calls"] = [{"index": open_part.call, **nothing, **rest}]
        return [self._delta_chunk(end.choice, delta)] if delta else []

    def _end_choice(self, end: ChoiceEnd) -> list[bytes]:
        chunks = [] if end.choice in self._calls else [self._role(end.choice, content="")]
        delta: dict[str, Json] = {}
        put_foreign(delta, end.message_extras)
        if end.choice in self._cited:
            put_annotations(delta, self._cited[end.choice].annotations, end.message_extras.get(DIALECT))
        restore(delta, end.message_extras, DIALECT)
        wire: dict[str, Json] = {"index": end.choice, "delta": delta}
        put_finish(end.finish, wire)
        restore(wire, end.extras, DIALECT)
        chunks.append(self._chunk(wire))
        return chunks


def _late(part: Part, end: Part) -> dict[str, Json]:
    """What is told of a call at its end: what other dialects need back, and what its start did not tell.

    Clients that put chunks together append one text to another, so nothing may be told twice.
    """
    wire: dict[str, Json] = {}
    put_foreign(wire, {**part.extras, **end.extras})
    if DIALECT in end.extras:
        told: dict[str, Json] = {}
        restore(told, part.extras, DIALECT)
        later: dict[str, Json] = {}
        restore(later, end.extras, DIALECT)
        wire.update((key, value) for key, value in later.items() if told.get(key) != value)
    return wire
