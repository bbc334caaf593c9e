"""Requests and answers that somebody damaged: an error of the gateway's own kind, or an answer, and nothing else."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from dialects.responses.cases import cases, frames, request_of
from hypothesis import given, settings
from hypothesis import strategies as st
from laws.values import json_values

from trunkline.core.grammar import Grammar
from trunkline.dialects import responses
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError

_REQUESTS = [loads(one.request) for one in cases() if one.request is not None]
_ANSWERS = [loads(one.body) for one in cases() if one.status == 200 and not one.is_stream]
_STREAMS = [
    [loads(data) for data in frames([one.body]) if data != b"[DONE]"]
    for one in cases()
    if one.is_stream and len(one.body) < 20_000
]


@st.composite
def damaged(draw: st.DrawFn, wires: list[Any]) -> Any:
    """One of `wires` with up to four of its values replaced, removed or doubled."""
    wire = copy.deepcopy(draw(st.sampled_from(wires)))
    for _ in range(draw(st.integers(1, 4))):
        node = wire
        while isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(sorted(node)) if isinstance(node, dict) else st.integers(0, len(node) - 1))
            inner = node[key]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 4)):
                node = inner
                continue
            match draw(st.integers(0, 3)):
                case 0:
                    del node[key]
                case 1:
                    node[key] = draw(st.none() | json_values())
                case 2 if isinstance(node, list):
                    node.append(inner)
                case _:
                    node[key] = draw(st.sampled_from([None, "", 0, -1, 2**40, [], {}, [None], "reasoning", "message"]))
            break
    return wire


@settings(max_examples=400, deadline=None)
@given(damaged(_REQUESTS))
def test_a_damaged_request_is_refused_or_taken(wire: Any) -> None:
    """Nothing but `GatewayError` comes out of reading it, nor of writing what was read."""
    try:
        request = request_of(dumps(wire))
        dumps(responses.encode_request(request, []))
        responses.encode_response(responses.decode_response(Object({}, lenient=True)), request)
    except GatewayError:
        pass


@settings(max_examples=400, deadline=None)
@given(damaged(_ANSWERS))
def test_a_damaged_answer_is_read_or_refused(wire: Any) -> None:
    """And what was read can be written."""
    try:
        response = responses.decode_response(Object(wire, lenient=True))
        dumps(responses.encode_response(response))
    except GatewayError:
        pass


@settings(max_examples=400, deadline=None)
@given(damaged(_STREAMS))
def test_a_damaged_stream_is_read_or_refused(events: list[Any]) -> None:
    """In legal order as far as it goes, and what was read can be written."""
    decoder, grammar, encoder = responses.StreamDecoder(), Grammar(), responses.StreamEncoder()
    try:
        for event in events:
            for told in decoder.feed(dumps(event)):
                grammar.feed(told)
                encoder.feed(told)
        grammar.end()
        encoder.end()
    except GatewayError as error:
        assert "out of order" not in error.message  # noqa: PT017 - the order is the decoder's own


@given(st.binary(max_size=64))
def test_bytes_that_are_no_event(data: bytes) -> None:
    """Are refused, or passed over where they are JSON of another sort."""
    with suppress(GatewayError):
        responses.StreamDecoder().feed(data)


def test_a_part_whose_type_is_no_text_is_passed_over() -> None:
    """It is of no kind that is known."""
    decoder = responses.StreamDecoder()
    assert decoder.feed(b'{"type":"response.created","response":{"id":"r","model":"m"}}') == []
    part = b'{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":["output_text"]}}'
    assert decoder.feed(part) == []
