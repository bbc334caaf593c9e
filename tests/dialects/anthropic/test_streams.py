"""Streams: folded to the answer, however they are cut, and never whole before their last event."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.anthropic.cases import (
    ANSWERS,
    BROKEN,
    CASES,
    STREAMS,
    each,
    framed,
    is_whole,
    load,
    read_answer,
    read_stream,
    whole,
    write_stream,
)
from hypothesis import given
from hypothesis import strategies as st
from wire.recordings import Recording

from trunkline.core.fold import unfold
from trunkline.dialects.anthropic import StreamDecoder
from trunkline.dialects.wire import dumps, loads, text_of
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse

START = {
    "type": "message_start",
    "message": {"id": "m", "model": "c", "usage": {"input_tokens": 3, "output_tokens": 1}},
}
STOP = {"type": "message_stop"}


def ended(**delta: Any) -> dict[str, Any]:
    """The event that tells why the answer ended."""
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn", **delta}, "usage": {"output_tokens": 5}}


def begun(index: int, **block: Any) -> dict[str, Any]:
    """The event that begins a block."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index: int, kind: str, **delta: Any) -> dict[str, Any]:
    """An event that extends a block."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def closed(index: int) -> dict[str, Any]:
    """The event that ends a block."""
    return {"type": "content_block_stop", "index": index}


def play(*events: dict[str, Any]) -> ChatResponse:
    """The response of a stream of `events`."""
    decoder = StreamDecoder()
    return whole([event for data in events for event in decoder.feed(dumps(data))] + decoder.end())


def parsed(response: ChatResponse) -> ChatResponse:
    """`response` with the arguments of its calls as compact JSON: a stream keeps the model's own spaces."""
    for part in response.choices[0].message.parts:
        if part.WhichOneof("kind") == "tool_call":
            part.tool_call.arguments_json = text_of(loads(part.tool_call.arguments_json))
    return response


def expected(body: bytes) -> Any:
    """The whole answer that a stream tells, put together from its events as Anthropic describes it."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for line in body.decode().splitlines():
        event = load(line[5:].encode()) if line.startswith("data:") else {}
        match event.get("type"):
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                _extend(message["content"][event["index"]], event["delta"], inputs, event["index"])
            case "content_block_stop":
                if inputs.get(event["index"]):
                    message["content"][event["index"]]["input"] = load(inputs.pop(event["index"]).encode())
            case "message_delta":
                message["usage"].update({key: value for key, value in event["usage"].items() if value is not None})
                message.update(event["delta"])
                message.update({key: event[key] for key in event.keys() - {"type", "delta", "usage"}})
            case "message_stop":
                message.update({key: event[key] for key in event.keys() - {"type"}})
                break
    return message


def _extend(block: dict[str, Any], delta: dict[str, Any], inputs: dict[int, str], index: int) -> None:
    match delta["type"]:
        case "text_delta" | "thinking_delta":
            key = delta["type"].removesuffix("_delta")
            block[key] += delta[key]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        case "input_json_delta":
            inputs[index] = inputs.get(index, "") + delta["partial_json"]
        case _:
            block.update({key: value for key, value in delta.items() if key != "type"})


@each(STREAMS)
def test_fold_of_a_stream_is_the_answer(recording: Recording) -> None:
    """Folding the events of a stream gives what the same answer gives as a whole."""
    assert parsed(whole(read_stream(recording.body))) == parsed(read_answer(expected(recording.body)))


@each(STREAMS)
def test_every_cut_of_the_bytes_reads_the_same(recording: Recording) -> None:
    """However the bytes are cut, the events are the same."""
    events = read_stream(recording.body)
    for size in (1, 7, 64):
        assert (
            read_stream(recording.body, lambda body, n=size: [body[i : i + n] for i in range(0, len(body), n)])
            == events
        )
    lines = recording.body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert read_stream(lines) == events


@each(STREAMS)
def test_a_cut_stream_is_not_whole(recording: Recording) -> None:
    """A stream that stops behind any event before its last is no whole answer."""
    body = recording.body.replace(b"\r\n", b"\n")
    frames = body.split(b"\n\n")
    last = next(number for number, frame in enumerate(frames) if b'"message_stop"' in frame)
    for number in range(last):
        assert not is_whole(read_stream(b"\n\n".join(frames[:number]) + b"\n\n"))


@each([one for one in CASES if one.id in BROKEN])
def test_broken_streams_are_errors(recording: Recording) -> None:
    """An error event, and a second answer within the first, end the stream with an error."""
    with pytest.raises(GatewayError):
        read_stream(recording.body)


@each(STREAMS)
def test_a_written_stream_reads_the_same(recording: Recording) -> None:
    """Writing the events of a stream and reading them gives the same response."""
    events = read_stream(recording.body)
    again = read_stream(framed(write_stream(events)))
    assert whole(again) == whole(events)


@each(ANSWERS)
def test_a_whole_answer_as_a_stream_reads_the_same(recording: Recording) -> None:
    """A whole answer, written as a stream and read, is the same answer."""
    answer = read_answer(load(recording.body))
    assert whole(read_stream(framed(write_stream(unfold(answer))))) == answer


def test_usage_is_told_at_the_start_and_at_the_end() -> None:
    """The start tells what was read at once; the end completes it, and repeats no count that it does not know."""
    decoder = StreamDecoder()
    first = decoder.feed(dumps(START))
    assert [event.WhichOneof("event") for event in first] == ["start", "usage"]
    assert first[1].usage.input_tokens == 3
    last = decoder.feed(dumps(ended()))[0].usage
    assert (last.input_tokens, last.output_tokens) == (3, 5)


def test_padding_is_no_content() -> None:
    """Anthropic pads its JSON with spaces in front of the last brace."""
    decoder = StreamDecoder()
    events = [event for data in (START, ended(), STOP) for event in decoder.feed(dumps(data)[:-1] + b"        }")]
    assert whole(events) == play(START, ended(), STOP)


def test_null_counts_do_not_erase() -> None:
    """A count that the end gives as null is the one that the start gave."""
    usage = {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 9}
    response = play(START, {**ended(), "usage": usage}, STOP)
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 9)


def test_the_input_of_a_call_may_come_at_once() -> None:
    """A call whose whole input stands in its start has it, and one without any input has an empty object."""
    response = play(
        START,
        begun(0, type="tool_use", id="a", name="f", input={"x": 1}),
        closed(0),
        begun(1, type="tool_use", id="b", name="f", input={}),
        more(1, "input_json_delta", partial_json=""),
        closed(1),
        begun(2, type="tool_use", id="c", name="f", input={"ignored": True}),
        more(2, "input_json_delta", partial_json='{"y":2}'),
        closed(2),
        ended(stop_reason="tool_use"),
        STOP,
    )
    arguments = [part.tool_call.arguments_json for part in response.choices[0].message.parts]
    assert arguments == ['{"x":1}', "{}", '{"y":2}']


def test_interleaved_blocks_are_read() -> None:
    """Blocks that are open at the same time are told apart by their index."""
    response = play(
        START,
        begun(0, type="text", text=""),
        begun(1, type="tool_use", id="a", name="f", input={}),
        more(1, "input_json_delta", partial_json="{"),
        more(0, "text_delta", text="Hel"),
        more(1, "input_json_delta", partial_json="}"),
        more(0, "text_delta", text="lo"),
        closed(1),
        closed(0),
        ended(),
        STOP,
    )
    text, call = response.choices[0].message.parts
    assert (text.text, call.tool_call.arguments_json) == ("Hello", "{}")


def test_unknown_events_blocks_and_deltas_are_borne() -> None:
    """An unknown event is passed over, an unknown delta too, and an unknown block is carried with all its pieces."""
    response = play(
        START,
        {"type": "weather_report", "sky": "blue"},
        begun(0, type="hologram", shape=None, parts=[1], text="a"),
        more(0, "hologram_delta", shape="cube", parts=[2], text="b"),
        closed(0),
        begun(1, type="text", text=""),
        more(1, "sparkle_delta", sparkle=1),
        more(1, "text_delta", text="Hi"),
        closed(1),
        {"type": "ping"},
        ended(),
        STOP,
    )
    block, text = response.choices[0].message.parts
    assert load(block.opaque.json.encode()) == {"type": "hologram", "shape": "cube", "parts": [1, 2], "text": "ab"}
    assert text.text == "Hi"


def test_thinking_without_text_keeps_its_signature() -> None:
    """A block that is a signature alone is a part, with its signature byte for byte."""
    response = play(
        START,
        begun(0, type="thinking", thinking="", signature=""),
        more(0, "signature_delta", signature="Eq+/=="),
        closed(0),
        begun(1, type="redacted_thinking", data="secret"),
        closed(1),
        ended(),
        STOP,
    )
    signed, redacted = response.choices[0].message.parts
    assert (signed.reasoning.text, signed.extras["anthropic"]) == ("", '{"signature":"Eq+/=="}')
    assert redacted.reasoning.redacted
    assert redacted.extras["anthropic"] == '{"data":"secret"}'


def test_a_block_that_is_not_closed_ends_with_the_answer() -> None:
    """Where a server forgets to close a block, the end of the answer does."""
    response = play(START, begun(0, type="text", text="Hi"), ended(), STOP)
    assert response.choices[0].message.parts[0].text == "Hi"


def test_the_first_event_may_tell_all() -> None:
    """A turn that goes on in a container, from whose program a tool is called, is told whole in its start."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "roll", "input": {"player": "1"}, "caller": {"type": "code"}}
    told = {"content": [call], "stop_reason": "tool_use", "container": {"id": "c"}}
    answer = play({"type": "message_start", "message": {**START["message"], **told}}, STOP)
    assert answer.choices[0].finish.native_reason == "tool_use"
    assert answer.choices[0].message.parts[0].tool_call.arguments_json == '{"player":"1"}'


def test_a_start_that_is_said_twice_begins_no_other_answer() -> None:
    """Proxies do so where they ask a server again."""
    told = [begun(0, type="text", text="Hi"), closed(0), ended(), STOP]
    assert play(START, START, *told) == play(START, *told)


def test_nothing_is_read_behind_the_end() -> None:
    """What follows the last event is not of this answer."""
    decoder = StreamDecoder()
    for data in (START, ended(), STOP):
        decoder.feed(dumps(data))
    assert decoder.done
    assert decoder.feed(dumps(START)) == []
    assert decoder.feed(b"[DONE]") == []


@pytest.mark.parametrize(
    "events",
    [
        [STOP],
        [begun(0, type="text", text="")],
        [START, more(0, "text_delta", text="x")],
        [START, {"type": "message_start", "message": {"id": "another"}}],
        [{"type": "message_start"}],
        [START, {"type": "content_block_start", "index": 0}],
        [START, {"type": "content_block_delta", "index": []}],
    ],
)
def test_streams_out_of_order_are_errors(events: list[dict[str, Any]]) -> None:
    """A stream that does not begin with its start, extends what was not begun or begins twice is an error."""
    with pytest.raises(GatewayError):
        play(*events)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("overloaded_error", "PROVIDER_UNAVAILABLE"),
        ("rate_limit_error", "RATE_LIMITED"),
        ("api_error", "PROVIDER_FAILED"),
        ("timeout_error", "PROVIDER_TIMEOUT"),
        ("invalid_request_error", "INVALID_REQUEST"),
        ("new_error", "PROVIDER_FAILED"),
    ],
)
def test_errors_within_a_stream(kind: str, name: str) -> None:
    """An error event is the error that its type says."""
    decoder = StreamDecoder()
    decoder.feed(dumps(START))
    with pytest.raises(GatewayError) as caught:
        decoder.feed(dumps({"type": "error", "error": {"type": kind, "message": "so it is"}}))
    assert (caught.value.name, caught.value.message) == (name, "so it is")


def test_bedrocks_metrics_are_kept() -> None:
    """What Bedrock adds to the last event is told with the end of the response."""
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}}
    response = play(START, ended(), {**STOP, **metrics})
    assert load(response.extras["anthropic"].encode()) == metrics


@given(st.data())
def test_random_cuts_read_the_same(data: st.DataObject) -> None:
    """Any cut of the bytes, in particular within a character or a line end, reads the same."""
    body = framed(write_stream(unfold(read_answer({"content": [{"type": "text", "text": "né\r\n\u2028🙂"}]}))))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=20)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    events: list[ChatEvent] = read_stream(body, lambda _: pieces)
    assert events == read_stream(body)
