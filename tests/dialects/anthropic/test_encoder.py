"""Written streams: legal for Anthropic's own SDK, whatever order the parts came in."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from dialects.anthropic.cases import ANSWERS, STREAMS, each, load, read_answer, read_stream, write_answer, write_stream
from dialects.anthropic.test_answers import is_valid, without_nulls
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from wire.recordings import Recording

from trunkline.core.fold import fold, unfold
from trunkline.dialects.anthropic import Frame
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, ChoiceEnd, Finish, PartDelta, PartEnd, PartStart, Usage
from trunkline.v1.content_pb2 import Part, Reasoning, ToolCall

EVENT = TypeAdapter(RawMessageStreamEvent)


def accumulate(frames: list[Frame]) -> Any:
    """What the SDK's accumulator makes of a stream."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for frame in frames:
        event = EVENT.validate_python(load(frame.data))
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    return load(snapshot.to_json().encode())


def check_grammar(frames: list[Frame]) -> None:
    """Hold frames to the order that Anthropic describes: blocks one after another, one start, one end."""
    kinds = [frame.type for frame in frames]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_start") == kinds.count("message_delta") == kinds.count("message_stop") == 1
    current, following = None, 0
    for frame in frames[1:-2]:
        event = load(frame.data)
        assert event["type"] == frame.type
        match frame.type:
            case "content_block_start":
                assert (current, event["index"]) == (None, following)
                current, following = following, following + 1
            case "content_block_delta":
                assert event["index"] == current
            case _:
                assert (frame.type, event["index"]) == ("content_block_stop", current)
                current = None
    assert current is None


VALID = [one for one in ANSWERS if is_valid(load(one.body))]


@each(STREAMS)
def test_written_streams_are_in_order(recording: Recording) -> None:
    """Every recorded stream is written in the order that Anthropic describes."""
    check_grammar(write_stream(read_stream(recording.body)))


@each(VALID)
def test_the_sdk_accumulates_the_answer(recording: Recording) -> None:
    """The SDK makes of the written stream what it makes of the written answer."""
    answer = read_answer(load(recording.body))
    events = list(unfold(answer))
    events.insert(1, events.pop())
    frames = write_stream(events)
    check_grammar(frames)
    wanted = load(Message.model_validate(write_answer(answer)).to_json().encode())
    got = accumulate(frames)
    # The accumulator knows neither of these at the end of a stream, where alone some are told.
    for key in ("context_management", "diagnostics"):
        wanted.pop(key, None)
        got.pop(key, None)
    assert without_nulls(got) == without_nulls(wanted)


def start() -> ChatEvent:
    """The start of a stream."""
    return ChatEvent(start=ChatResponse(id="msg_1", model="m"))


def stop(reason: chat_pb2.FinishReason.ValueType = chat_pb2.FINISH_REASON_STOP) -> ChatEvent:
    """The end of its choice."""
    return ChatEvent(choice_end=ChoiceEnd(finish=Finish(reason=reason)))


def test_usage_of_the_start_is_in_the_start() -> None:
    """What is known of the usage when the answer begins stands in its start: clients show it at once."""
    frames = write_stream([start(), ChatEvent(usage=Usage(input_tokens=7, cached_input_tokens=3)), stop()])
    usage = load(frames[0].data)["message"]["usage"]
    assert usage == {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 0}


def test_usage_that_comes_late_is_in_the_end() -> None:
    """Counts that come after the end of the choice are told by the last event but one, input included."""
    frames = write_stream([start(), stop(), ChatEvent(usage=Usage(input_tokens=7, output_tokens=2))])
    assert load(frames[-2].data)["usage"] == {"input_tokens": 7, "output_tokens": 2}


def test_a_cut_answer_gets_no_end() -> None:
    """No end is written for an answer that had none."""
    part = ChatEvent(part_start=PartStart(part=Part(text="Hi")))
    assert [frame.type for frame in write_stream([start(), part])][-1] == "content_block_delta"


@given(st.data())
def test_interleaved_parts_are_written_one_after_another(data: st.DataObject) -> None:
    """Parts that are written at once come out as blocks in their order, each whole."""
    pending: list[list[ChatEvent]] = []
    count = data.draw(st.integers(1, 5))
    for index in range(count):
        if data.draw(st.booleans()):
            part = Part(tool_call=ToolCall(id=f"t{index}", name="f"))
            texts = ['{"a":', "1}"]
        else:
            part, texts = Part(text=""), [f"a{index}", f"b{index}"]
        deltas = [ChatEvent(part_delta=PartDelta(index=index, text=text)) for text in texts]
        pending.append([*deltas, ChatEvent(part_end=PartEnd(index=index))])
        pending[-1].insert(0, ChatEvent(part_start=PartStart(index=index, part=part)))
    events, begun = [start()], 0
    while any(pending):
        able = [number for number, queue in enumerate(pending) if queue and number <= begun]
        number = data.draw(st.sampled_from(able))
        begun = max(begun, number + 1) if len(pending[number]) and number == begun else begun
        events.append(pending[number].pop(0))
    events.append(stop())
    frames = write_stream(events)
    check_grammar(frames)
    wanted = write_answer(fold(events))["content"]
    assert without_nulls(accumulate(frames)["content"]) == wanted


def test_many_parts_at_once_do_not_exhaust_the_stack() -> None:
    """Thousands of parts that wait for the first are written when it ends."""
    many = 3000
    starts = [ChatEvent(part_start=PartStart(index=index, part=Part(text="x"))) for index in range(many)]
    ends = [ChatEvent(part_end=PartEnd(index=index)) for index in reversed(range(many))]
    frames = write_stream([start(), *starts, *ends, stop()])
    check_grammar(frames)
    assert len(frames) == 3 * many + 3


def test_other_choices_are_passed_over() -> None:
    """Anthropic's answer has one choice: of several, the first."""
    events = [
        start(),
        ChatEvent(part_start=PartStart(choice=1, part=Part(text="second"))),
        ChatEvent(part_start=PartStart(choice=0, part=Part(text="first"))),
        ChatEvent(part_delta=PartDelta(choice=1, text="more")),
        ChatEvent(part_end=PartEnd(choice=1)),
        ChatEvent(part_end=PartEnd(choice=0)),
        ChatEvent(choice_end=ChoiceEnd(choice=1)),
        stop(),
    ]
    assert [block["text"] for block in accumulate(write_stream(events))["content"]] == ["first"]


@pytest.mark.parametrize("text", ["", "Hmm."])
def test_reasoning_of_others_is_a_thinking_block(text: str) -> None:
    """Reasoning that no signature came with is a thinking block with an empty one, as the SDK needs a text."""
    response = ChatResponse()
    choice = response.choices.add(finish=Finish(reason=chat_pb2.FINISH_REASON_STOP))
    choice.message.parts.add(reasoning=Reasoning(text=text))
    block = {"type": "thinking", "thinking": text, "signature": ""}
    assert write_answer(response)["content"] == [block]
    assert accumulate(write_stream(unfold(response)))["content"] == [block]
