"""Whole answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from dialects.responses.cases import answer_of, decode, each, encode, is_answer, request_of
from laws.streams import same
from openai.types.responses import Response
from wire.recordings import Recording, recording

from trunkline.core.fold import fold, unfold
from trunkline.dialects import responses
from trunkline.dialects.wire import dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Finish

_ODD = {
    "xai/responses/ruby-llm-with-schema-with-xai-grok-4-1-fast-non-reasoning-accepts-a-json-schema-a",
    "xai/responses/vercel-ai-xai-code-execution-tool-1",
}
"""Where the provider itself repeats the settings of the request in a form that OpenAI's models refuse."""


def written(response: ChatResponse) -> bytes:
    """`response` as the surface writes it."""
    return dumps(responses.encode_response(response))


def settled(response: ChatResponse) -> ChatResponse:
    """`response` as it reads after it was written: with the counts, the words and the ids that clients need."""
    out = ChatResponse()
    out.CopyFrom(response)
    if out.HasField("usage"):
        for name in ("cached_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"):
            setattr(out.usage, name, getattr(out.usage, name))
    for choice in out.choices:
        if choice.finish.native_reason == "complete":
            choice.finish.native_reason = "completed"
    out.extras.clear()
    return same(out)


@each(is_answer)
def test_an_answer_survives_the_gateway(recording: Recording) -> None:
    """Written for a client and read by it, it is the same: each text, call, citation and hosted item."""
    response = answer_of(recording.body)
    out = loads(written(response))
    asked = loads(recording.body)
    for was, is_ in zip(asked["output"], out["output"], strict=True):
        assert {key: value for key, value in was.items() if value is not None}.items() <= is_.items() or (
            was["type"] in ("message", "reasoning")
        )
    again, expected = settled(answer_of(dumps(out))), settled(response)
    for got, want in zip(again.choices[0].message.parts, expected.choices[0].message.parts, strict=True):
        if '"id"' not in want.extras["responses"]:
            got.extras["responses"] = want.extras["responses"]
        assert got == want
    del again.choices[0].message.parts[:]
    del expected.choices[0].message.parts[:]
    assert again.choices == expected.choices
    assert again.usage == expected.usage


@each(lambda one: is_answer(one) and one.id not in _ODD)
def test_openais_own_models_accept_what_is_written(recording: Recording) -> None:
    """Every field that they require is there, and of its type."""
    Response.model_validate_json(written(answer_of(recording.body)), strict=False)


@each(is_answer)
def test_all_that_an_answer_tells_is_kept(recording: Recording) -> None:
    """What the contract does not model comes out as it went in."""
    asked, out = msgspec.json.decode(recording.body), msgspec.json.decode(written(answer_of(recording.body)))
    told = {key for key, value in asked.items() if value is not None} - {"output", "usage", "status"}
    assert {key: out[key] for key in told} == {key: asked[key] for key in told}


@each(lambda one: is_answer(one) and b'"queued"' not in one.body)
def test_an_answer_can_be_streamed(recording: Recording) -> None:
    """`fold(unfold(r)) == r`, also through a client's stream."""
    response = answer_of(recording.body)
    assert same(fold(unfold(response))) == same(response)
    streamed, expected = settled(fold(decode(encode(unfold(response))))), settled(response)
    got = [(part.WhichOneof("kind"), _text(part)) for part in streamed.choices[0].message.parts]
    assert got == [(part.WhichOneof("kind"), _text(part)) for part in expected.choices[0].message.parts]
    assert streamed.choices[0].finish == expected.choices[0].finish
    assert streamed.usage == expected.usage


def _text(part: Any) -> Any:
    return part.text or part.refusal or part.reasoning.text or part.tool_call or part.opaque


def test_an_answer_of_every_kind() -> None:
    """Parts stand in order: reasoning, hosted items, texts with citations and log probabilities, refusals, calls."""
    response = answer_of(
        {
            "id": "resp_1",
            "created_at": 1700000000.7,
            "model": "gpt-9",
            "status": "completed",
            "service_tier": "flex",
            "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "why"}]},
                {"type": "web_search_call", "id": "ws_1", "status": "completed"},
                {
                    "type": "message",
                    "id": "msg_1",
                    "status": "completed",
                    "role": "assistant",
                    "content": [
                        {
                            "type": "output_text",
                            "text": "Hi",
                            "annotations": [
                                {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}
                            ],
                            "logprobs": [{"token": "Hi", "logprob": -1, "bytes": [72, 105], "top_logprobs": []}],
                        },
                        {"type": "refusal", "refusal": "No"},
                    ],
                },
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a": 1}'},
                {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_2", "name": "sql", "input": "SELECT 1"},
            ],
            "usage": {
                "input_tokens": 10,
                "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 3},
                "total_tokens": 17,
            },
        }
    )
    assert (response.create_time.seconds, response.service_tier) == (1700000000, "flex")
    (choice,) = response.choices
    parts = choice.message.parts
    kinds = [part.WhichOneof("kind") for part in parts]
    assert kinds == ["reasoning", "opaque", "text", "refusal", "tool_call", "tool_call"]
    assert loads(parts[0].extras["responses"]) == {"id": "rs_1"}
    (citation,) = parts[2].citations
    assert (citation.uri, citation.title, citation.start_index, citation.end_index) == ("u", "t", 0, 2)
    assert parts[2].logprobs[0].raw == b"Hi"
    assert (parts[4].tool_call.id, parts[4].tool_call.arguments_json) == ("call_1", '{"a": 1}')
    assert parts[5].tool_call.arguments_json == "SELECT 1"
    assert choice.finish == Finish(reason=chat_pb2.FINISH_REASON_TOOL_CALLS, native_reason="completed")
    usage = response.usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.cache_write_input_tokens) == (10, 4, 2)
    assert (usage.output_tokens, usage.reasoning_output_tokens) == (7, 3)
    assert not usage.extras


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("completed", None, chat_pb2.FINISH_REASON_STOP),
        ("incomplete", "max_output_tokens", chat_pb2.FINISH_REASON_LENGTH),
        ("incomplete", "content_filter", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        ("incomplete", "steered", chat_pb2.FINISH_REASON_OTHER),
        ("incomplete", None, chat_pb2.FINISH_REASON_OTHER),
        ("queued", None, chat_pb2.FINISH_REASON_OTHER),
    ],
)
def test_why_an_answer_ended(status: str, reason: str | None, expected: int) -> None:
    """The state and its details are the finish reason, and come back from it."""
    details = None if reason is None else {"reason": reason}
    response = answer_of({"id": "r", "status": status, "incomplete_details": details, "output": []})
    finish = response.choices[0].finish
    assert (finish.reason, finish.native_reason) == (expected, reason or status)
    out = responses.encode_response(response)
    assert (out["status"], out["incomplete_details"]) == (status, details)


def test_a_response_that_failed_is_an_error() -> None:
    """Never an answer without words."""
    error = {"code": "rate_limit_exceeded", "message": "Slow down."}
    with pytest.raises(GatewayError) as caught:
        answer_of({"id": "r", "status": "failed", "error": error, "output": []})
    assert (caught.value.name, caught.value.message) == ("RATE_LIMITED", "Slow down.")
    with pytest.raises(GatewayError) as caught:
        answer_of({"id": "r", "status": "failed", "output": []})
    assert caught.value.name == "PROVIDER_FAILED"


def test_calls_without_an_id_are_given_one() -> None:
    """The same for the same call, so that a result can name it."""
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    first, second = (answer_of({"id": "r", "output": [dict(call), dict(call)]}) for _ in range(2))
    ids = [part.tool_call.id for part in first.choices[0].message.parts]
    assert len(set(ids)) == 2
    assert ids == [part.tool_call.id for part in second.choices[0].message.parts]


def test_unset_counts_are_not_zero() -> None:
    """What the server does not count is unset."""
    usage = answer_of({"id": "r", "output": [], "usage": {"input_tokens": 3, "output_tokens": 4, "x": 1}}).usage
    assert not usage.HasField("cached_input_tokens")
    assert not usage.HasField("reasoning_output_tokens")
    assert usage.extras["responses"] == '{"x":1}'


def test_reasoning_is_counted_once() -> None:
    """A server that counts reasoning beside the output, by its total, is put right; others are left alone."""
    usage = {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 7}}
    assert answer_of({"id": "r", "output": [], "usage": {**usage, "total_tokens": 22}}).usage.output_tokens == 12
    assert answer_of({"id": "r", "output": [], "usage": {**usage, "total_tokens": 15}}).usage.output_tokens == 5


def test_a_float_of_seconds_is_a_time() -> None:
    """As Bedrock writes it."""
    case = "bedrock/openai-responses/ruby-llm-providers-bedrock-mantle-responses-chat-chats-through-the-responses-surf"
    assert answer_of(recording(case).body).create_time.seconds == 1787150054


def test_a_response_repeats_its_request() -> None:
    """Settings, tools and instructions, as the request had them, where the provider did not say them itself."""
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
    asked = {
        "model": "m",
        "input": "Hello",
        "instructions": "Be kind.",
        "tools": [tool, {"type": "web_search"}],
        "tool_choice": "required",
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "metadata": {"a": "b"},
        "previous_response_id": "resp_0",
        "store": True,
    }
    out = responses.encode_response(ChatResponse(id="r"), request_of(dumps(asked)))
    told = loads(dumps(out))
    assert {key: told[key] for key in asked if key not in ("model", "input")} == {
        key: value for key, value in asked.items() if key not in ("model", "input")
    }
    assert "input" not in told
    Response.model_validate_json(dumps(out))
