"""What was recorded of `generateContent`, and how the tests read and write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from wire.recordings import Recording, recordings

from trunkline.call import Loss
from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.dialects import gemini
from trunkline.dialects.gemini.profile import NATIVE
from trunkline.dialects.known import open_request
from trunkline.dialects.wire import Object, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse

CASES = [one for one in recordings() if one.id.split("/")[1] in ("generateContent", "streamGenerateContent")]

REFUSED = {"vertex/generateContent/otel-python-generate-content-invalid-role": "a role that Google refuses"}
"""Requests that cannot be read, and why."""

REQUESTS = [one for one in CASES if one.request is not None and one.id not in REFUSED]
ERRORS = [one for one in CASES if one.status != 200]
WHOLE = [one for one in CASES if one.status == 200]

BROKEN = {
    "vertex/streamGenerateContent/firebase-streaming-failure-invalid-json": "no chunk of an answer",
    "vertex/streamGenerateContent/firebase-streaming-success-quotes-escaped": "no finish reason",
}
"""Streams that are no whole answer, and why."""

EMPTY = {"vertex/generateContent/firebase-unary-failure-invalid-response": "no answer at all"}
"""Answers without a candidate, and why."""


def _is_stream(recording: Recording) -> bool:
    return recording.is_stream or recording.body.startswith(b"[")


STREAMS = [one for one in WHOLE if _is_stream(one) and one.id not in BROKEN]
ANSWERS = [one for one in WHOLE if not _is_stream(one)]


def each(cases: Iterable[Recording]) -> pytest.MarkDecorator:
    """Run a test, which takes `recording`, once for each of `cases`."""
    return pytest.mark.parametrize("recording", [pytest.param(one, id=one.id) for one in cases])


def load(data: bytes) -> Any:
    """JSON as plain Python."""
    return msgspec.json.decode(data)


def read_request(wire: Any) -> ChatRequest:
    """Read a request as a surface does; `wire` is left as it is."""
    text = dumps(wire)
    request = gemini.decode_request(Object(open_request(text, gemini.TEXTS)), "gemini-3-flash")
    assert request == gemini.decode_request(Object(load(text)), "gemini-3-flash")
    return request


def write_request(request: ChatRequest, model: str = "", losses: list[Loss] | None = None) -> Any:
    """Write a request for `model`, or for one that takes all, as plain Python."""
    return load(dumps(gemini.encode_request(request, gemini.profile_of(model) if model else NATIVE, losses)))


def read_answer(wire: Any) -> ChatResponse:
    """Read a whole answer; `wire` is left as it is."""
    return gemini.decode_response(Object(load(dumps(wire)), lenient=True))


def write_answer(response: ChatResponse) -> Any:
    """Write a whole answer, as plain Python."""
    return load(dumps(gemini.encode_response(response)))


def read_stream(body: bytes, split: Callable[[bytes], Iterable[bytes]] = lambda body: [body]) -> list[ChatEvent]:
    """The events of a stream whose bytes come as `split` cuts them, held to the grammar; it need not be whole."""
    reader, decoder, grammar = gemini.Reader(), gemini.StreamDecoder(), Grammar()
    batches = [*map(reader.feed, split(body)), reader.end()]
    events = [event for batch in batches for one in batch for event in decoder.feed(one.data)] + decoder.end()
    for event in events:
        grammar.feed(event)
    return events


def read_chunks(chunks: Iterable[Any]) -> list[ChatEvent]:
    """The events of a stream of these chunks."""
    return read_stream(framed(map(dumps, chunks)))


def whole(events: Iterable[ChatEvent]) -> ChatResponse:
    """The response that the events of a whole stream build. Raises `GatewayError` where it is not whole."""
    grammar = Grammar()
    kept = list(events)
    for event in kept:
        grammar.feed(event)
    grammar.end()
    return fold(kept)


def is_whole(events: Iterable[ChatEvent]) -> bool:
    """Whether the events are those of a whole stream."""
    try:
        whole(events)
    except GatewayError:
        return False
    return True


def write_stream(events: Iterable[ChatEvent]) -> list[bytes]:
    """The chunks of a stream."""
    encoder = gemini.StreamEncoder()
    return [chunk for event in events for chunk in encoder.feed(event)] + encoder.end()


def framed(chunks: Iterable[bytes]) -> bytes:
    """Chunks as Google sends them."""
    return b"".join(b"data: %s\r\n\r\n" % chunk for chunk in chunks)


def user(*parts: Any) -> dict[str, Any]:
    """A content of the user's."""
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:
    """A content of the model's."""
    return {"role": "model", "parts": list(parts)}


def answer(*parts: Any, **more: Any) -> dict[str, Any]:
    """A whole answer, or one chunk."""
    candidate = {"content": model(*parts), "finishReason": "STOP", "index": 0, **more}
    return {"candidates": [candidate], "modelVersion": "gemini-3-flash", "responseId": "r1"}
