"""Completions, read and written: what is said stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from trunkline.call import Loss
from trunkline.core.fold import fold, unfold
from trunkline.core.grammar import Grammar
from trunkline.dialects import completions
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_TOKENS = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5)
_PROMPTS = st.one_of(_TEXTS, _TOKENS, st.lists(st.one_of(_TEXTS, _TOKENS), min_size=2, max_size=4))
_REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m"), "prompt": _PROMPTS},
    optional={
        "suffix": _TEXTS.filter(bool),
        "echo": st.just(True),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "seed": st.integers(-5, 5),
        "max_tokens": st.integers(1, 100),
        "stop": st.lists(_TEXTS, min_size=1, max_size=4),
        "n": st.integers(1, 5),
        "logprobs": st.integers(0, 5),
        "user": _TEXTS.filter(bool),
        "best_of": st.integers(1, 5),
        "logit_bias": st.just({"50256": -100}),
        "guided_json": st.just({"type": "object"}),
    },
)
_LOGPROBS = st.lists(st.tuples(_TEXTS, st.floats(-50, 0)), max_size=4)


def decode(wire: dict[str, Any]) -> ChatRequest:
    return completions.decode_request(Object(loads(dumps(wire))))


@given(_REQUESTS)
def test_a_request_comes_back(wire: dict[str, Any]) -> None:
    """What was read is written as it was; an array of one prompt is the prompt."""
    losses: list[Loss] = []
    written = loads(dumps(completions.encode_request(decode(wire), losses)))

    assert written == wire
    assert not losses


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        ({"prompt": "a"}, "model"),
        ({"model": "m"}, "prompt"),
        ({"model": "m", "prompt": []}, "prompt"),
        ({"model": "m", "prompt": ["a", {}]}, "prompt[1]"),
        ({"model": "m", "prompt": [1, "a"]}, "prompt[1]"),
        ({"model": "m", "prompt": [[1], [-1]]}, "prompt[1][0]"),
        ({"model": "m", "prompt": "a", "logprobs": True}, "logprobs"),
        ({"model": "m", "prompt": "a", "n": 0}, "n"),
    ],
)
def test_what_is_wrong_is_named(wire: dict[str, Any], param: str) -> None:
    """A request that cannot be read is refused, with the path of what is wrong."""
    with pytest.raises(GatewayError) as refused:
        decode(wire)
    assert refused.value.param == param


def test_what_completions_have_not_is_told() -> None:
    """What a contract's caller asks for beyond Completions is in the loss report."""
    request = decode({"model": "m", "prompt": "a"})
    request.tools.add().function.name = "f"
    request.reasoning.effort = "low"
    request.extras["anthropic"] = '{"thinking":1}'
    losses: list[Loss] = []
    completions.encode_request(request, losses)

    assert {loss.field for loss in losses} == {"tools", "reasoning", "thinking"}


def choice(index: int, text: str, logprobs: list[tuple[str, float]], finish: str | None) -> dict[str, Any]:
    arrays = {
        "tokens": [token for token, _ in logprobs],
        "token_logprobs": [value for _, value in logprobs],
        "top_logprobs": [{token: value} for token, value in logprobs],
        "text_offset": [sum(len(token) for token, _ in logprobs[:place]) for place in range(len(logprobs))],
    }
    return {"text": text, "index": index, "logprobs": arrays if logprobs else None, "finish_reason": finish}


_ANSWERS = st.builds(
    lambda told, usage: {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1700000000,
        "model": "base",
        "choices": [choice(index, text, logprobs, finish) for index, (text, logprobs, finish) in enumerate(told)],
        **usage,
    },
    st.lists(
        st.tuples(_TEXTS, _LOGPROBS, st.sampled_from(["stop", "length", "content_filter"])), min_size=1, max_size=3
    ),
    st.sampled_from([{}, {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}]),
)


@given(_ANSWERS)
def test_an_answer_comes_back(wire: dict[str, Any]) -> None:
    """What was read of an answer is written as it was, in the shape of OpenAI's own types."""
    response = completions.decode_response(Object(loads(dumps(wire)), lenient=True))
    written = loads(dumps(completions.encode_response(response)))

    assert written == wire
    Completion.model_validate(written)
    assert fold(unfold(response)) == response


def streamed(response: ChatResponse) -> list[bytes]:
    encoder = completions.StreamEncoder(include_usage=True)
    return [chunk for event in unfold(response) for chunk in encoder.feed(event)] + encoder.end()


def read(chunks: list[bytes], *, whole: bool = True) -> list[ChatEvent]:
    decoder = completions.StreamDecoder()
    events = [event for chunk in [*chunks, *([b"[DONE]"] if whole else [])] for event in decoder.feed(chunk)]
    return events + decoder.end()


@given(_ANSWERS)
def test_a_stream_folds_to_the_answer(wire: dict[str, Any]) -> None:
    """The chunks of an answer are OpenAI's, obey the grammar, and fold to the answer."""
    response = completions.decode_response(Object(loads(dumps(wire)), lenient=True))
    chunks = streamed(response)
    for chunk in chunks:
        Completion.model_validate({**loads(chunk), "choices": [_ended(item) for item in loads(chunk)["choices"]]})
    events = read(chunks)
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    grammar.end()
    again = fold(events)

    assert again.choices == response.choices
    assert again.usage == response.usage or not response.HasField("usage")


def _ended(item: dict[str, Any]) -> dict[str, Any]:
    """A choice whose finish reason may be null only in a stream, which OpenAI's types do not tell apart."""
    return {**item, "finish_reason": item["finish_reason"] or "stop"}


def test_a_stream_that_is_cut_has_no_end() -> None:
    """Without a finish reason and without `[DONE]`, a choice does not end."""
    chunks = [b'{"id":"a","choices":[{"index":0,"text":"Hel","finish_reason":null}]}']
    grammar = Grammar()
    for event in read(chunks, whole=False):
        grammar.feed(event)
    with pytest.raises(GatewayError):
        grammar.end()


def test_an_error_in_a_stream_is_raised() -> None:
    """An error object among the chunks ends the stream."""
    with pytest.raises(GatewayError, match="overloaded"):
        read([b'{"error":{"message":"overloaded","type":"server_error"}}'])
