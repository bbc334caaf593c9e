"""The chunks of a streamed answer."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.openai.content import DIALECT, encode_call
from trunkline.dialects.openai.errors import decode_error
from trunkline.dialects.openai.finish import decode_finish, encode_finish
from trunkline.dialects.openai.logprobs import decode_logprobs, encode_logprobs
from trunkline.dialects.openai.merge import merge_details, merge_pieces, merge_rest
from trunkline.dialects.openai.response import call_id, decode_head, encode_details
from trunkline.dialects.openai.usage import decode_usage, encode_usage
from trunkline.dialects.wire import Json, Object, dumps, loads, restore, text_of
from trunkline.errors import provider_failed
from trunkline.v1.chat_pb2 import (
    ChatEvent,
    ChatResponse,
    ChoiceEnd,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    Usage,
)
from trunkline.v1.content_pb2 import Part, Reasoning, ToolCall

_PADDING: Final = ("obfuscation", "p")
"""Keys that servers put into chunks to hide their length."""


class _Call:
    """A tool call that is being written: its server's key for it, and the part it became."""

    __slots__ = ("id", "part")

    def __init__(self, part: int, call_id: str) -> None:
        self.part = part
        self.id = call_id


class _Choice:
    """What is known of one choice of the stream."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.parts = 0
        self.open: int | None = None
        self.kind = ""
        self.calls: dict[int, _Call] = {}
        self.blocks: dict[int, dict[str, Json]] = {}
        self.details: list[Json] = []
        self.extras: dict[str, Json] = {}
        self.message_extras: dict[str, Json] = {}
        self.finish: str | None = None
        self.native: str | None = None
        self.called = False


class StreamDecoder:
    """Reads the data of the events of one stream.

    Choices end at `end`, not at their finish reason: servers write more chunks of a choice after it.
    """

    def __init__(self) -> None:
        self._id = ""
        self._started = False
        self._done = False
        self._sent: dict[str, Json] = {}
        self._extras: dict[str, Json] = {}
        self._choices: dict[int, _Choice] = {}

    @property
    def done(self) -> bool:
        """Whether the server said that nothing follows."""
        return self._done

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of one chunk. Raises `GatewayError` where it holds an error, or is no chunk."""
        if data.strip() == b"[DONE]":
            self._done = True
            return []
        chunk = loads(data)
        if not isinstance(chunk, dict):
            raise provider_failed("A chunk of the provider's stream is not a JSON object.")
        if chunk.get("error"):
            raise decode_error(200, {}, data)
        events: list[ChatEvent] = []
        wire = Object(chunk, lenient=True)
        self._head(wire, events)
        for item in wire.take_objects("choices"):
            self._choice(item, events)
        usage = wire.take_object("usage")
        if usage is None:
            groq = wire.fields.get("x_groq")
            if isinstance(groq, dict) and isinstance(groq.get("usage"), dict):
                usage = Object(dict(groq["usage"]), lenient=True)
        if usage is not None:
            events.append(ChatEvent(usage=decode_usage(usage)))
            usage.fields.clear()
        rest = wire.rest()
        if rest:
            for key in _PADDING:
                rest.pop(key, None)
            merge_rest(self._extras, rest)
        return events

    def end(self) -> list[ChatEvent]:
        """The events that the end of the stream means: the end of each choice that its server ended."""
        events: list[ChatEvent] = []
        for choice in self._choices.values():
            if choice.finish is None and not self._done:
                continue
            self._close(choice, events)
            events.extend(_part_end(choice, call.part) for call in choice.calls.values())
            for block in choice.blocks.values():
                events.extend(_block(choice, block))
            finish = Finish()
            if choice.finish is not None:
                finish = decode_finish(choice.finish, native=choice.native, calls=choice.called)
            end = ChoiceEnd(choice=choice.index, finish=finish)
            if choice.extras:
                end.extras[DIALECT] = text_of(choice.extras)
            if choice.message_extras:
                end.message_extras[DIALECT] = text_of(choice.message_extras)
            events.append(ChatEvent(choice_end=end))
        whole = len(events) and all(choice.finish is not None or self._done for choice in self._choices.values())
        if whole and self._extras != self._sent:
            events.append(ChatEvent(response_end=ResponseEnd(extras={DIALECT: text_of(self._extras)})))
        return events

    def _head(self, wire: Object, events: list[ChatEvent]) -> None:
        if self._started:
            for key in ("id", "object", "created", "model"):
                wire.take(key)
            return
        if not (wire.fields.get("choices") or wire.fields.get("usage") or wire.fields.get("id")):
            # Azure begins with a chunk that tells of its filters alone.
            return
        start = ChatResponse()
        decode_head(wire, start)
        self._id = start.id
        self._started = True
        extras = {
            key: value
            for key, value in wire.fields.items()
            if key not in ("choices", "usage", *_PADDING) and value is not None
        }
        merge_rest(self._extras, extras)
        if self._extras:
            self._sent = dict(self._extras)
            start.extras[DIALECT] = text_of(self._sent)
        events.append(ChatEvent(start=start))

    def _choice(self, wire: Object, events: list[ChatEvent]) -> None:
        index = wire.take_int("index", 0) or 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        delta = wire.take_object("delta")
        logprobs = wire.take_object("logprobs")
        if delta is not None:
            self._delta(choice, delta, logprobs, events)
            rest = delta.rest()
            if rest:
                merge_rest(choice.message_extras, rest)
                delta.fields.clear()
        if logprobs is not None:
            for key in [key for key, value in logprobs.fields.items() if not value]:
                logprobs.take(key)
        finish = wire.take_str("finish_reason")
        native = wire.take_str("native_finish_reason")
        if finish:
            choice.finish, choice.native = finish, native
        rest = wire.rest()
        if rest:
            merge_rest(choice.extras, {key: value for key, value in rest.items() if value is not None})

    def _delta(self, choice: _Choice, delta: Object, logprobs: Object | None, events: list[ChatEvent]) -> None:
        delta.take("role")
        reasoning = delta.take_str("reasoning_content")
        other = delta.take_str("reasoning")
        details = delta.take_list("reasoning_details")
        text = reasoning or other
        if text or details:
            index = self._open(choice, "reasoning", events)
            if details:
                merge_details(choice.details, details)
            if text:
                events.append(_delta(choice, index, text))
        content = delta.take_str("content")
        if content:
            self._append(choice, "text", content, logprobs, "content", events)
        refusal = delta.take_str("refusal")
        if refusal:
            self._append(choice, "refusal", refusal, logprobs, "refusal", events)
        for position, item in enumerate(delta.take_objects("tool_calls")):
            self._call(choice, item, position, events)
        function = delta.take_object("function_call")
        if function is not None:
            wrapper = Object({"index": 0, "function": dict(function.fields)}, lenient=True)
            function.fields.clear()
            self._call(choice, wrapper, 0, events)

    def _append(
        self, choice: _Choice, kind: str, text: str, logprobs: Object | None, key: str, events: list[ChatEvent]
    ) -> None:
        event = _delta(choice, self._open(choice, kind, events), text)
        if logprobs is not None and logprobs.fields.get(key):
            event.part_delta.logprobs.extend(decode_logprobs(logprobs.take(key)))
        events.append(event)

    def _open(self, choice: _Choice, kind: str, events: list[ChatEvent]) -> int:
        """Begin a part of `kind` unless one is open, and give its index."""
        if choice.kind == kind and choice.open is not None:
            return choice.open
        self._close(choice, events)
        match kind:
            case "text":
                part = Part(text="")
            case "refusal":
                part = Part(refusal="")
            case _:
                part = Part(reasoning=Reasoning())
        choice.open, choice.kind = choice.parts, kind
        choice.parts += 1
        events.append(ChatEvent(part_start=PartStart(choice=choice.index, index=choice.open, part=part)))
        return choice.open

    def _close(self, choice: _Choice, events: list[ChatEvent]) -> None:
        """End the open text, refusal or reasoning, if any."""
        if choice.open is None:
            return
        event = _part_end(choice, choice.open)
        if choice.kind == "reasoning" and choice.details:
            event.part_end.part.extras[DIALECT] = text_of({"reasoning_details": choice.details})
            choice.details = []
        events.append(event)
        choice.open, choice.kind = None, ""

    def _call(self, choice: _Choice, wire: Object, position: int, events: list[ChatEvent]) -> None:
        index = wire.take_int("index", 0)
        key = position if index is None else index
        if key in choice.blocks or wire.fields.get("type") not in (None, "", "function"):
            # A call of another type, such as a custom tool's, is one block: it is told once it is whole.
            merge_pieces(choice.blocks.setdefault(key, {}), wire.fields)
            choice.called = True
            return
        wire.take("type")
        given = wire.take_str("id") or ""
        function = wire.take_object("function")
        name = (function.take_str("name") if function is not None else None) or ""
        arguments = function.take("arguments") if function is not None else None
        text = arguments if isinstance(arguments, str) else "" if arguments is None else text_of(arguments)
        call = choice.calls.get(key)
        if call is not None and given and call.id != given and name:
            # Servers that number every call 0, or none, tell them apart by id alone.
            key = max(choice.calls) + 1
            call = next((one for one in choice.calls.values() if one.id == given), None)
        if call is None:
            self._close(choice, events)
            call = _Call(choice.parts, given)
            choice.calls[key] = call
            choice.called = True
            choice.parts += 1
            part = Part(tool_call=ToolCall(id=given or call_id(self._id, choice.index, call.part), name=name))
            wire.keep(part.extras, DIALECT)
            events.append(ChatEvent(part_start=PartStart(choice=choice.index, index=call.part, part=part)))
        if text:
            events.append(ChatEvent(part_delta=PartDelta(choice=choice.index, index=call.part, text=text)))


def _delta(choice: _Choice, index: int, text: str) -> ChatEvent:
    return ChatEvent(part_delta=PartDelta(choice=choice.index, index=index, text=text))


def _block(choice: _Choice, block: dict[str, Json]) -> list[ChatEvent]:
    part = Part()
    part.opaque.dialect = DIALECT
    part.opaque.json = text_of(block)
    index = choice.parts
    choice.parts += 1
    return [ChatEvent(part_start=PartStart(choice=choice.index, index=index, part=part)), _part_end(choice, index)]


def _part_end(choice: _Choice, index: int) -> ChatEvent:
    return ChatEvent(part_end=PartEnd(choice=choice.index, index=index))


class StreamEncoder:
    """Writes chunks, as JSON text. The first chunk of a choice tells the role; usage has a chunk of its own, last."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._head = b""
        self._usage: Usage | None = None
        self._end: dict[str, Json] = {}
        self._begun: set[int] = set()
        self._calls: dict[tuple[int, int], int] = {}
        self._counts: dict[int, int] = {}
        self._kinds: dict[tuple[int, int], str] = {}
        self._parts: dict[tuple[int, int], Part] = {}

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
                    self._usage = event.usage
                else:
                    self._usage.MergeFrom(event.usage)
            case "response_end":
                restore(self._end, event.response_end.extras, DIALECT)
            case "start":
                self._start(event.start)
        return []

    def end(self) -> list[bytes]:
        """The last chunk, where there is something to say in it."""
        if self._usage is None or not self._include_usage:
            return [self._chunk([], self._end)] if self._end else []
        return [self._chunk([], {**self._end, "usage": encode_usage(self._usage)})]

    def _start(self, start: ChatResponse) -> None:
        head: dict[str, Json] = {
            "id": start.id,
            "object": "chat.completion.chunk",
            "created": start.create_time.seconds,
            "model": start.model,
        }
        if start.provider:
            head["provider"] = start.provider
        if start.extras:
            restore(head, start.extras, DIALECT)
        self._head = dumps(head)[:-1] + b',"choices":'

    def _chunk(self, choices: Json, more: dict[str, Json] | None = None) -> bytes:
        tail = b"," + dumps(more)[1:] if more else b"}"
        return self._head + dumps(choices) + tail

    def _delta_chunk(self, choice: int, delta: dict[str, Json], logprobs: Json = None) -> bytes:
        wire: dict[str, Json] = {"index": choice, "delta": delta, "finish_reason": None}
        if logprobs is not None:
            wire["logprobs"] = logprobs
        return self._chunk([wire])

    def _delta(self, delta: PartDelta) -> bytes:
        key = (delta.choice, delta.index)
        kind = self._kinds[key]
        match kind:
            case "text":
                logprobs = _logprobs(delta, "content") if delta.logprobs else None
                return self._delta_chunk(delta.choice, {"content": delta.text}, logprobs)
            case "reasoning":
                return self._delta_chunk(delta.choice, {"reasoning_content": delta.text, "reasoning": delta.text})
            case "refusal":
                logprobs = _logprobs(delta, "refusal") if delta.logprobs else None
                return self._delta_chunk(delta.choice, {"refusal": delta.text}, logprobs)
            case _:
                call = {"index": self._calls[key], "function": {"arguments": delta.text}}
                return self._delta_chunk(delta.choice, {"tool_calls": [call]})

    def _start_part(self, start: PartStart) -> list[bytes]:
        choice, part = start.choice, start.part
        key = (choice, start.index)
        kind = part.WhichOneof("kind") or ""
        self._kinds[key] = kind
        chunks: list[bytes] = []
        if choice not in self._begun:
            chunks.append(self._role(choice, content="" if kind == "text" else None))
        match kind:
            case "text" if part.text:
                chunks.append(self._delta_chunk(choice, {"content": part.text}))
            case "refusal" if part.refusal:
                chunks.append(self._delta_chunk(choice, {"refusal": part.refusal}))
            case "reasoning":
                self._parts[key] = part
                if part.reasoning.text:
                    delta = {"reasoning_content": part.reasoning.text, "reasoning": part.reasoning.text}
                    chunks.append(self._delta_chunk(choice, delta))
            case "tool_call":
                number = self._number(key)
                chunks.append(self._delta_chunk(choice, {"tool_calls": [{"index": number, **encode_call(part)}]}))
            case "opaque" if part.opaque.dialect == DIALECT:
                number = self._number(key)
                chunks.append(self._delta_chunk(choice, {"tool_calls": [{"index": number, **loads(part.opaque.json)}]}))
        return chunks

    def _number(self, key: tuple[int, int]) -> int:
        """The place of a call among the calls of its choice."""
        number = self._counts.get(key[0], 0)
        self._counts[key[0]] = number + 1
        self._calls[key] = number
        return number

    def _role(self, choice: int, content: str | None) -> bytes:
        self._begun.add(choice)
        return self._delta_chunk(choice, {"role": "assistant", "content": content})

    def _end_part(self, end: PartEnd) -> list[bytes]:
        part = self._parts.pop((end.choice, end.index), None)
        if part is None:
            return []
        part.MergeFrom(end.part)
        delta: dict[str, Json] = {}
        encode_details(part, delta)
        return [self._delta_chunk(end.choice, delta)] if delta else []

    def _end_choice(self, end: ChoiceEnd) -> list[bytes]:
        chunks = [] if end.choice in self._begun else [self._role(end.choice, content="")]
        delta: dict[str, Json] = {}
        restore(delta, end.message_extras, DIALECT)
        word, native = encode_finish(end.finish)
        wire: dict[str, Json] = {"index": end.choice, "delta": delta, "finish_reason": word}
        if native is not None:
            wire["native_finish_reason"] = native
        if end.extras:
            restore(wire, end.extras, DIALECT)
        chunks.append(self._chunk([wire]))
        return chunks


def _logprobs(delta: PartDelta, key: str) -> Json:
    other = "refusal" if key == "content" else "content"
    return {key: encode_logprobs(delta.logprobs), other: None}
