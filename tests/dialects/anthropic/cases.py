"""What was recorded of the Messages API, and how the tests read and write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from wire.recordings import Recording, recordings

from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.dialects import anthropic, sse
from trunkline.dialects.wire import Object, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse

CASES = [one for one in recordings() if one.id.split("/")[1] in ("messages", "anthropic-messages")]
REQUESTS = [one for one in CASES if one.request is not None]
ANSWERS = [one for one in CASES if one.status == 200 and not one.is_stream]
ERRORS = [one for one in CASES if one.status != 200]

BROKEN = {
    "anthropic/messages/documented-overloaded-mid-stream": "an error event",
    "anthropic/messages/vercel-ai-spliced-message-start-1": "a second answer begins before the first has ended",
}
"""Streams that are no whole answer, and why."""

STREAMS = [one for one in CASES if one.is_stream and one.id not in BROKEN]


def each(cases: Iterable[Recording]) -> pytest.MarkDecorator:
    """Run a test, which takes `recording`, once for each of `cases`."""
    return pytest.mark.parametrize("recording", [pytest.param(one, id=one.id) for one in cases])


def load(data: bytes) -> Any:
    """JSON as plain Python."""
    return msgspec.json.decode(data)


def profile(recording: Recording) -> anthropic.Profile:
    """What is known of the model that a recording asked."""
    assert recording.request is not None
    return anthropic.profile_of(load(recording.request).get("model", ""))


def read_request(wire: Any) -> ChatRequest:
    """Read a request as a surface does; `wire` is left as it is."""
    body = Object(load(dumps(wire)))
    anthropic.take_stream(body)
    return anthropic.decode_request(body)


def write_request(request: ChatRequest, model: str = "claude-opus-4-6", losses: Any = None) -> Any:
    """Write a request for `model`, as plain Python."""
    return load(dumps(anthropic.encode_request(request, anthropic.profile_of(model), losses)))


def read_answer(wire: Any) -> ChatResponse:
    """Read a whole answer; `wire` is left as it is."""
    return anthropic.decode_response(Object(load(dumps(wire)), lenient=True))


def write_answer(response: ChatResponse) -> Any:
    """Write a whole answer, as plain Python."""
    return load(dumps(anthropic.encode_response(response)))


def read_stream(body: bytes, split: Callable[[bytes], Iterable[bytes]] = lambda body: [body]) -> list[ChatEvent]:
    """The events of a stream whose bytes come as `split` cuts them, held to the grammar; it need not be whole."""
    reader, decoder, grammar = sse.Reader(), anthropic.StreamDecoder(), Grammar()
    events: list[ChatEvent] = []
    batches = [*map(reader.feed, split(body)), reader.end()]
    for event in [event for batch in batches for event in batch]:
        events += decoder.feed(event.data)
        if decoder.done:
            break
    events += decoder.end()
    for event in events:
        grammar.feed(event)
    return events


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


def write_stream(events: Iterable[ChatEvent]) -> list[anthropic.Frame]:
    """The frames of a stream."""
    encoder = anthropic.StreamEncoder()
    return [frame for event in events for frame in encoder.feed(event)] + encoder.end()


def framed(frames: Iterable[anthropic.Frame]) -> bytes:
    """Frames as a surface sends them."""
    return b"".join(b"event: %s\ndata: %s\n\n" % (frame.type.encode(), frame.data) for frame in frames)


def message(role: str, *content: Any) -> dict[str, Any]:
    """One message of a request."""
    return {"role": role, "content": list(content)}


def asking(*messages: Any, **more: Any) -> dict[str, Any]:
    """A request with little else in it."""
    return {"model": "claude-opus-4-6", "max_tokens": 1024, "messages": list(messages), **more}
