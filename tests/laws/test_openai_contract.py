"""The lossless law, contract side: what the contract says survives OpenAI's language."""

from __future__ import annotations

from hypothesis import given
from laws.streams import decode, encode, same
from laws.values import foreign_extras, requests, responses

from trunkline.core.fold import fold, unfold
from trunkline.core.grammar import Grammar
from trunkline.dialects import openai
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse

_PROFILE = openai.Profile(max_tokens="max_completion_tokens", developer_role=True, images=True)


@given(requests())
def test_a_request_survives(request: ChatRequest) -> None:
    """`decode(encode(m)) == m` for any request within reach."""
    wire = dumps(openai.encode_request(request, _PROFILE))
    assert openai.decode_request(Object(loads(wire))) == request


@given(responses())
def test_an_answer_survives(response: ChatResponse) -> None:
    """`decode(encode(m)) == m` for any answer within reach."""
    wire = dumps(openai.encode_response(response))
    assert same(openai.decode_response(Object(loads(wire), lenient=True))) == same(response)


@given(responses())
def test_an_answer_survives_as_a_stream(response: ChatResponse) -> None:
    """Written as a stream and read again, an answer folds to itself."""
    assert same(fold(decode(encode(unfold(response))))) == same(response)


@given(responses())
def test_fold_is_the_inverse_of_unfold(response: ChatResponse) -> None:
    """`fold(unfold(r)) == r`, and the events are in legal order."""
    events = list(unfold(response))
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    grammar.end()
    assert fold(events) == response


@given(requests(), foreign_extras())
def test_no_extras_of_another_dialect_leak(request: ChatRequest, foreign: dict[str, str]) -> None:
    """A request in OpenAI's language holds no byte of `extras[other]`, wherever it stands."""
    holders = [request.extras, *(tool.extras for tool in request.tools)]
    for message in request.messages:
        holders += [message.extras, *(part.extras for part in message.parts)]
        holders += [inner.extras for part in message.parts for inner in part.tool_result.parts]
    for extras in holders:
        for dialect, text in foreign.items():
            extras[dialect] = text
    for profile in (openai.Profile(), openai.Profile(reasoning="thinking"), openai.Profile(reasoning=None)):
        wire = dumps(openai.encode_request(request, profile))
        assert b"hunter2" not in wire
        assert b"extra_content" not in wire
