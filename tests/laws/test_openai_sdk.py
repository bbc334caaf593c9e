"""Every recorded stream, whoever's it is, as OpenAI's SDK puts it together from the chunks of Chat Completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from providers.test_errors import STREAMS, provider_of
from wire.recordings import Recording, recordings

from trunkline.core.fold import fold
from trunkline.dialects import openai
from trunkline.dialects.wire import Object, loads
from trunkline.v1.chat_pb2 import ChatEvent

NONE = {"vertex/streamGenerateContent/firebase-streaming-failure-invalid-json"}
"""Streams that say nothing."""

WHOLE = [
    one
    for one in recordings()
    if one.is_stream and not one.is_error and one.id not in {*STREAMS, *NONE} and "/anthropic-messages/" not in one.id
]


def _events(one: Recording) -> Iterator[ChatEvent]:
    provider = provider_of(one)
    reader, decoder = provider.reader(), provider.stream_decoder()
    for piece in (*reader.feed(one.body), *reader.end()):
        yield from decoder.feed(piece.data)
    yield from decoder.end()


@pytest.mark.parametrize("one", WHOLE, ids=lambda one: one.id)
def test_the_sdk_puts_a_stream_together(one: Recording) -> None:
    """Texts, refusals, calls and what other dialects need back are those of the answer, none lost and none doubled."""
    events = list(_events(one))
    answer = fold(event for event in events)
    encoder, state = openai.StreamEncoder(include_usage=True), ChatCompletionStreamState()
    for event in events:
        for data in encoder.feed(event):
            state.handle_chunk(ChatCompletionChunk.construct(**loads(data)))
    for data in encoder.end():
        state.handle_chunk(ChatCompletionChunk.construct(**loads(data)))
    snapshot: Any = state.current_completion_snapshot.to_dict()
    told = {key: value for key, value in snapshot["choices"][0]["message"].items() if value is not None}
    whole = openai.encode_response(answer)["choices"][0]["message"]

    assert told.get("content", "") == (whole.get("content") or "")
    assert told.get("refusal", "") == (whole.get("refusal") or "")
    assert told.get("annotations", []) == whole.get("annotations", [])
    calls = [_call(call) for call in told.get("tool_calls", ())]
    assert calls == [_call(call) for call in whole.get("tool_calls", ())]
    # What a client that sends the message back would bring.
    answered = {key: value for key, value in told.items() if key != "parsed"}
    request = openai.decode_request(Object({"model": "m", "messages": [answered]}))
    opaque = [part.opaque for part in answer.choices[0].message.parts if part.HasField("opaque")]
    assert [part.opaque for part in request.messages[0].parts if part.HasField("opaque")] == opaque


def _call(wire: dict[str, Any]) -> tuple[Any, ...]:
    inner = wire.get("function") or wire.get("custom") or {}
    return wire.get("id"), inner.get("name"), inner.get("arguments", inner.get("input"))
