"""Streamed answers, read and written."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from dialects.responses.cases import (
    STREAM_EVENT,
    answer_of,
    cases,
    decode,
    each,
    encode,
    frames,
    is_whole,
    request_of,
)
from hypothesis import given
from hypothesis import strategies as st
from laws.streams import cuts, pieces, same
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from wire.recordings import Recording

from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.dialects import responses
from trunkline.dialects.wire import dumps, loads
from trunkline.errors import GatewayError, provider_failed
from trunkline.v1 import chat_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatResponse

_DONE = b"[DONE]"
_ENDS = ("response.completed", "response.incomplete")

each_whole = each(is_whole)

_TWO_ANSWERS = "azure/responses/vercel-ai-azure-reasoning-encrypted-content-1-1"
_CUT_BY_HAND = "openai/responses/vercel-ai-openai-shell-container-1-1"
"""Its deltas tell another text than its last events."""


def told(recording: Recording) -> list[dict[str, Any]]:
    """The events of a recorded stream, up to the one that ends the answer."""
    events: list[dict[str, Any]] = []
    for data in frames([recording.body]):
        events.append(loads(data))
        if events[-1]["type"] in _ENDS:
            break
    return events


def bare(response: ChatResponse) -> ChatResponse:
    """`response` without what a stream may tell in other words: its class of service, ids and encrypted reasoning,
    which servers write anew into the whole response."""
    out = same(response)
    out.service_tier = ""
    out.extras.clear()
    for part in out.choices[0].message.parts:
        if part.WhichOneof("kind") == "reasoning":
            part.extras.clear()
    return out


@each(lambda one: is_whole(one) and one.id != _CUT_BY_HAND)
def test_a_stream_folds_to_its_whole_response(recording: Recording) -> None:
    """What the events tell is what the last one repeats."""
    whole, first = answer_of(told(recording)[-1]["response"]), told(recording)[0]["response"]
    whole.model = whole.model or first["model"]
    whole.create_time.seconds = whole.create_time.seconds or int(first["created_at"])
    assert bare(fold(decode(frames([recording.body])))) == bare(whole)


@each_whole
def test_a_stream_survives_the_gateway(recording: Recording) -> None:
    """Written for a client and read by it, a stream folds to the same answer."""
    response = fold(decode(frames([recording.body])))
    again = fold(decode(encode(decode(frames([recording.body])))))
    for name in ("cached_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"):
        setattr(response.usage, name, getattr(response.usage, name))
    parts = zip(response.choices[0].message.parts, again.choices[0].message.parts, strict=True)
    for was, is_ in parts:
        assert loads(was.extras.get("responses", "{}")) == loads(is_.extras.get("responses", "{}"))
    assert bare(again) == bare(response)


@each_whole
def test_openais_own_sdk_accepts_what_is_written(recording: Recording) -> None:
    """Each event is valid, their order is legal, and the SDK puts the same answer together."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    events = encode(decode(frames([recording.body])))
    for number, data in enumerate(events):
        assert loads(data)["sequence_number"] == number
        if loads(data)["type"].startswith("response.apply_patch_call_operation_diff."):
            continue  # what OpenAI itself told, and its SDK has no type for
        state.handle_event(STREAM_EVENT.validate_json(data))
    last = loads(events[-1])
    assert last["type"] in _ENDS
    if last["type"] == "response.completed":
        assert [item.type for item in state._completed_response.output] == [
            item["type"] for item in last["response"]["output"]
        ]
    _check_texts(events)


_OWN = ("response.code_interpreter_", "response.shell_", "response.apply_patch_")
"""How the types of events begin that tell of a provider's own tools."""


def _check_texts(events: list[bytes]) -> None:
    """The deltas of each part add up to what `.done` and the whole response say, and every item ends."""
    said: dict[tuple[Any, ...], str] = {}
    items: dict[int, Any] = {}
    for event in map(loads, events):
        kind = event["type"]
        key = (event.get("output_index"), event.get("content_index", event.get("summary_index")))
        if kind.endswith(".delta") and kind.startswith(_OWN):
            continue
        if kind.endswith(".delta"):
            said[key] = said.get(key, "") + event["delta"]
        elif kind.endswith("text.done"):
            assert said.pop(key, "") == event["text"]
        elif kind.endswith(("arguments.done", "input.done", "refusal.done")):
            assert said.pop(key, "") == event.get("arguments", event.get("input", event.get("refusal")))
        elif kind == "response.output_item.done":
            items[event["output_index"]] = event["item"]
    assert said == {}
    assert [items[place] for place in sorted(items)] == loads(events[-1])["response"]["output"]


_ALIKE = {
    "azure/responses/vercel-ai-azure-reasoning-encrypted-content-1-1": "several answers in one recording",
    "bedrock/openai-responses/ruby-llm-providers-bedrock-mantle-responses-chat-streams-through-the-responses-su": (
        "`reasoning_part` is `content_part` at OpenAI"
    ),
    "openai/responses/vercel-ai-openai-custom-tool-1-1": "a `.done` was cut out of it",
    "openai/responses/vercel-ai-openai-file-search-tool-1-1": "annotations come before the end of their text",
    "openrouter/responses/pydantic-ai-openai-responses-raw-cot-stream-openrouter": "an item is ended twice",
}
"""The recordings whose events are not written as they were -> why."""


@each(lambda one: is_whole(one) and one.id not in _ALIKE)
def test_the_same_events_come_out_as_went_in(recording: Recording) -> None:
    """Event by event, those of the tools that a provider runs among them; of deltas there may be more or fewer."""

    def kinds(told: list[bytes]) -> list[str]:
        return [kind for kind, _ in groupby(loads(data)["type"] for data in told if data.startswith(b"{"))]

    told = frames([recording.body])
    assert kinds(encode(decode(told))) == kinds(told)


def test_calls_that_xai_ran_itself_are_not_the_callers() -> None:
    """They come as calls of custom tools. The item is carried, whole and streamed, and nobody is asked to run it."""
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "xs_call_1", "name": "x_keyword_search"}
    whole = {**item, "input": "{}", "status": "completed"}
    said = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    response = {"id": "r", "object": "response", "status": "completed", "model": "g", "output": [whole, said]}
    told = [
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "input": ""}},
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "item_id": "ctc_1", "delta": "{}"},
        {"type": "response.custom_tool_call_input.done", "output_index": 0, "item_id": "ctc_1", "input": "{}"},
        {"type": "response.output_item.added", "output_index": 1, "item": {**said, "content": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": whole},
        {"type": "response.output_item.done", "output_index": 1, "item": said},
        {"type": "response.completed", "response": response},
    ]
    for answer in (answer_of(response), fold(decode([dumps(event) for event in told]))):
        assert [part.WhichOneof("kind") for part in answer.choices[0].message.parts] == ["opaque", "text"]
        assert answer.choices[0].finish.reason == chat_pb2.FINISH_REASON_STOP
        assert responses.encode_response(answer)["output"][0] == whole


def test_the_progress_of_a_providers_tool_is_carried() -> None:
    """Whatever its events hold, at the place that the item has here, and numbered anew."""
    item = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
    progress = {"type": "response.web_search_call.searching", "item_id": "ws_1", "output_index": 7, "x": {"y": 1}}
    other = {"type": "response.web_search_call.searching", "item_id": "ws_2", "output_index": 9}
    told = [
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 7, "item": item},
        {**progress, "sequence_number": 99},
        other,
        {"type": "response.output_item.done", "output_index": 7, "item": {**item, "status": "completed"}},
        {**progress, "sequence_number": 101},
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}},
    ]
    events = decode([dumps(one) for one in told])
    written = [loads(data) for data in encode(events)]

    assert [one for one in written if one["type"] == progress["type"]] == [
        {**progress, "output_index": 0, "sequence_number": 3}
    ]
    assert fold(events).choices[0].message.parts[0].opaque.json == dumps({**item, "status": "completed"}).decode()


@each_whole
def test_a_stream_reads_the_same_byte_by_byte(recording: Recording) -> None:
    """However the bytes are cut, the events are the same: here at every one."""
    body = recording.body
    assert frames(body[at : at + 1] for at in range(len(body))) == frames([body])


@given(st.data())
def test_a_stream_reads_the_same_in_any_pieces(data: st.DataObject) -> None:
    """However the bytes are cut, the events are the same: here anywhere, any number of times."""
    body = data.draw(st.sampled_from([one for one in cases() if is_whole(one)])).body
    assert frames(pieces(body, data.draw(cuts(len(body))))) == frames([body])


@each_whole
def test_a_stream_that_was_cut_is_no_answer(recording: Recording) -> None:
    """Cut before any event of its own that ends it: an error, never an answer."""
    decoder, grammar = responses.StreamDecoder(), Grammar()
    for data in frames([recording.body]):
        with pytest.raises(GatewayError):
            grammar.end()
        assert decoder.end() == []
        assert not decoder.done
        for event in decoder.feed(data):
            grammar.feed(event)
        if decoder.done:
            break
    grammar.end()


def test_nothing_is_told_before_the_first_item() -> None:
    """A response that fails at once, as overloaded servers let it, can still be asked of another target."""
    decoder = responses.StreamDecoder()
    assert decoder.feed(dumps({"type": "response.created", "response": {"id": "r"}})) == []
    assert decoder.feed(dumps({"type": "response.in_progress", "response": {"id": "r"}})) == []
    item = {"type": "message", "id": "m", "content": []}
    (start,) = decoder.feed(dumps({"type": "response.output_item.added", "output_index": 0, "item": item}))
    assert start.start.id == "r"


@each(lambda one: "mid-stream-error" in one.tags)
def test_a_recorded_error_within_a_stream_is_raised(recording: Recording) -> None:
    """Never an answer."""
    with pytest.raises(GatewayError) as caught:
        decode(frames([recording.body]))
    assert (caught.value.name, caught.value.message) == ("PROVIDER_FAILED", "Foobar")


def failed(code: str) -> dict[str, Any]:
    """The event of a response that failed with `code`."""
    return {"type": "response.failed", "response": {"error": {"code": code, "message": "m"}}}


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"type": "error", "code": "server_error", "message": "m", "param": None}, "PROVIDER_FAILED"),
        ({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "m"}}, "RATE_LIMITED"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, "PROVIDER_UNAVAILABLE"),
        ({"error": {"code": 429, "message": "m"}}, "RATE_LIMITED"),
        (
            {"type": "response.failed", "response": {"error": {"code": "invalid_prompt", "message": "m"}}},
            "CONTENT_FILTERED",
        ),
        (
            {"type": "response.failed", "response": {"error": {"code": "context_length_exceeded", "message": "m"}}},
            "CONTEXT_LENGTH_EXCEEDED",
        ),
        (
            {"type": "response.failed", "response": {"error": {"code": "invalid_image", "message": "m"}}},
            "INVALID_REQUEST",
        ),
    ],
)
def test_an_error_within_a_stream_has_its_reason(event: dict[str, Any], name: str) -> None:
    """By its code, in any of the shapes that servers use."""
    with pytest.raises(GatewayError) as caught:
        responses.StreamDecoder().feed(dumps(event))
    assert (caught.value.name, caught.value.message) == (name, "m")


MESSAGE: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [
        {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "No"},
    ],
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "f",
    "arguments": '{"a":1}',
    "status": "completed",
}
CUSTOM = {"type": "custom_tool_call", "id": "ct_1", "call_id": "c2", "name": "sql", "input": "SELECT 1"}
REASONING: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": text} for text in ("one", "two", "three")],
    "encrypted_content": "gAAA==",
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
OUTPUT = [REASONING, SEARCH, MESSAGE, CALL, CUSTOM]


def stream(*events: dict[str, Any], output: Any = None) -> list[bytes]:
    """A stream around `events`, whose last event repeats `output`."""
    end: dict[str, Any] = {"id": "r", "status": "completed", "model": "m", "output": output or []}
    return [
        dumps({"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress"}}),
        *map(dumps, events),
        dumps({"type": "response.completed", "response": end}),
    ]


def _whole_only() -> list[bytes]:
    return stream(output=OUTPUT)


def _items_only() -> list[bytes]:
    return stream(
        *({"type": "response.output_item.done", "output_index": at, "item": item} for at, item in enumerate(OUTPUT))
    )


def _done_only() -> list[bytes]:
    """Every text is told by `.done` events alone, and then again and again."""
    at = {"output_index": 0, "item_id": "rs_1"}
    events: list[dict[str, Any]] = [{"type": "response.output_item.added", **at, "item": {**REASONING, "summary": []}}]
    for number, piece in enumerate(REASONING["summary"]):
        where = {**at, "summary_index": number}
        events.append({"type": "response.reasoning_summary_text.done", **where, "text": piece["text"]})
        events.append({"type": "response.reasoning_summary_part.done", **where, "part": piece})
    events.append({"type": "response.output_item.done", **at, "item": REASONING})
    events.append(
        {"type": "response.output_item.added", "output_index": 1, "item": {**SEARCH, "status": "in_progress"}}
    )
    events.append({"type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws_1"})
    events.append({"type": "response.output_item.done", "output_index": 1, "item": SEARCH})
    at = {"output_index": 2, "item_id": "msg_1"}
    events.append(
        {"type": "response.output_item.added", **at, "item": {**MESSAGE, "status": "in_progress", "content": []}}
    )
    for number, (kind, key) in enumerate((("output_text", "text"), ("refusal", "refusal"))):
        where = {**at, "content_index": number}
        part = MESSAGE["content"][number]
        events.append({"type": "response.content_part.added", **where, "part": {"type": kind, key: ""}})
        events.append({"type": f"response.{kind}.done", **where, key: part[key]})
        events.append({"type": "response.content_part.done", **where, "part": part})
    events.append({"type": "response.output_item.done", **at, "item": MESSAGE})
    events.append({"type": "response.output_item.added", "output_index": 3, "item": {**CALL, "arguments": ""}})
    done = {"output_index": 3, "item_id": "fc_1", "arguments": CALL["arguments"]}
    events.append({"type": "response.function_call_arguments.done", **done})
    events.append({"type": "response.output_item.done", "output_index": 3, "item": CALL})
    events.append({"type": "response.output_item.added", "output_index": 4, "item": {**CUSTOM, "input": ""}})
    done = {"output_index": 4, "item_id": "ct_1", "input": CUSTOM["input"]}
    events.append({"type": "response.custom_tool_call_input.done", **done})
    events.append({"type": "response.output_item.done", "output_index": 4, "item": CUSTOM})
    return stream(*events, output=OUTPUT)


def _deltas() -> list[bytes]:
    """Deltas first, then all the rest; items without their end, and text without its beginning."""
    events: list[dict[str, Any]] = []
    for number, piece in enumerate(("one", "two", "three")):
        where = {"output_index": 0, "item_id": "rs_1", "summary_index": number}
        events += [
            {"type": "response.reasoning_summary_text.delta", **where, "delta": text} for text in (piece[0], piece[1:])
        ]
    at = {"output_index": 2, "item_id": "msg_1"}
    begun = {"type": "response.output_item.added", "output_index": 1, "item": SEARCH}
    events.append(begun)
    events.append({"type": "response.output_text.delta", **at, "content_index": 5, "delta": "Hel"})
    events.append({"type": "response.output_text.delta", **at, "content_index": 5, "delta": "lo"})
    events.append({"type": "response.refusal.delta", **at, "content_index": 6, "delta": "No"})
    events.append({"type": "response.output_item.added", "output_index": 3, "item": {**CALL, "arguments": ""}})
    events.append({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": '{"a"'})
    events.append({"type": "response.function_call_arguments.delta", "output_index": 3, "delta": ":1}"})
    events.append({"type": "response.output_item.added", "output_index": 4, "item": {**CUSTOM, "input": ""}})
    events.append({"type": "response.custom_tool_call_input.delta", "output_index": 4, "delta": "SELECT 1"})
    return stream(*events, output=OUTPUT)


@pytest.mark.parametrize("events", [_whole_only(), _items_only(), _done_only(), _deltas()])
def test_no_text_is_lost_or_told_twice(events: list[bytes]) -> None:
    """Whichever of the events a server sends, the answer is the same."""
    response = fold(decode(events))
    assert same(response).choices == same(answer_of({"id": "r", "status": "completed", "output": OUTPUT})).choices
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS


def test_done_tells_what_the_deltas_left_out() -> None:
    """A lost end of a text is made good; a text that cannot be unsaid stays."""
    where = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    delta = {"type": "response.output_text.delta", **where, "delta": "Hel"}
    done = {"type": "response.output_text.done", **where, "text": "Hello"}
    assert fold(decode(stream(delta, done))).choices[0].message.parts[0].text == "Hello"
    done["text"] = "Hola"
    assert fold(decode(stream(delta, done))).choices[0].message.parts[0].text == "Hel"


def test_annotations_that_only_their_events_tell() -> None:
    """A server may leave them out of the item."""
    where = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    annotation = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    events = stream(
        {"type": "response.output_text.delta", **where, "delta": "Hi"},
        {"type": "response.output_text.annotation.added", **where, "annotation_index": 0, "annotation": annotation},
    )
    (part,) = fold(decode(events)).choices[0].message.parts
    assert [citation.uri for citation in part.citations] == ["u"]
    written = [loads(data) for data in encode(decode(events))]
    assert [event["annotation"] for event in written if "annotation" in event] == [annotation]


def test_log_probabilities_of_a_stream() -> None:
    """Token by token, to the client, too."""
    where = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    events = stream({"type": "response.output_text.delta", **where, "delta": "Hi", "logprobs": [token]})
    (part,) = fold(decode(events)).choices[0].message.parts
    assert [(one.token, one.logprob) for one in part.logprobs] == [("Hi", -0.5)]
    written = [loads(data) for data in encode(decode(events))]
    assert [event["logprobs"] for event in written if event["type"].endswith("text.delta")] == [[token]]
    assert written[-1]["response"]["output"][0]["content"][0]["logprobs"] == [token]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.something.new", "x": 1},
        {"type": "response.image_generation_call.partial_image", "partial_image_b64": "AAAA"},
        {"type": "response.output_text.delta"},
        {"type": "response.output_text.delta", "output_index": 0, "delta": 3},
        {"type": "response.output_item.added"},
        {"type": "response.output_item.added", "item": {"type": 3}},
        {"type": "response.output_item.done", "item": None},
        {"type": "response.content_part.added", "part": {"type": "output_audio"}},
        {"type": "response.function_call_arguments.delta", "delta": "x"},
        {"type": "response.reasoning_summary_text.delta"},
        {"type": "response.output_text.annotation.added", "annotation": {}},
        {"type": ["response.completed"]},
        {},
    ],
    ids=str,
)
def test_odd_events_are_survived(event: dict[str, Any]) -> None:
    """What is unknown or damaged is passed over; the answer is whole all the same."""
    where = {"output_index": 7, "content_index": 0, "item_id": "msg_1"}
    events = stream(event, {"type": "response.output_text.delta", **where, "delta": "Hi"})
    assert "Hi" in [part.text for part in fold(decode(events)).choices[0].message.parts]


def test_padding_is_dropped() -> None:
    """`obfuscation` hides the length of an event."""
    where = {"output_index": 7, "content_index": 0, "item_id": "msg_1"}
    padded = {"type": "response.output_text.delta", **where, "delta": "Hi", "obfuscation": "xyz"}
    answer = fold(decode(stream(padded)))
    assert "Hi" in str(answer)
    assert "obfuscation" not in str(answer)
    assert not any(b"obfuscation" in data for data in encode(decode(stream(padded))))


def test_what_follows_the_end_is_not_read() -> None:
    """`[DONE]`, as OpenRouter sends it, and anything else."""
    decoder = responses.StreamDecoder()
    assert decoder.feed(_DONE) == []
    for data in stream():
        decoder.feed(data)
    assert decoder.done
    for data in (_DONE, b"{", *stream(output=OUTPUT), dumps(failed("server_error"))):
        assert decoder.feed(data) == []


def test_an_event_that_is_no_object_is_the_providers_fault() -> None:
    """As is one that is no JSON."""
    for data in (b"[1]", b"{"):
        with pytest.raises(GatewayError):
            responses.StreamDecoder().feed(data)


def test_an_error_is_told_to_the_client_by_two_events() -> None:
    """One that OpenAI's SDK raises, and the end of the response for clients that look for it."""
    encoder = responses.StreamEncoder(request_of(b'{"model":"m","input":"a"}'))
    for event in decode(stream({"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}))[:2]:
        encoder.feed(event)
    error = provider_failed("It broke.")
    error.reason = errors_pb2.ERROR_REASON_RATE_LIMITED
    (first, one), (second, other) = encoder.error(error)
    assert (first, second) == ("error", "response.failed")
    assert loads(one)["error"]["code"] == loads(one)["code"] == "rate_limit_exceeded"
    assert loads(other)["response"]["status"] == "failed"
    assert loads(other)["sequence_number"] == loads(one)["sequence_number"] + 1
    for data in (one, other):
        with pytest.raises(GatewayError) as caught:
            responses.StreamDecoder().feed(data)
        assert caught.value.name == "RATE_LIMITED"
    STREAM_EVENT.validate_json(one)
