"""Cohere's dialect, held to recorded traffic."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
from dialects.cohere.reading import canonical, request_of
from wire.recordings import Recording, recordings

from trunkline.call import Loss, LossKind
from trunkline.core.fold import fold, unfold
from trunkline.core.grammar import Grammar
from trunkline.dialects import cohere, sse
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest

OURS = [one for one in recordings() if one.id.startswith("cohere/v2-chat/")]
STREAMS = [one for one in OURS if one.is_stream]
ANSWERS = [one for one in OURS if one.status == 200 and not one.is_stream]
ASKED = [one for one in OURS if one.request is not None and one.status != 422]

by_id = partial(pytest.mark.parametrize, "recording", ids=lambda one: one.id)


def decode(body: bytes, cuts: list[int] | None = None) -> list[ChatEvent]:
    """The events of a stream whose bytes come in pieces that end at `cuts`."""
    reader, decoder = sse.Reader(), cohere.StreamDecoder()
    events: list[ChatEvent] = []
    bounds = [0, *(cuts or []), len(body)]
    frames = [frame for start, end in pairwise(bounds) for frame in reader.feed(body[start:end])]
    for frame in [*frames, *reader.end()]:
        events += decoder.feed(frame.data)
    return events + decoder.end()


def check(events: list[ChatEvent]) -> None:
    """Raise where the events are out of order, or do not end."""
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    grammar.end()


@by_id(argvalues=STREAMS)
def test_a_recorded_stream_is_whole(recording: Recording) -> None:
    """Its events are in order and end; the answer they fold to has a text, reasoning or calls, and usage."""
    events = decode(recording.body)
    check(events)
    answer = fold(events)

    assert answer.choices[0].message.parts
    assert answer.usage.output_tokens > 0
    calls = [part for part in answer.choices[0].message.parts if part.HasField("tool_call")]
    assert bool(calls) == (answer.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS)


@by_id(argvalues=STREAMS)
def test_how_the_bytes_are_cut_changes_nothing(recording: Recording) -> None:
    """Any piece may end anywhere."""
    whole = decode(recording.body)
    step = max(1, len(recording.body) // 97)

    assert all(decode(recording.body, [cut]) == whole for cut in range(0, len(recording.body), step))
    assert decode(recording.body, list(range(1, len(recording.body)))) == whole


@by_id(argvalues=STREAMS)
def test_a_cut_stream_is_an_error(recording: Recording) -> None:
    """Without `message-end` no answer is whole."""
    frames = recording.body.split(b"\n\n")
    last = next(index for index, frame in enumerate(frames) if b'"message-end"' in frame)
    for count in range(last):
        with pytest.raises(GatewayError):
            check(decode(b"\n\n".join(frames[:count])))


@by_id(argvalues=ANSWERS)
def test_a_recorded_answer_is_read(recording: Recording) -> None:
    """Parts, finish reason and usage are there, and nothing that the contract models is left in the extras."""
    answer = cohere.decode_response(Object(loads(recording.body), lenient=True))

    assert answer.choices[0].message.parts
    assert answer.choices[0].finish.reason != chat_pb2.FINISH_REASON_OTHER
    assert answer.usage.input_tokens > 0
    assert "message" not in loads(answer.extras.get("cohere", "{}"))


def test_citations_stand_at_their_text() -> None:
    """Unary and streamed alike."""
    cited = [one for one in OURS if "citations" in one.tags and one.status == 200]
    for one in cited:
        if one.is_stream:
            answer = fold(decode(one.body))
        else:
            answer = cohere.decode_response(Object(loads(one.body), lenient=True))
        texts = [part for part in answer.choices[0].message.parts if part.HasField("text")]

        assert texts[0].citations, one.id
        first = texts[0].citations[0]
        assert texts[0].text[first.start_index : first.end_index] == first.cited_text


@by_id(argvalues=ASKED)
def test_a_recorded_request_is_written_as_it_was(recording: Recording) -> None:
    """What real clients ask is asked in the same words, and nothing of it is lost."""
    wire = loads(recording.request or b"")
    losses: list[Loss] = []
    written = loads(dumps(cohere.encode_request(request_of(wire), losses)))

    assert written == canonical(wire)
    assert losses == []


@by_id(argvalues=ANSWERS)
def test_an_answer_goes_back_as_it_was_said(recording: Recording) -> None:
    """Texts, thoughts, plans and calls, where the conversation goes on."""
    wire = loads(recording.body)
    said = {key: value for key, value in wire["message"].items() if key != "citations" and value}
    answer = cohere.decode_response(Object(loads(recording.body), lenient=True))
    request = ChatRequest(messages=[answer.choices[0].message])
    [written] = loads(dumps(cohere.encode_request(request, [])))["messages"]

    assert written == canonical({"messages": [said]})["messages"][0]


@by_id(argvalues=ANSWERS)
def test_an_answer_is_what_its_events_build(recording: Recording) -> None:
    """Taken apart and put together again it is the same."""
    answer = cohere.decode_response(Object(loads(recording.body), lenient=True))
    events = list(unfold(answer))
    check(events)

    assert fold(events) == answer


def test_an_error_within_a_stream() -> None:
    """Whatever form it has, it is one."""
    for error in ('"overloaded"', '{"message":"overloaded"}'):
        with pytest.raises(GatewayError, match="overloaded"):
            event = f'{{"type":"message-end","delta":{{"finish_reason":"ERROR","error":{error}}}}}'
            cohere.StreamDecoder().feed(event.encode())


def test_a_request() -> None:
    """Everything that Cohere can take, in its own words; what it cannot is named."""
    request = ChatRequest(model="m", user="u", stop_sequences=["a"], max_output_tokens=5, service_tier="flex")
    request.messages.add(role=content_pb2.ROLE_DEVELOPER).parts.add().text = "s"
    request.messages.add(role=content_pb2.ROLE_USER).parts.add().text = "q"
    answer = request.messages.add(role=content_pb2.ROLE_ASSISTANT)
    foreign = answer.parts.add()
    foreign.reasoning.text, foreign.extras["anthropic"] = "secret", '{"signature":"x"}'
    plan = answer.parts.add()
    plan.reasoning.text, plan.extras["cohere"] = "plan", '{"tool_plan":true}'
    answer.parts.add().tool_call.MergeFrom(content_pb2.ToolCall(id="c", name="f", arguments_json="{}"))
    result = request.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result
    result.tool_call_id = "c"
    result.parts.add().text = "r"
    request.tools.add().function.name = "f"
    request.tools.add().function.name = "g"
    request.tool_choice.name = "f"
    request.sampling.top_k, request.sampling.top_p = 3, 0.5
    request.extras["openai"] = '{"logit_bias":{}}'
    losses: list[Loss] = []
    wire = loads(dumps(cohere.encode_request(request, losses)))

    assert wire == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "q"},
            {
                "role": "assistant",
                "tool_plan": "plan",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": "REQUIRED",
        "p": 0.5,
        "k": 3,
        "max_tokens": 5,
        "stop_sequences": ["a"],
    }
    assert {loss.field for loss in losses} == {"logit_bias", "user", "service_tier", "tool_choice"}


def test_instructions_that_come_last_are_said_by_the_user() -> None:
    """Cohere answers a user or a tool; those between others stay what they are."""
    request = ChatRequest(model="m")
    for role in (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_USER, content_pb2.ROLE_SYSTEM):
        request.messages.add(role=role).parts.add().text = "x"
    losses: list[Loss] = []
    wire = loads(dumps(cohere.encode_request(request, losses)))

    assert [message["role"] for message in wire["messages"]] == ["system", "user", "user"]
    assert losses == [Loss("messages[2].role", LossKind.APPROXIMATED)]
