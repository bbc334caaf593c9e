"""Streams: in whichever framing, cut anywhere, folded, written again, and accepted by Google's own types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dialects.gemini.cases import (
    ANSWERS,
    BROKEN,
    EMPTY,
    STREAMS,
    answer,
    each,
    framed,
    is_whole,
    load,
    read_answer,
    read_chunks,
    read_stream,
    whole,
    write_stream,
)
from dialects.gemini.test_answers import is_valid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire.recordings import Recording, recording

from trunkline.core.fold import unfold
from trunkline.dialects import gemini
from trunkline.dialects.wire import dumps
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, Usage
from trunkline.v1.content_pb2 import Part, Reasoning


@each(STREAMS)
def test_stream_is_whole(recording: Recording) -> None:
    """Every recorded stream is a legal sequence of events that ends each of its choices."""
    response = whole(read_stream(recording.body))
    assert all(choice.finish.native_reason for choice in response.choices)


@pytest.mark.parametrize("case", BROKEN)
def test_broken_stream_is_not_whole(case: str) -> None:
    """What is no whole answer is not taken for one."""
    assert not is_whole(read_stream(recording(case).body))


@each(STREAMS)
def test_framing_does_not_matter(recording: Recording) -> None:
    """A stream says the same by single bytes, in odd pieces, as events and as one JSON array."""
    events = read_stream(recording.body)
    for size in (1, 7, 4096):
        pieces = [recording.body[at : at + size] for at in range(0, len(recording.body), size)]
        assert read_stream(recording.body, lambda _, pieces=pieces: pieces) == events
    chunks = [one.data for one in read_all(recording.body)]
    assert read_stream(framed(chunks)) == events
    assert read_stream(b"[" + b",\r\n".join(chunks) + b"]\r\n") == events
    assert read_stream(framed(chunks).replace(b"\r\n", b"\n")) == events


def read_all(body: bytes) -> list[Any]:
    """The chunks of a stream."""
    reader = gemini.Reader()
    return reader.feed(body) + reader.end()


@each([one for one in STREAMS if len(one.body) < 20000])
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_split(recording: Recording, data: st.DataObject) -> None:
    """However the bytes are cut, the events are the same."""
    body = recording.body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[first:last] for first, last in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read_stream(body, lambda _: pieces) == read_stream(body)


@each(STREAMS)
def test_a_cut_is_never_whole(recording: Recording) -> None:
    """Up to the chunk with the first finish reason, no number of whole chunks makes a whole answer."""
    chunks = [one.data for one in read_all(recording.body)]
    last = next(
        index
        for index, chunk in enumerate(chunks)
        if any("finishReason" in one for one in load(chunk).get("candidates", [])) or b"blockReason" in chunk
    )
    for count in range(last + 1):
        assert not is_whole(read_stream(framed(chunks[:count])))


def texts_merged(response: ChatResponse) -> ChatResponse:
    """The answer with texts and thoughts that nothing parts as one, as a stream tells them."""
    merged = ChatResponse()
    merged.CopyFrom(response)
    for choice in merged.choices:
        parts = list(choice.message.parts)
        del choice.message.parts[:]
        for part in parts:
            last = choice.message.parts[-1] if choice.message.parts else Part()
            if kind(part) == kind(last) == "text":
                last.text += part.text
            elif kind(part) == kind(last) == "reasoning":
                last.reasoning.text += part.reasoning.text
            else:
                choice.message.parts.append(part)
    return merged


def plain(response: ChatResponse) -> Any:
    """An answer as plain Python: the order of the keys in what is kept as JSON does not matter."""
    merged = texts_merged(response)
    kept = [merged.extras, merged.usage.extras, *(choice.extras for choice in merged.choices)]
    extras = [{name: json.loads(text) for name, text in one.items()} for one in kept]
    for one in kept:
        one.clear()
    return merged, extras


def kind(part: Part) -> str:
    """The kind of a part that another may go on with; empty where none may."""
    found = part.WhichOneof("kind") or ""
    own = dict(part.extras) in ({}, {"gemini": '{"thought":true}'})
    return found if own and found in ("text", "reasoning") else ""


@each([one for one in ANSWERS if one.id not in EMPTY])
def test_one_chunk_is_the_whole_answer(recording: Recording) -> None:
    """An answer that comes as the only chunk of a stream is the same answer: the fold is the unary response."""
    wire = load(recording.body)
    unary = read_answer(wire)
    if not all(choice.HasField("finish") for choice in unary.choices):
        assert not is_whole(read_chunks([wire]))
    else:
        assert plain(whole(read_chunks([wire]))) == plain(unary)


@each(STREAMS)
def test_written_stream_folds_back(recording: Recording) -> None:
    """What is written of a stream is read as the same answer, and valid by the SDK's model where the recording is."""
    events = read_stream(recording.body)
    chunks = write_stream(events)
    assert plain(whole(read_stream(framed(chunks)))) == plain(whole(events))
    if all(is_valid(load(one.data)) for one in read_all(recording.body)):
        assert all(is_valid(load(chunk)) for chunk in chunks)


@each([one for one in ANSWERS if one.id not in EMPTY])
def test_unfolded_answer_is_written_whole(recording: Recording) -> None:
    """Any answer can be streamed to a client, who puts the same together."""
    unary = read_answer(load(recording.body))
    if all(choice.HasField("finish") for choice in unary.choices):
        written = framed(write_stream(unfold(unary)))
        assert plain(whole(read_stream(written))) == plain(unary)


def test_finish_in_an_early_chunk() -> None:
    """Google also writes `STOP` before the last chunk: the last reason counts, and what follows it is not lost."""
    response = whole(
        read_chunks([answer({"text": "a"}), answer({"text": "b"}), {"candidates": [{"finishReason": "RECITATION"}]}])
    )
    assert response.choices[0].message.parts[0].text == "ab"
    assert response.choices[0].finish.native_reason == "RECITATION"


def piece(*parts: Any, **more: Any) -> dict[str, Any]:
    """A chunk that is not the last."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, **more}
    return {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-3-flash"}


END = answer()


def parts_of(*chunks: Any) -> list[Part]:
    """The parts of a streamed answer."""
    return list(whole(read_chunks([*chunks, END])).choices[0].message.parts)


def test_texts_go_on_until_another_kind() -> None:
    """Successive texts are one part, and so are successive thoughts; an empty text is nothing."""
    parts = parts_of(
        piece({"text": "I ", "thought": True}, {"text": "think.", "thought": True}),
        piece({"text": ""}),
        piece({"text": "Hel"}),
        piece({"text": "lo"}),
        piece({"text": "Hm.", "thought": True}),
    )
    thought = {"gemini": '{"thought":true}'}
    assert parts == [
        Part(reasoning=Reasoning(text="I think."), extras=thought),
        Part(text="Hello"),
        Part(reasoning=Reasoning(text="Hm."), extras=thought),
    ]


def test_signatures_keep_their_place() -> None:
    """A text with a signature stands alone, also where it is empty: Google must not see it joined to another."""
    signature = {"gemini": '{"thoughtSignature":"c2ln"}'}
    assert parts_of(
        piece({"text": "a"}),
        piece({"text": "b", "thoughtSignature": "c2ln"}),
        piece({"text": "c"}),
        piece({"text": "", "thoughtSignature": "c2ln"}),
    ) == [Part(text="a"), Part(text="b", extras=signature), Part(text="c"), Part(text="", extras=signature)]


def test_whole_calls() -> None:
    """A call comes in one chunk, with its signature, with or without arguments and id."""
    first, second = parts_of(
        piece({"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"}),
        piece({"functionCall": {"id": "x", "name": "g", "args": {"a": 1}}}),
    )
    assert (first.tool_call.name, first.tool_call.arguments_json) == ("f", "{}")
    assert first.extras["gemini"] == '{"thoughtSignature":"c2ln"}'
    assert (second.tool_call.id, second.tool_call.arguments_json) == ("x", '{"a":1}')
    response = whole(read_chunks([piece({"functionCall": {"name": "f"}}), END]))
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS


def call(name: str = "", *pieces: Any, goes_on: bool = True) -> dict[str, Any]:
    """A piece of a call."""
    fields: dict[str, Any] = {"name": name} if name else {}
    if pieces:
        fields["partialArgs"] = list(pieces)
    if goes_on:
        fields["willContinue"] = True
    return {"functionCall": fields}


def arg(path: str, value: Any = None, *, goes_on: bool = False) -> dict[str, Any]:
    """A piece of an argument."""
    names = {str: "stringValue", int: "numberValue", float: "numberValue", bool: "boolValue", type(None): "nullValue"}
    fields = {"jsonPath": path, names[type(value)]: "NULL_VALUE" if value is None else value}
    return {**fields, "willContinue": True} if goes_on else fields


def test_streamed_arguments() -> None:
    """Vertex AI writes arguments by their paths, and an empty call where they end."""
    parts = parts_of(
        piece(call("f") | {"thoughtSignature": "c2ln"}),
        piece(call("", arg("$.items[0].name", "app", goes_on=True))),
        piece(call("", arg("$.items[0].name", "le", goes_on=True))),
        piece(call("", arg("$.items[0].name", ""))),
        piece(call("", arg("$.items[0].price", 0.5), arg("$.items[0].count", 3.0))),
        piece(call("", arg("$.items[1]['odd.name']", True), arg("$.nothing"))),
        piece({"functionCall": {}}),
    )
    assert len(parts) == 1
    assert json.loads(parts[0].tool_call.arguments_json) == {
        "items": [{"name": "apple", "price": 0.5, "count": 3}, {"odd.name": True}],
        "nothing": None,
    }
    assert parts[0].extras["gemini"] == '{"thoughtSignature":"c2ln"}'


def test_streamed_calls_that_nobody_ends() -> None:
    """A new call, another part or the end of the stream ends a call whose empty end is missing."""
    parts = parts_of(
        piece(call("f", arg("$.x", "a"))),
        piece(call("g", arg("$.x", "b"))),
        piece({"text": "Hi"}),
        piece(call("h", arg("$.x", "c"))),
    )
    found = [(part.tool_call.name, part.tool_call.arguments_json) for part in parts if not part.text]
    assert found == [("f", '{"x":"a"}'), ("g", '{"x":"b"}'), ("h", '{"x":"c"}')]
    assert len({part.tool_call.id for part in parts}) == 4


@pytest.mark.parametrize(
    "path", ["x", "$", "$.a[9]", "$.a[1].b", "$..a", "$[0]", "$.a[", "$.a[99999999999]", "$" + ".a" * 100]
)
def test_paths_that_make_no_sense(path: str) -> None:
    """A path that fits nothing is passed over; it costs neither memory nor the call."""
    parts = parts_of(piece(call("f", arg("$.ok", 1), arg(path, "x"), "junk", {})), piece({"functionCall": {}}))
    assert json.loads(parts[0].tool_call.arguments_json)["ok"] == 1


def usages(*chunks: Any) -> list[Usage]:
    """What the events of a stream tell of usage."""
    return [event.usage for event in read_chunks(chunks) if event.WhichOneof("event") == "usage"]


def test_usage_in_most_chunks() -> None:
    """Each chunk tells the totals so far, once; a count that is missing beside the total is zero."""
    first = {"promptTokenCount": 9, "candidatesTokenCount": 15, "thoughtsTokenCount": 78, "totalTokenCount": 102}
    last = {"promptTokenCount": 87, "thoughtsTokenCount": 78, "totalTokenCount": 165}
    found = usages(*({**END, "usageMetadata": usage} for usage in (first, first, last)))
    assert found == [
        Usage(input_tokens=9, output_tokens=93, reasoning_output_tokens=78),
        Usage(input_tokens=87, output_tokens=78, reasoning_output_tokens=78),
    ]


def test_usage_in_pieces() -> None:
    """Chunks without a total add to what is known."""
    found = usages(
        *({**END, "usageMetadata": usage} for usage in ({"promptTokenCount": 9}, {"candidatesTokenCount": 5}))
    )
    assert found[-1] == Usage(input_tokens=9, output_tokens=5)


def test_blocked_prompt() -> None:
    """A prompt that is blocked ends one empty choice by CONTENT_FILTER; ratings alone end nothing."""
    response = whole(read_chunks([{"promptFeedback": {"blockReason": "SAFETY"}}]))
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_CONTENT_FILTER
    assert response.choices[0].finish.native_reason == "SAFETY"
    assert not is_whole(read_chunks([{"promptFeedback": {"safetyRatings": []}}]))


def test_every_candidate_must_end() -> None:
    """A stream is whole when each of its candidates has ended."""
    first, second = END["candidates"][0], {**END["candidates"][0], "index": 1}
    begun = {"candidates": [{"content": {"parts": [{"text": str(n)}]}, "index": n} for n in (0, 1)]}
    assert not is_whole(read_chunks([begun, {"candidates": [first]}]))
    response = whole(read_chunks([begun, {"candidates": [first]}, {"candidates": [second]}]))
    assert [choice.message.parts[0].text for choice in response.choices] == ["0", "1"]


def test_what_later_chunks_tell() -> None:
    """What a candidate and the answer tell beside the parts is kept, the latest of each."""
    chunks = [
        {**piece({"text": "a"}, safetyRatings=[1], groundingMetadata={}), "promptFeedback": {"safetyRatings": [2]}},
        {**answer({"text": "b"}, safetyRatings=[3], finishMessage="Done."), "modelStatus": "legacy"},
    ]
    response = whole(read_chunks(chunks))
    extras = json.loads(response.choices[0].extras["gemini"])
    assert extras == {"safetyRatings": [3], "groundingMetadata": {}, "finishMessage": "Done."}
    extras = json.loads(response.extras["gemini"])
    assert extras == {"promptFeedback": {"safetyRatings": [2]}, "modelStatus": "legacy"}


GROUNDING = {
    "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
    "groundingSupports": [{"segment": {"endIndex": 5, "text": "Hello"}, "groundingChunkIndices": [0]}],
}


@pytest.mark.parametrize("tail", [[], [{"text": "", "thoughtSignature": "c2ln"}]])
def test_grounding_at_the_end(tail: list[Any]) -> None:
    """Sources come with the last chunk and count from the first: they are told with the end of their text."""
    last = answer({"text": "lo."}, *tail, groundingMetadata=GROUNDING)
    response = whole(read_chunks([piece({"text": "Hel"}), last, last]))
    citations = response.choices[0].message.parts[0].citations
    assert [(one.uri, one.start_index, one.end_index) for one in citations] == [("https://a", 0, 5)]


def test_grounding_that_comes_too_late() -> None:
    """Sources of a text that has ended are told all the same, with an empty text of their own."""
    chunks = [piece({"text": "Hello"}), piece({"functionCall": {"name": "f"}}), answer(groundingMetadata=GROUNDING)]
    parts = whole(read_chunks(chunks)).choices[0].message.parts
    assert [part.WhichOneof("kind") for part in parts] == ["text", "tool_call", "text"]
    assert [(one.uri, one.HasField("end_index")) for one in parts[2].citations] == [("https://a", False)]


def test_logprobs_go_with_their_texts() -> None:
    """Log probabilities come with the text of the same chunk."""
    chosen = [{"chosenCandidates": [{"token": text, "logProbability": -1}]} for text in "ab"]
    chunks = [piece({"text": text}, logprobsResult=result) for text, result in zip("ab", chosen, strict=True)]
    assert [item.token for item in parts_of(*chunks)[0].logprobs] == ["a", "b"]


ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "tail",
    [
        framed([dumps(ERROR)]),
        dumps(ERROR),
        json.dumps(ERROR, indent=2).replace("\n", "\r\n").encode(),
        json.dumps([ERROR], indent=2).encode(),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 4096])
def test_error_in_a_stream(tail: bytes, size: int) -> None:
    """An error ends a stream as an event, as bare JSON behind the events, and in an array, however it is cut."""
    body = framed([dumps(piece({"text": "a"}))]) + tail
    with pytest.raises(GatewayError) as caught:
        read_stream(body, lambda body: [body[at : at + size] for at in range(0, len(body), size)])
    assert caught.value.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
    assert (caught.value.message, caught.value.provider_status) == ("The model is overloaded.", 503)


def test_error_in_an_array() -> None:
    """An array of chunks may end in an error, too."""
    with pytest.raises(GatewayError):
        read_stream(b"[" + dumps(piece({"text": "a"})) + b",\n" + dumps(ERROR) + b"]")


def test_braces_in_texts_do_not_end_chunks() -> None:
    """In an array, brackets and quotes within texts are text, also where a piece ends behind a backslash."""
    text = 'a "quoted\\" } ] [ { \\ text'
    body = b"[" + dumps(answer({"text": text})) + b"]"
    for size in range(1, 12):
        events = read_stream(body, lambda body, size=size: [body[at : at + size] for at in range(0, len(body), size)])
        assert whole(events).choices[0].message.parts[0].text == text


def test_done_is_taken_for_the_end() -> None:
    """Google sends no `[DONE]`; servers that do mean nothing else by it, and it makes no answer whole."""
    decoder = gemini.StreamDecoder()
    decoder.feed(dumps(piece({"text": "a"})))
    decoder.feed(b"[DONE]")
    assert decoder.done
    assert not any(event.WhichOneof("event") == "choice_end" for event in decoder.end())


@pytest.mark.parametrize("data", [b"1", b'"x"', b"[1]", b"{", b"null"])
def test_what_is_no_chunk(data: bytes) -> None:
    """What is no chunk is the provider's fault."""
    with pytest.raises(GatewayError):
        gemini.StreamDecoder().feed(data)


def words(events: list[ChatEvent]) -> Iterator[str]:
    """The texts of the deltas."""
    return (event.part_delta.text for event in events if event.WhichOneof("event") == "part_delta")


def test_texts_are_told_as_they_come() -> None:
    """Nothing is held back: each chunk of a text is a delta, and each delta a chunk."""
    events = read_chunks([piece({"text": text}) for text in "abc"] + [END])
    assert list(words(events)) == ["a", "b", "c"]
    assert len(write_stream(events)) == 4
