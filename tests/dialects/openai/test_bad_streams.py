"""Streams that no sane server sends: events in legal order, or an error, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire.recordings import chats

from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.dialects import openai, sse
from trunkline.dialects.openai import decoder as decoding
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse


def survive(chunks: Iterable[bytes]) -> ChatResponse | None:
    """Read chunks, write them for a client, and fold them. None where the stream is an error."""
    decoder, grammar, encoder = openai.StreamDecoder(), Grammar(), openai.StreamEncoder(include_usage=True)
    events: list[ChatEvent] = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.end()
        for event in events:
            grammar.feed(event)
            for written in encoder.feed(event):
                loads(written)
        grammar.end()
        for written in encoder.end():
            loads(written)
        response = fold(events)
        dumps(openai.encode_response(response))
    except GatewayError:
        return None
    return response


_KEYS = (
    *("id", "object", "created", "model", "choices", "usage", "index", "delta", "message", "finish_reason", "logprobs"),
    *("content", "role", "refusal", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "function"),
    *("name", "arguments", "type", "function_call", "audio", "data", "images", "image_url", "url", "text", "thinking"),
    *("extra_content", "anthropic", "blocks", "x_groq", "error", "code", "native_finish_reason", "format", "length"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "cached_tokens", "token"),
    *("completion_tokens_details", "reasoning_tokens", "logprob", "bytes", "top_logprobs", "custom", "citations"),
)
_ANY = st.recursive(
    st.sampled_from(["stop", "text", "thinking", "function", "custom", "openai", "{}", "c", "", 0, 1, -1, 0.5, 2**70])
    | st.none()
    | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=20,
)


def _fields(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object that may have these fields, each of which may be anything."""
    return st.fixed_dictionaries({}, optional={key: value | _ANY for key, value in fields.items()})


_WORDS = st.sampled_from(["", "a", "bc"])
_CALL = _fields(
    index=st.integers(0, 2),
    id=_WORDS,
    type=st.sampled_from(["function", "custom"]),
    function=_fields(name=_WORDS, arguments=_WORDS),
    custom=_fields(name=_WORDS, input=_WORDS),
)
_BLOCK = _fields(type=st.sampled_from(["text", "thinking", "image_url"]), text=_WORDS, thinking=_WORDS)
_DELTA = _fields(
    content=_WORDS | st.lists(_BLOCK, max_size=2),
    reasoning=_WORDS,
    reasoning_details=st.lists(_fields(type=_WORDS, text=_WORDS, index=st.integers(0, 1)), max_size=2),
    refusal=_WORDS,
    tool_calls=st.lists(_CALL, max_size=3),
    function_call=_fields(name=_WORDS, arguments=_WORDS),
    images=st.lists(_BLOCK, max_size=1),
    extra_content=_fields(anthropic=_fields(blocks=st.lists(_BLOCK, max_size=1), signature=_WORDS)),
)
_CHOICE = _fields(
    index=st.integers(0, 1), delta=_DELTA, finish_reason=st.sampled_from([None, "stop", "x", ""]), logprobs=_ANY
)
_CHUNK = _fields(id=_WORDS, model=_WORDS, created=st.integers(), choices=st.lists(_CHOICE, max_size=2), usage=_ANY)


@given(st.lists(_CHUNK, max_size=8))
def test_chunks_of_any_shape(chunks: list[Any]) -> None:
    """Chunks as servers send them, but for what stands in them."""
    survive([*map(dumps, chunks), b"[DONE]"])
    survive(map(dumps, chunks))


@given(_ANY | _CHUNK)
def test_an_answer_of_any_shape(wire: Any) -> None:
    """A whole answer is read leniently: written again, or an error."""
    if not isinstance(wire, dict):
        return
    for choice in wire["choices"] if isinstance(wire.get("choices"), list) else ():
        if isinstance(choice, dict) and "delta" in choice:
            choice["message"] = choice.pop("delta")
    wire = loads(dumps(wire))
    with suppress(GatewayError):
        dumps(openai.encode_response(openai.decode_response(Object(wire, lenient=True))))


@given(st.sampled_from([one.body for one in chats() if one.is_stream and len(one.body) < 20_000]), st.data())
def test_a_recorded_stream_that_was_changed(body: bytes, data: st.DataObject) -> None:
    """A few bytes replaced, taken out or put in, anywhere."""
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    reader = sse.Reader()
    survive([frame.data for frame in [*reader.feed(bytes(changed)), *reader.end()]])


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_any_bytes(chunks: list[bytes]) -> None:
    """As chunks."""
    survive(chunks)


@pytest.mark.parametrize("data", [b"7", b"[]", b"null", b'"x"', b"{", b"", b"[" * 100_000, b'{"x":' * 100_000])
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    """It cannot be passed over: it may be a piece of the answer."""
    with pytest.raises(GatewayError):
        openai.StreamDecoder().feed(data)


def test_what_a_stream_makes_the_gateway_keep_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that never ends cannot fill the memory with what is told only at its end."""
    monkeypatch.setattr(decoding, "_MOST_KEPT", 10_000)
    decoder = openai.StreamDecoder()
    item = {"type": "reasoning.text", "text": "x" * 100}
    chunk = dumps({"id": "r", "choices": [{"index": 0, "delta": {"reasoning_details": [item]}}]})
    with pytest.raises(GatewayError, match="beside its text"):
        for _ in range(100):
            decoder.feed(chunk)


def test_a_stream_of_choices_is_bounded() -> None:
    """An index that no answer has is refused before anything is kept for it."""
    with pytest.raises(GatewayError, match="choice of index"):
        openai.StreamDecoder().feed(b'{"id":"r","choices":[{"index":100000,"delta":{"content":"x"}}]}')
