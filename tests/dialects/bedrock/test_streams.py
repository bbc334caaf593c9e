"""Streams: their frames and their events, whole and damaged."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any
from zlib import crc32

import pytest
from dialects.bedrock.cases import (
    BROKEN,
    STREAMS,
    answer,
    each,
    frames,
    is_whole,
    load,
    read_answer,
    read_events,
    read_stream,
    told,
    whole,
    write_answer,
)
from dialects.bedrock.framed import frame
from hypothesis import given
from hypothesis import strategies as st
from laws.streams import cuts, pieces, same
from wire.recordings import Recording, recording

from trunkline.dialects import bedrock
from trunkline.dialects.wire import loads, text_of
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatEvent

START = ("messageStart", {"role": "assistant", "p": "abc"})
STOP = ("messageStop", {"stopReason": "end_turn", "p": "a"})
USAGE = {"inputTokens": 4, "outputTokens": 2, "totalTokens": 6}
MEASURED = ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}, "p": "ab"})


def delta(index: int = 0, **more: Any) -> tuple[str, Any]:
    """A piece of a block."""
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": more, "p": "abcdef"}


def begin(index: int, **start: Any) -> tuple[str, Any]:
    """The start of a block."""
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def end(index: int = 0) -> tuple[str, Any]:
    """The end of a block."""
    return "contentBlockStop", {"contentBlockIndex": index}


def unary(body: bytes) -> Any:
    """The whole answer that a stream tells, put together without the dialect."""
    blocks: dict[int, Any] = {}
    wire: dict[str, Any] = {"output": {"message": {"role": "assistant"}}}
    for data in frames(body):
        ((kind, event),) = json.loads(data).items()
        event.pop("p", None)
        number = event.get("contentBlockIndex", 0)
        if kind == "contentBlockStart":
            blocks[number] = event["start"]
            if "toolUse" in event["start"]:
                event["start"]["toolUse"]["input"] = ""
        elif kind == "contentBlockDelta":
            piece(blocks, number, event["delta"])
        elif kind == "messageStop":
            wire.update(event)
        elif kind == "metadata":
            wire.update({key: value for key, value in event.items() if key != "serviceTier"})
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    wire["output"]["message"]["content"] = [blocks[number] for number in sorted(blocks)]
    return wire


def piece(blocks: dict[int, Any], number: int, more: Any) -> None:
    """Put a delta to its block."""
    ((key, value),) = more.items()
    if key == "toolUse":
        blocks[number]["toolUse"]["input"] += value["input"]
    elif key == "toolResult":
        blocks[number]["toolResult"]["content"] = value
    elif key == "reasoningContent" and "redactedContent" in value:
        blocks[number] = {"reasoningContent": value}
    elif key == "reasoningContent":
        block = blocks.setdefault(number, {"reasoningContent": {"reasoningText": {"text": ""}}})
        inner = block["reasoningContent"]["reasoningText"]
        ((field, text),) = value.items()
        inner[field] = inner.get(field, "") + text
    elif key == "citation":
        blocks.setdefault(number, {"citationsContent": {"content": [{"text": ""}], "citations": []}})
        blocks[number]["citationsContent"]["citations"].append(value)
    else:
        block = blocks.setdefault(number, {"text": ""})
        if "text" in block:
            block["text"] += value
        else:
            block["citationsContent"]["content"][0]["text"] += value


@each(STREAMS)
def test_folding_a_stream_gives_the_whole_answer(recording: Recording) -> None:
    """The events of a recorded stream build what the same answer would be in one piece, but for the white space in the
    arguments, which only a stream tells."""
    streamed = whole(read_stream(recording.body))
    for part in streamed.choices[0].message.parts:
        if part.HasField("tool_call"):
            part.tool_call.arguments_json = text_of(loads(part.tool_call.arguments_json))
    assert same(streamed) == same(read_answer(unary(recording.body)))


@each(STREAMS)
def test_every_cut_of_the_bytes_reads_the_same(recording: Recording) -> None:
    """However the bytes arrive, the events are the same."""
    events = read_stream(recording.body)
    for size in (1, 2, 3, 7, 64, 1000):
        body = recording.body[:4000] if size == 1 else recording.body
        split = [body[start : start + size] for start in range(0, len(body), size)]
        expected = events if size > 1 else read_stream(body)
        assert read_stream(body, lambda _, split=split: split) == expected  # type: ignore[misc]


@given(st.data())
def test_random_cuts_read_the_same(data: st.DataObject) -> None:
    """As above, with cuts anywhere."""
    body = data.draw(st.sampled_from(STREAMS)).body
    bounds = data.draw(cuts(len(body)))
    assert frames(body, lambda whole: pieces(whole, bounds)) == frames(body)


@each(STREAMS)
def test_a_stream_that_is_cut_is_not_whole(recording: Recording) -> None:
    """Cut in front of the last event that ends the choice, wherever, a stream is no answer: no end is made up."""
    data = frames(recording.body)
    last = next(place for place, one in enumerate(data) if one.startswith(b'{"messageStop"'))
    assert all(not is_whole(read_events(data[:place])) for place in range(last + 1))
    assert is_whole(read_events(data[: last + 1]))
    size = recording.body.index(b"messageStop")
    assert not is_whole(read_stream(recording.body[:size]))


@each([recording(case) for case in BROKEN])
def test_an_exception_ends_the_stream(recording: Recording) -> None:
    """What was told before an exception is told, and the exception has its reason."""
    data = frames(recording.body)
    assert read_events(data[:-1])
    with pytest.raises(GatewayError) as caught:
        read_events(data)
    assert (caught.value.name, caught.value.message) == (
        "RATE_LIMITED",
        "Too many tokens, please wait before trying again.",
    )


@pytest.mark.parametrize(
    ("kind", "fields", "name"),
    [
        ("internalServerException", {}, "PROVIDER_FAILED"),
        ("modelStreamErrorException", {"originalStatusCode": 529, "originalMessage": "busy"}, "PROVIDER_UNAVAILABLE"),
        ("modelStreamErrorException", {"originalStatusCode": 400}, "PROVIDER_FAILED"),
        ("validationException", {"message": "Input is too long for requested model."}, "CONTEXT_LENGTH_EXCEEDED"),
        ("throttlingException", {"message": "slow"}, "RATE_LIMITED"),
        ("serviceUnavailableException", {"message": "down"}, "PROVIDER_UNAVAILABLE"),
        ("newException", {"message": "x"}, "PROVIDER_FAILED"),
    ],
)
def test_exceptions_within_a_stream(kind: str, fields: Any, name: str) -> None:
    """Each exception has its reason."""
    body = frame("messageStart", {"role": "assistant"}) + frame(kind, fields, exception=True)
    with pytest.raises(GatewayError) as caught:
        read_stream(body)
    assert caught.value.name == name


def test_an_error_of_the_transport_ends_the_stream() -> None:
    """A frame of the type `error` tells what it tells in its headers."""
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "it broke"}
    with pytest.raises(GatewayError) as caught:
        read_stream(frame("", None, headers=headers))
    assert (caught.value.name, caught.value.message) == ("PROVIDER_FAILED", "it broke")


def test_a_stream_without_its_first_event() -> None:
    """The answer begins with whatever comes first."""
    events = told(delta(text="Hi"), STOP)
    assert [event.WhichOneof("event") for event in events] == [
        "start",
        "part_start",
        "part_delta",
        "part_end",
        "choice_end",
    ]
    assert events[0].start.ByteSize() == 0


def test_what_was_measured_may_come_first() -> None:
    """Usage in front of the end counts as much as behind it, and nothing is read after both."""
    early, late = told(START, MEASURED, delta(text="Hi"), STOP), told(START, delta(text="Hi"), STOP, MEASURED)
    assert same(whole(early)) == same(whole(late))
    assert whole(late).usage.input_tokens == 4
    decoder = bedrock.StreamDecoder()
    for kind, event in (START, STOP, MEASURED):
        decoder.feed(json.dumps({kind: event}).encode())
    assert decoder.done
    assert decoder.feed(b"anything") == []


def test_an_answer_without_measures_is_whole() -> None:
    """Usage that never came is unset, not zero; what the end told of the answer is told all the same."""
    events = told(START, delta(text="Hi"), ("messageStop", {"stopReason": "end_turn", "new": 1}))
    assert not whole(events).HasField("usage")
    assert load(whole(events).extras["bedrock"].encode()) == {"new": 1}


def test_padding_is_left_out() -> None:
    """The key that hides the length of an event is nowhere in the answer."""
    response = whole(told(START, delta(text="Hi"), end(), STOP, MEASURED))
    assert load(response.extras["bedrock"].encode()) == {"metrics": {"latencyMs": 1}}
    assert not response.choices[0].message.parts[0].extras


def test_what_is_unknown_is_borne() -> None:
    """Events that are younger than this reader are passed over; blocks of a new kind are carried whole."""
    events = told(
        START,
        ("newEvent", {"a": 1}),
        begin(0, newBlock={"a": "x", "list": [1]}),
        delta(0, newBlock={"a": "y", "list": [2], "b": None}),
        end(0),
        delta(1, newDelta={"c": 1}),
        end(1),
        ("contentBlockStop", {"contentBlockIndex": 9}),
        ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {}}),
        delta(4, text="Hi"),
        end(4),
        STOP,
    )
    parts = whole(events).choices[0].message.parts
    assert [load(part.opaque.json.encode()) for part in parts[:2]] == [
        {"newBlock": {"a": "xy", "list": [1, 2]}},
        {"newDelta": {"c": 1}},
    ]
    assert parts[2].text == "Hi"


def test_calls_stream_their_arguments() -> None:
    """A call is told with its id and name at once, and its arguments as they come; without any they are empty."""
    events = told(
        START,
        begin(0, toolUse={"toolUseId": "t1", "name": "f", "type": "tool_use"}),
        delta(0, toolUse={"input": ""}),
        delta(0, toolUse={"input": '{"a":'}),
        begin(1, toolUse={"toolUseId": "t2", "name": "g"}),
        delta(0, toolUse={"input": "1}"}),
        end(0),
        end(1),
        ("messageStop", {"stopReason": "tool_use"}),
    )
    started = [event.part_start.part for event in events if event.HasField("part_start")]
    assert [(part.tool_call.id, part.tool_call.name) for part in started] == [("t1", "f"), ("t2", "g")]
    assert not started[0].extras
    choice = whole(events).choices[0]
    assert [part.tool_call.arguments_json for part in choice.message.parts] == ['{"a":1}', "{}"]
    assert choice.finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS


def test_what_the_provider_ran_is_told_whole() -> None:
    """Calls that the provider ran by itself, and their results, are blocks of its own, never calls to answer."""
    events = told(
        START,
        begin(0, toolUse={"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use"}),
        delta(0, toolUse={"input": '{"q":'}),
        delta(0, toolUse={"input": "1}"}),
        end(0),
        begin(1, toolResult={"toolUseId": "t", "type": "nova_grounding_result", "status": "success"}),
        delta(1, toolResult=[{"text": "a"}]),
        delta(1, toolResult=[{"json": {"b": 1}}]),
        end(1),
        begin(2, toolUse={"toolUseId": "t3", "name": "broken", "type": "server_tool_use"}),
        delta(2, toolUse={"input": "{no"}),
        STOP,
    )
    parts = whole(events).choices[0].message.parts
    assert [load(part.opaque.json.encode()) for part in parts] == [
        {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use", "input": {"q": 1}}},
        {
            "toolResult": {
                "toolUseId": "t",
                "type": "nova_grounding_result",
                "status": "success",
                "content": [{"text": "a"}, {"json": {"b": 1}}],
            }
        },
        {"toolUse": {"toolUseId": "t3", "name": "broken", "type": "server_tool_use", "input": "{no"}},
    ]


def test_reasoning_ends_with_what_seals_it() -> None:
    """A signature is told at the end of its block, in one piece; withheld reasoning from its start."""
    first, second = base64.b64encode(b"sealed one").decode(), base64.b64encode(b"and two").decode()
    events = told(
        START,
        delta(0, reasoningContent={"text": "Hm"}),
        delta(0, reasoningContent={"text": "m"}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        delta(0, reasoningContent={"signature": "+/="}),
        end(0),
        delta(1, reasoningContent={"redactedContent": first}),
        delta(1, reasoningContent={"redactedContent": second}),
        end(1),
        delta(2, reasoningContent={"text": "plain"}),
        end(2),
        delta(3, text="So"),
        STOP,
    )
    assert [event.part_start.part.reasoning.redacted for event in events if event.HasField("part_start")] == [
        False,
        True,
        False,
        False,
    ]
    content = write_answer(whole(events))["output"]["message"]["content"]
    assert content == [
        {"reasoningContent": {"reasoningText": {"text": "Hmm", "signature": "c2ln+/="}}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"sealed oneand two").decode()}},
        {"reasoningContent": {"reasoningText": {"text": "plain"}}},
        {"text": "So"},
    ]


def test_citations_come_with_their_text() -> None:
    """The text of a cited block is told as it comes, in front of or behind its sources, which come at its end."""
    citation = {"title": "t", "sourceContent": [{"text": "s"}], "location": {"documentChar": {"start": 1}}}
    events = told(START, delta(0, citation=citation), delta(0, text="a"), delta(0, citation={"title": "u"}), STOP)
    assert [event.part_delta.text for event in events if event.HasField("part_delta")] == ["a"]
    wire = answer({"citationsContent": {"content": [{"text": "a"}], "citations": [citation, {"title": "u"}]}})
    assert same(whole(events)) == same(read_answer(wire))
    alone = told(START, delta(0, citation={"title": "u"}), STOP)
    assert same(whole(alone)) == same(read_answer(answer({"citationsContent": {"citations": [{"title": "u"}]}})))


def test_pictures_are_told_whole() -> None:
    """An image comes with its format first and its bytes after."""
    half = base64.b64encode(b"abcd").decode()
    events = told(
        START,
        begin(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": half}}),
        delta(0, image={"source": {"bytes": half}}),
        end(0),
        STOP,
    )
    part = whole(events).choices[0].message.parts[0]
    assert part.media.uri == f"data:image/png;base64,{base64.b64encode(b'abcdabcd').decode()}"


def test_a_block_that_changes_its_kind_is_two_parts() -> None:
    """Text under the number of a block of reasoning ends it and begins another part."""
    events = told(START, delta(0, reasoningContent={"text": "a"}), delta(0, text="b"), delta(0, text="c"), STOP)
    parts = whole(events).choices[0].message.parts
    assert [part.WhichOneof("kind") for part in parts] == ["reasoning", "text"]
    assert parts[1].text == "bc"


def test_a_block_that_begins_anew_ends_the_one_before() -> None:
    """A number that is used twice is two parts."""
    call = {"toolUseId": "t", "name": "f"}
    events = told(START, delta(0, text="a"), begin(0, toolUse=call), begin(0, toolUse=call), STOP)
    assert len(whole(events).choices[0].message.parts) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"5",
        b"{}",
        b'{"a":{},"b":{}}',
        b'{"messageStart":5}',
        b"{",
        b'{"contentBlockDelta":{"delta":{"toolUse":{"input":"x"}}}}',
    ],
)
def test_what_is_no_event_is_an_error(data: bytes) -> None:
    """An event of another shape ends the stream with an error, not with a crash."""
    with pytest.raises(GatewayError):
        read_events([data])


def test_a_second_answer_is_an_error() -> None:
    """One stream holds one answer."""
    with pytest.raises(GatewayError, match="second answer"):
        told(START, START)


def flip(body: bytes, place: int) -> bytes:
    """`body` with one byte changed."""
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


@pytest.mark.parametrize("place", [0, 3, 5, 9, 13, 20, 70, -5, -1])
def test_damaged_frames_are_errors(place: int) -> None:
    """A byte that is wrong anywhere in a frame is found."""
    body = frame("messageStart", {"role": "assistant"})
    with pytest.raises(GatewayError) as caught:
        frames(flip(body, place % len(body)))
    assert caught.value.name == "PROVIDER_FAILED"


@pytest.mark.parametrize(("size", "headers"), [(12, 0), (2**31, 0), (40, 30), (2**20, 2**18)])
def test_frames_of_impossible_lengths_are_errors(size: int, headers: int) -> None:
    """A length that cannot be is refused before anything is kept."""
    prelude = struct.pack(">II", size, headers)
    with pytest.raises(GatewayError, match="length"):
        frames(prelude + struct.pack(">I", crc32(prelude)) + b"\0" * 16)


def test_headers_that_cannot_be_read_are_an_error() -> None:
    """Headers of an unknown type, or that end too early, are damage."""
    for headers in (b"\x01a\xff", b"\x05ab", b"\x01a\x07\x00", b"\x01a\x00\x01a\x00", b"\x01\xff\x00"):
        prelude = struct.pack(">II", 16 + len(headers), len(headers))
        body = prelude + struct.pack(">I", crc32(prelude)) + headers
        with pytest.raises(GatewayError, match="damaged"):
            frames(body + struct.pack(">I", crc32(body)))


def test_an_event_without_content() -> None:
    """An event with an empty payload is one without fields."""
    assert frames(frame("messageStart", None)) == [b'{"messageStart":{}}'] * 1
    assert frames(frame("messageStart", None) * 2) == [b'{"messageStart":{}}'] * 2
    assert read_events([b'{"messageStart":{}}']) == [ChatEvent(start=chat_pb2.ChatResponse())]
