"""The chunks of a streamed answer, read."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.openai.choice import Choice
from trunkline.dialects.openai.content import DIALECT
from trunkline.dialects.openai.errors import decode_error
from trunkline.dialects.openai.finish import take_stop_sequence
from trunkline.dialects.openai.merge import merge_rest
from trunkline.dialects.openai.response import decode_head, failed_choice
from trunkline.dialects.openai.usage import decode_usage
from trunkline.dialects.wire import Json, Object, dumps, loads, text_of
from trunkline.errors import provider_failed
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, ResponseEnd

_KNOWN: Final = frozenset({"id", "object", "created", "model", "choices", "usage", "obfuscation", "p"})
"""The keys of a chunk that are read, or that only hide its length."""

_PLAIN: Final = frozenset({"index", "delta", "finish_reason", "logprobs"})
"""The keys of a choice that tells no more than a piece of text."""

_MOST_CHOICES: Final = 1024
_MOST_KEPT: Final = 64 * 1024 * 1024
"""The most bytes of chunks of which something is kept until the end."""


class StreamDecoder:
    """Reads the data of the events of one stream.

    Choices end at `end`, not at their finish reason: servers write more chunks of a choice after it.
    """

    def __init__(self) -> None:
        self._id = ""
        self._started = False
        self._done = False
        self._told = ""
        self._extras: dict[str, Json] = {}
        self._tier = ""
        self._kept = 0
        self._usage = b""
        self._choices: dict[int, Choice] = {}

    @property
    def done(self) -> bool:
        """Whether the server said that nothing follows."""
        return self._done

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of one chunk. Raises `GatewayError` where it holds an error, or is no chunk."""
        if data.startswith(b"[DONE]") or data.strip() == b"[DONE]":
            self._done = True
            return []
        chunk = loads(data)
        if type(chunk) is not dict:
            raise provider_failed("A chunk of the provider's stream is not a JSON object.")
        if chunk.get("error"):
            raise decode_error(200, {}, data)
        events: list[ChatEvent] = []
        if not self._started:
            self._start(chunk, events)
        plain = True
        choices = chunk.get("choices")
        for item in choices if type(choices) is list else ():
            if type(item) is dict:
                plain = self._choice(item, events) and plain
        if chunk.get("usage") is not None or "x_groq" in chunk:
            self._take_usage(chunk, events)
        rest = {
            key: value
            for key, value in chunk.items()
            if value is not None and key not in _KNOWN and self._extras.get(key) != value
        }
        if self._tier and rest.get("service_tier") == self._tier:
            del rest["service_tier"]
        if rest:
            merge_rest(self._extras, rest)
        if rest or not plain:
            self._kept += len(data)
            if self._kept > _MOST_KEPT:
                raise provider_failed(f"The provider's stream holds more than {_MOST_KEPT} bytes beside its text.")
        return events

    def end(self) -> list[ChatEvent]:
        """The events that the end of the stream means: the end of each choice, or none where one has not ended."""
        events: list[ChatEvent] = []
        if not self._done and any(choice.finish is None for choice in self._choices.values()):
            return events
        for choice in self._choices.values():
            choice.end(events)
        if events and self._extras:
            text = text_of(self._extras)
            if text != self._told:
                events.append(ChatEvent(response_end=ResponseEnd(extras={DIALECT: text})))
        return events

    def _start(self, chunk: dict[str, Json], events: list[ChatEvent]) -> None:
        if not (chunk.get("choices") or chunk.get("usage") or chunk.get("id")):
            # Azure begins with a chunk that tells of its filters alone.
            return
        start = ChatResponse()
        decode_head(Object(dict(chunk), lenient=True), start)
        self._id, self._tier = start.id, start.service_tier
        self._started = True
        extras = {key: value for key, value in chunk.items() if value is not None and key not in _KNOWN}
        if self._tier:
            del extras["service_tier"]
        merge_rest(self._extras, extras)
        _drop_usage(self._extras)
        if self._extras:
            self._told = text_of(self._extras)
            start.extras[DIALECT] = self._told
        events.append(ChatEvent(start=start))

    def _choice(self, item: dict[str, Json], events: list[ChatEvent]) -> bool:
        """Read one choice of a chunk. Tells whether nothing of it is kept."""
        index = item.get("index")
        if type(index) is not int or index < 0:
            index = 0
        choice = self._choices.get(index)
        if choice is None:
            if index >= _MOST_CHOICES:
                raise provider_failed(f"The provider's stream holds a choice of index {index}.")
            choice = self._choices[index] = Choice(index, self._id, self._extras)
        delta = item.get("delta")
        if type(delta) is dict and len(delta) == 1 and item.keys() <= _PLAIN and item.get("finish_reason") is None:
            content = delta.get("content")
            if type(content) is str and item.get("logprobs") is None:
                if content:
                    choice.text(content, events)
                return True
        self._full(choice, Object(item, lenient=True), events)
        return False

    def _full(self, choice: Choice, wire: Object, events: list[ChatEvent]) -> None:
        wire.take("index")
        delta = wire.take_object("delta")
        message = wire.take_object("message")
        if delta is None:
            # A server that was asked for a stream and answers at once.
            delta = message
        logprobs = wire.take_object("logprobs")
        if delta is not None:
            choice.delta(delta, logprobs, events)
            delta.fields.clear()
        if message is not None:
            # Perplexity repeats in it what the deltas told so far.
            message.fields.clear()
        if logprobs is not None:
            for key in [key for key, value in logprobs.fields.items() if not value]:
                logprobs.take(key)
        finish = wire.take_str("finish_reason")
        native = wire.take_str("native_finish_reason")
        if finish == "error":
            raise failed_choice(wire)
        if finish:
            choice.finish, choice.native = finish, native
            choice.met = take_stop_sequence(wire)
        rest = wire.rest()
        if rest:
            merge_rest(choice.extras, {key: value for key, value in rest.items() if value is not None})

    def _take_usage(self, chunk: dict[str, Json], events: list[ChatEvent]) -> None:
        usage = chunk.get("usage")
        groq = _drop_usage(chunk)
        if type(usage) is not dict:
            usage = groq
        if type(usage) is not dict:
            return
        text = dumps(usage)
        if text != self._usage:  # Perplexity tells it in every chunk
            self._usage = text
            events.append(ChatEvent(usage=decode_usage(Object(usage, lenient=True))))


def _drop_usage(fields: dict[str, Json]) -> Json:
    """Take Groq's own place for the usage, which tells it once more."""
    groq = fields.get("x_groq")
    if type(groq) is not dict or "usage" not in groq:
        return None
    fields["x_groq"] = {key: value for key, value in groq.items() if key != "usage"}
    return groq["usage"]
