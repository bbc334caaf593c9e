"""How the laws read a stream of OpenAI's language, and write one."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message as ProtoMessage
from hypothesis import strategies as st

from trunkline.core.grammar import Grammar
from trunkline.dialects import openai, sse
from trunkline.dialects.wire import loads, text_of
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse


def frames(pieces: Iterable[bytes]) -> list[sse.Event]:
    """The server-sent events in the bytes that come in `pieces`."""
    reader = sse.Reader()
    return [frame for piece in pieces for frame in reader.feed(piece)] + reader.end()


def decode(pieces: Iterable[bytes]) -> list[ChatEvent]:
    """The events of a stream, which must be a whole answer in legal order."""
    decoder, grammar = openai.StreamDecoder(), Grammar()
    events: list[ChatEvent] = []
    for frame in frames(pieces):
        events += decoder.feed(frame.data)
        if decoder.done:
            break
    events += decoder.end()
    for event in events:
        grammar.feed(event)
    grammar.end()
    return events


def encode(events: Iterable[ChatEvent], *, include_usage: bool = True) -> list[bytes]:
    """The stream of `events`, a piece for each server-sent event."""
    encoder = openai.StreamEncoder(include_usage=include_usage)
    chunks = [chunk for event in events for chunk in encoder.feed(event)] + encoder.end()
    return [b"data: %b\n\n" % chunk for chunk in [*chunks, b"[DONE]"]]


def same(response: ChatResponse) -> ChatResponse:
    """`response` with the keys of every `extras` in order, as that has no meaning, and with the whole text as the
    place of a source that all of it rests on, as OpenAI's language tells it."""
    out = ChatResponse()
    out.CopyFrom(response)
    _sort(out)
    for part in [part for choice in out.choices for part in choice.message.parts]:
        for citation in part.citations:
            if citation.uri and not citation.HasField("end_index"):
                citation.start_index, citation.end_index = 0, len(part.text)
    return out


def _sort(message: ProtoMessage) -> None:
    for descriptor, value in message.ListFields():
        if descriptor.name == "extras":
            for dialect, text in list(value.items()):
                value[dialect] = text_of(_sorted(loads(text)))
        elif descriptor.type == descriptor.TYPE_MESSAGE:
            for inner in value if descriptor.is_repeated else (value,):
                _sort(inner)


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def cuts(size: int) -> st.SearchStrategy[list[int]]:
    """Where to cut `size` bytes into pieces."""
    return st.lists(st.integers(0, size), max_size=20).map(sorted)


def pieces(body: bytes, bounds: Iterable[int]) -> list[bytes]:
    """`body` cut at `bounds`."""
    ends = [*bounds, len(body)]
    return [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
