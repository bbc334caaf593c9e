"""The recordings of OpenAI's Responses, and how the tests read and write its streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import wire.recordings
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from wire.recordings import Recording, recording

from trunkline.core.grammar import Grammar
from trunkline.dialects import responses, sse
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse

_WIRE = Path(wire.recordings.__file__).parent

STREAM_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@cache
def cases() -> tuple[Recording, ...]:
    """The recordings of every provider that speaks it."""
    found = [path for api in ("responses", "openai-responses") for path in _WIRE.glob(f"*/{api}/*.json")]
    return tuple(recording(str(path.relative_to(_WIRE).with_suffix(""))) for path in sorted(found))


def each(wanted: Callable[[Recording], Any]) -> pytest.MarkDecorator:
    """Run a test, which takes `recording`, once for each that is `wanted`."""
    chosen = [pytest.param(one, id=one.id) for one in cases() if wanted(one)]
    return pytest.mark.parametrize("recording", chosen)


def is_whole(one: Recording) -> bool:
    """Whether it is a stream that reaches its end."""
    return one.is_stream and one.status == 200 and "mid-stream-error" not in one.tags


def is_answer(one: Recording) -> bool:
    """Whether it is an answer told in one piece."""
    return one.status == 200 and not one.is_stream


def request_of(wire: bytes) -> ChatRequest:
    """The request in `wire`, as the surface reads it."""
    read = Object(loads(wire))
    responses.take_stream(read)
    return responses.decode_request(read)


def answer_of(wire: Any) -> ChatResponse:
    """The answer in `wire`, as a provider reads it."""
    return responses.decode_response(Object(loads(wire if isinstance(wire, bytes) else dumps(wire)), lenient=True))


def frames(pieces: Iterable[bytes]) -> list[bytes]:
    """The data of the server-sent events in the bytes that come in `pieces`."""
    reader = sse.Reader()
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.end()
    return [event.data for event in events]


def decode(told: Iterable[bytes]) -> list[ChatEvent]:
    """The events that the data of server-sent events tell, which must be a whole answer in legal order."""
    decoder, grammar = responses.StreamDecoder(), Grammar()
    events: list[ChatEvent] = []
    for data in told:
        events += decoder.feed(data)
        if decoder.done:
            break
    events += decoder.end()
    for event in events:
        grammar.feed(event)
    grammar.end()
    return events


def encode(events: Iterable[ChatEvent], request: ChatRequest | None = None) -> list[bytes]:
    """The data of the server-sent events that `events` are written as."""
    encoder = responses.StreamEncoder(request)
    written = [one for event in events for one in encoder.feed(event)] + encoder.end()
    for kind, data in written:
        assert loads(data)["type"] == kind
    return [data for _, data in written]
