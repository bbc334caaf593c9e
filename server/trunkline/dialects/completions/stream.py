"""The chunks of a streamed answer of Completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.dialects.completions.logprobs import decode_logprobs, encode_logprobs
from trunkline.dialects.completions.request import DIALECT
from trunkline.dialects.completions.response import encode_head
from trunkline.dialects.openai.errors import decode_error
from trunkline.dialects.openai.finish import decode_finish, encode_finish
from trunkline.dialects.openai.response import decode_head
from trunkline.dialects.openai.usage import decode_usage, encode_usage
from trunkline.dialects.wire import Json, Object, dumps, loads, restore, text_of
from trunkline.errors import provider_failed
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, ChoiceEnd, PartDelta, PartEnd, PartStart, Usage
from trunkline.v1.content_pb2 import Part, TokenLogprob

_KNOWN: Final = ("text", "index", "logprobs", "finish_reason")
_MOST_CHOICES: Final = 1024 * 16
_NOTHING: Final[Mapping[str, Json]] = {}


class _Read:
    """A choice that is being read: whether its part was begun, and what ends it."""

    __slots__ = ("begun", "extras", "finish")

    def __init__(self) -> None:
        self.begun = False
        self.finish: str | None = None
        self.extras: dict[str, Json] = {}


class StreamDecoder:
    """Reads the data of the events of one stream. Choices end at `end`: chunks may follow a finish reason."""

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._choices: dict[int, _Read] = {}

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
        if type(chunk) is not dict:
            raise provider_failed("A chunk of the provider's stream is not a JSON object.")
        if chunk.get("error"):
            raise decode_error(200, {}, data)
        events: list[ChatEvent] = []
        wire = Object(chunk, lenient=True)
        choices = list(wire.take_objects("choices"))
        usage = wire.take_object("usage")
        if not self._started:
            self._started = True
            start = ChatResponse()
            decode_head(wire, start)
            wire.keep(start.extras, DIALECT)
            events.append(ChatEvent(start=start))
        for position, item in enumerate(choices):
            self._choice(item, position, events)
        if usage is not None:
            events.append(ChatEvent(usage=decode_usage(usage)))
        return events

    def end(self) -> list[ChatEvent]:
        """The ends of the choices that have come to theirs."""
        events: list[ChatEvent] = []
        for index, choice in self._choices.items():
            if choice.finish is None and not self._done:
                continue
            if choice.begun:
                events.append(ChatEvent(part_end=PartEnd(choice=index)))
            end = ChoiceEnd(choice=index, finish=decode_finish(choice.finish or "", calls=False))
            if choice.extras:
                end.extras[DIALECT] = text_of(choice.extras)
            events.append(ChatEvent(choice_end=end))
        return events

    def _choice(self, wire: Object, position: int, events: list[ChatEvent]) -> None:
        index = wire.take_int("index", 0)
        index = position if index is None else index
        choice = self._choices.get(index)
        if choice is None:
            if len(self._choices) >= _MOST_CHOICES:
                raise provider_failed(f"The provider's stream has more than {_MOST_CHOICES} choices.")
            choice = self._choices[index] = _Read()
        text = wire.take_str("text") or ""
        logprobs = list(decode_logprobs(wire.take("logprobs")))
        if text or logprobs:
            if not choice.begun:
                choice.begun = True
                events.append(ChatEvent(part_start=PartStart(choice=index, part=Part(text=""))))
            events.append(ChatEvent(part_delta=PartDelta(choice=index, text=text, logprobs=logprobs)))
        word = wire.take_str("finish_reason")
        choice.finish = choice.finish if word is None else word
        choice.extras.update((key, value) for key, value in wire.rest().items() if value is not None)


class StreamEncoder:
    """Writes chunks, each the JSON text of one server-sent event without a type."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._head: dict[str, Json] = {}
        self._usage = Usage()
        self._kinds: dict[tuple[int, int], str | None] = {}
        self._lengths: dict[int, int] = {}

    def feed(self, event: ChatEvent) -> list[bytes]:
        """The chunks that `event` is written as."""
        match event.WhichOneof("event"):
            case "start":
                self._head = encode_head(event.start)
                restore(self._head, event.start.extras, DIALECT)
            case "part_start":
                start, part = event.part_start, event.part_start.part
                kind = part.WhichOneof("kind")
                self._kinds[start.choice, start.index] = kind
                text = part.reasoning.text if kind == "reasoning" else part.text or part.refusal
                return self._piece(start.choice, kind, text, list(part.logprobs))
            case "part_delta":
                delta = event.part_delta
                begun = self._kinds.get((delta.choice, delta.index))
                return self._piece(delta.choice, begun, delta.text, list(delta.logprobs))
            case "choice_end":
                end = event.choice_end
                choice = self._chunk(end.choice, "", [], encode_finish(end.finish)[0])
                restore(choice, end.extras, DIALECT)
                return [dumps({**self._head, "choices": [choice]})]
            case "usage":
                self._usage.MergeFrom(event.usage)
        return []

    def end(self, more: Mapping[str, Json] = _NOTHING, used: Mapping[str, Json] = _NOTHING) -> list[bytes]:
        """The chunk with the usage, where it was asked for; then `more`, too, which the gateway itself tells, and
        `used` in the usage."""
        if not self._include_usage:
            return []
        return [dumps({**self._head, **more, "choices": [], "usage": {**encode_usage(self._usage), **used}})]

    def _piece(self, choice: int, kind: str | None, text: str, logprobs: list[TokenLogprob]) -> list[bytes]:
        if not text and not logprobs:
            return []
        if kind == "reasoning":
            wire = {**self._chunk(choice, "", [], None), "reasoning_content": text}
        elif kind in ("text", "refusal"):
            wire = self._chunk(choice, text, logprobs, None)
        else:
            return []
        return [dumps({**self._head, "choices": [wire]})]

    def _chunk(self, index: int, text: str, logprobs: list[TokenLogprob], finish: str | None) -> dict[str, Json]:
        offset = self._lengths.get(index, 0)
        self._lengths[index] = offset + len(text)
        return {
            "text": text,
            "index": index,
            "logprobs": encode_logprobs(logprobs, offset) if logprobs else None,
            "finish_reason": finish,
        }
