"""Whatever a caller or a provider writes: nothing but `GatewayError` comes out, and within bounds."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from dialects.gemini.cases import ERRORS, REQUESTS, WHOLE, each, load
from hypothesis import given
from hypothesis import strategies as st
from laws.values import json_objects
from wire.recordings import Recording

from trunkline.core.grammar import Grammar
from trunkline.dialects import gemini
from trunkline.dialects.gemini import reader
from trunkline.dialects.wire import Object, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent

ODD: list[Any] = [None, 0, -1, 1.5, 10**30, "", "x", True, [], {}, [None], [{}], {"a": 1}, "$", "STOP"]


def seeded(seed: int) -> random.Random:
    """Dice that fall the same each time."""
    return random.Random(seed)  # noqa: S311 - nothing here is secret


def mutated(value: Any, dice: random.Random) -> Any:
    """`value` with some of what is in it replaced."""
    if dice.random() < 0.04:
        return dice.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(item, dice) for key, item in value.items() if dice.random() > 0.02}
    return [mutated(item, dice) for item in value] if isinstance(value, list) else value


@each(REQUESTS)
def test_damaged_requests(recording: Recording) -> None:
    """A damaged request is read and written, or refused."""
    assert recording.request is not None
    wire = load(recording.request)
    for seed in range(30):
        body = mutated(wire, seeded(seed))
        if not isinstance(body, dict):
            continue
        with suppress(GatewayError):
            request = gemini.decode_request(Object(body))
            dumps(gemini.encode_request(request, gemini.profile_of("gemini-2.5-flash")))


@each(WHOLE)
def test_damaged_answers(recording: Recording) -> None:
    """A damaged answer or chunk is read and written, or refused; its events are legal."""
    splitter = gemini.Reader()
    chunks = [one.data for one in splitter.feed(recording.body) + splitter.end()] or [recording.body]
    wires = [load(chunk) for chunk in chunks]
    for seed in range(20):
        dice = seeded(seed)
        body = [mutated(wire, dice) for wire in wires]
        with suppress(GatewayError):
            if isinstance(body[0], dict):
                dumps(gemini.encode_response(gemini.decode_response(Object(load(dumps(body[0])), lenient=True))))
        decoder, encoder, grammar = gemini.StreamDecoder(), gemini.StreamEncoder(), Grammar()
        events: list[ChatEvent] = []
        with suppress(GatewayError):
            for one in body:
                events += decoder.feed(dumps(one))
            events += decoder.end()
        for event in events:
            grammar.feed(event)
        with suppress(GatewayError):
            for event in events:
                encoder.feed(event)
            encoder.end()


@each(ERRORS)
def test_damaged_errors(recording: Recording) -> None:
    """A damaged error is an error all the same."""
    wire = load(recording.body)
    for seed in range(50):
        assert gemini.decode_error(recording.status, {}, dumps(mutated(wire, seeded(seed)))).message


@given(body=json_objects())
def test_any_object(body: dict[str, Any]) -> None:
    """Any JSON object is read as an answer and as a chunk, or refused; as a request, it has no contents."""
    with pytest.raises(GatewayError):
        gemini.decode_request(Object(load(dumps(body))))
    gemini.encode_response(gemini.decode_response(Object(load(dumps(body)), lenient=True)))
    with suppress(GatewayError):
        gemini.StreamDecoder().feed(dumps(body))


@given(pieces=st.lists(st.binary(max_size=40) | st.sampled_from([b"\r\n", b"{", b'"', b"}", b"[", b"data: {}"])))
def test_any_bytes(pieces: list[bytes]) -> None:
    """Any bytes are split, or passed over."""
    splitter = gemini.Reader()
    for piece in pieces:
        splitter.feed(piece)
    splitter.end()


def test_a_chunk_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that never ends is refused before it fills the memory."""
    monkeypatch.setattr(reader, "_MOST", 1000)
    splitter = gemini.Reader()
    splitter.feed(b'[{"a":"')
    with pytest.raises(GatewayError):
        for _ in range(20):
            splitter.feed(b"x" * 100)


def test_deep_nesting() -> None:
    """JSON that is nested too deep is refused."""
    with pytest.raises(GatewayError):
        gemini.StreamDecoder().feed(b'{"candidates":' + b"[" * 5000 + b"]" * 5000 + b"}")
