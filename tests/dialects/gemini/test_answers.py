"""Whole answers: read, written, and accepted by Google's own types."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.gemini.cases import ANSWERS, EMPTY, answer, each, load, read_answer, write_answer
from dialects.gemini.equivalent import canonical_answer
from google.genai import types
from pydantic import ValidationError
from wire.recordings import Recording, recording

from trunkline.dialects.gemini.carry import unpack
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Finish, Usage
from trunkline.v1.content_pb2 import Citation, Part, Reasoning, TokenLogprob, ToolCall

TRIMMED = {"vertex/generateContent/firebase-unary-success-citations": "a text shorter than what its citations point at"}
"""Answers that do not come back whole, and why."""


def is_valid(wire: Any) -> bool:
    """Whether the SDK's model takes an answer. It refuses some fixtures, whose enumerations are numbers or made up."""
    try:
        types.GenerateContentResponse.model_validate(wire)
    except (ValidationError, AttributeError, UserWarning):
        return False
    return True


@each([one for one in ANSWERS if one.id not in TRIMMED])
def test_answer_is_lossless_on_the_wire(recording: Recording) -> None:
    """Reading and writing a recorded answer gives it back, up to the listed equivalences."""
    wire = load(recording.body)
    assert canonical_answer(write_answer(read_answer(wire))) == canonical_answer(wire)


@each([one for one in ANSWERS if is_valid(load(one.body))])
def test_written_answer_is_valid_for_the_sdk(recording: Recording) -> None:
    """What is written of an answer is valid by the SDK's model wherever the recording itself is."""
    assert is_valid(write_answer(read_answer(load(recording.body))))


@pytest.mark.parametrize("case", EMPTY)
def test_no_answer(case: str) -> None:
    """What holds no candidate gives no choice, which the core takes for an error."""
    assert not read_answer(load(recording(case).body)).choices


@pytest.mark.parametrize(
    ("word", "native", "reason"),
    [
        ("STOP", "STOP", chat_pb2.FINISH_REASON_STOP),
        ("MAX_TOKENS", "MAX_TOKENS", chat_pb2.FINISH_REASON_LENGTH),
        *((word, word, chat_pb2.FINISH_REASON_CONTENT_FILTER) for word in ("SAFETY", "RECITATION", "BLOCKLIST")),
        *((word, word, chat_pb2.FINISH_REASON_CONTENT_FILTER) for word in ("PROHIBITED_CONTENT", "SPII")),
        *((word, word, chat_pb2.FINISH_REASON_CONTENT_FILTER) for word in ("IMAGE_SAFETY", "MODEL_ARMOR")),
        *((word, word, chat_pb2.FINISH_REASON_OTHER) for word in ("LANGUAGE", "OTHER", "MALFORMED_FUNCTION_CALL")),
        *((word, word, chat_pb2.FINISH_REASON_OTHER) for word in ("UNEXPECTED_TOOL_CALL", "NO_IMAGE")),
        (1, "STOP", chat_pb2.FINISH_REASON_STOP),
        (2, "MAX_TOKENS", chat_pb2.FINISH_REASON_LENGTH),
        (3, "SAFETY", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        (8, "8", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        (99, "99", chat_pb2.FINISH_REASON_OTHER),
    ],
)
def test_finish_reasons(word: str | int, native: str, reason: int) -> None:
    """Each `finishReason`, a word or a number, has its reason, keeps its own word, and comes back where it has one."""
    read = read_answer(answer({"text": "Hi"}, finishReason=word))
    assert (read.choices[0].finish.reason, read.choices[0].finish.native_reason) == (reason, native)
    if not native.isdecimal():
        assert write_answer(read)["candidates"][0]["finishReason"] == native


def test_calls_end_a_turn() -> None:
    """Gemini says `STOP` where it calls functions: the caller is told that results are awaited."""
    read = read_answer(answer({"functionCall": {"name": "f"}}))
    assert read.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert read.choices[0].message.parts[0].tool_call.arguments_json == "{}"
    assert write_answer(read)["candidates"][0]["finishReason"] == "STOP"


def test_calls_without_ids_are_named_for_good() -> None:
    """Calls without an id get one each, the same each time, that clients of Gemini do not see; others keep theirs."""
    call = {"functionCall": {"name": "f", "args": {"x": 1}}}
    wire = answer(call, call, {"functionCall": {"id": "own", "name": "f", "args": {}}})
    ids = [part.tool_call.id for part in read_answer(wire).choices[0].message.parts]
    assert ids == [part.tool_call.id for part in read_answer(wire).choices[0].message.parts]
    assert (len(set(ids)), ids[2]) == (3, "own")
    assert write_answer(read_answer(wire)) == wire


@pytest.mark.parametrize(
    ("feedback", "native"),
    [
        ({"blockReason": "PROHIBITED_CONTENT"}, "PROHIBITED_CONTENT"),
        ({"blockReason": "MODEL_ARMOR", "blockReasonMessage": "Injection."}, "MODEL_ARMOR"),
        ({"blockReasonMessage": "No."}, "BLOCKED_REASON_UNSPECIFIED"),
    ],
)
def test_blocked_prompt_is_an_answer_that_was_withheld(feedback: dict[str, Any], native: str) -> None:
    """A blocked prompt ends one empty choice by CONTENT_FILTER, and comes back as Google tells it."""
    wire = {"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}
    read = read_answer(wire)
    assert [choice.finish for choice in read.choices] == [
        Finish(reason=chat_pb2.FINISH_REASON_CONTENT_FILTER, native_reason=native)
    ]
    assert read.usage.input_tokens == 3
    assert write_answer(read) == {"candidates": [], **wire}


def test_ratings_alone_block_nothing() -> None:
    """A `promptFeedback` without a reason beside no candidate is no answer."""
    assert not read_answer({"promptFeedback": {"safetyRatings": []}}).choices


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
            Usage(input_tokens=10, output_tokens=5),
        ),
        (
            {
                "promptTokenCount": 10,
                "toolUsePromptTokenCount": 100,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 50,
                "cachedContentTokenCount": 8,
                "totalTokenCount": 165,
            },
            Usage(
                input_tokens=110,
                output_tokens=55,
                reasoning_output_tokens=50,
                cached_input_tokens=8,
                extras={"gemini": '{"toolUsePromptTokenCount":100}'},
            ),
        ),
        (
            {"promptTokenCount": 10, "thoughtsTokenCount": 50, "totalTokenCount": 60},
            Usage(input_tokens=10, output_tokens=50, reasoning_output_tokens=50),
        ),
        ({"promptTokenCount": 10, "thoughtsTokenCount": None}, Usage(input_tokens=10)),
        ({"trafficType": "ON_DEMAND"}, Usage(extras={"gemini": '{"trafficType":"ON_DEMAND"}'})),
    ],
)
def test_usage(wire: dict[str, Any], usage: Usage) -> None:
    """Tokens of Google's own tools are input and thoughts are output, each counted once; unknown is not zero."""
    assert read_answer({**answer(), "usageMetadata": wire}).usage == usage


def test_service_tier() -> None:
    """The class of service that answered is told."""
    wire = {**answer({"text": "Hi"}), "usageMetadata": {"promptTokenCount": 1, "serviceTier": "flex"}}
    read = read_answer(wire)
    assert read.service_tier == "flex"
    assert write_answer(read)["usageMetadata"]["serviceTier"] == "flex"


def test_head() -> None:
    """The id, the model and the time are those of the contract; a time of another form stays as it is."""
    read = read_answer({**answer(), "createTime": "2026-05-27T16:53:45.443719Z"})
    assert (read.id, read.model, read.create_time.seconds) == ("r1", "gemini-3-flash", 1779900825)
    odd = {**answer(), "createTime": "2026-13-27T16:53:45Z"}
    assert write_answer(read_answer(odd))["createTime"] == odd["createTime"]


def test_thoughts_are_reasoning() -> None:
    """A text that is a thought is reasoning, with its signature."""
    wire = answer({"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"}, {"text": "Hi"})
    parts = read_answer(wire).choices[0].message.parts
    assert parts[0].reasoning == Reasoning(text="Hm.")
    assert parts[1] == Part(text="Hi")
    assert write_answer(read_answer(wire)) == wire


def test_signature_alone_belongs_to_an_empty_text() -> None:
    """A part with nothing but a signature is kept, and written with the empty text that Google itself writes."""
    read = read_answer(answer({"text": "Hi"}, {"thoughtSignature": "c2ln"}, {"text": ""}, {}))
    written = write_answer(read)["candidates"][0]["content"]["parts"]
    assert written == [{"text": "Hi"}, {"text": "", "thoughtSignature": "c2ln"}]


def test_image_output() -> None:
    """An image is a medium whose base64 stays as it is."""
    wire = answer({"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thoughtSignature": "c2ln"})
    read = read_answer(wire)
    assert read.choices[0].message.parts[0].media.uri == "data:image/png;base64,aGk="
    assert write_answer(read) == wire


def test_logprobs() -> None:
    """The chosen tokens are those of the text, each with the likeliest beside it."""
    result = {
        "chosenCandidates": [{"token": "Hi", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "Ho", "logProbability": -1.5}]}],
    }
    wire = answer({"text": "Hi"}, logprobsResult=result)
    read = read_answer(wire)
    assert list(read.choices[0].message.parts[0].logprobs) == [
        TokenLogprob(token="Hi", logprob=-0.5, top=[TokenLogprob(token="Ho", logprob=-1.5)])
    ]
    assert write_answer(read) == wire


def test_grounding_is_cited() -> None:
    """What Google searched is cited at the words that rest on it, in characters though Google counts bytes, and is kept
    whole for clients of Gemini."""
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}, {"web": {"uri": "https://b"}}],
        "groundingSupports": [
            {"segment": {"endIndex": 8, "text": "Zürich."}, "groundingChunkIndices": [0, 7]},
            {"segment": {"startIndex": 9, "endIndex": 14, "text": "Warm."}, "groundingChunkIndices": [0, 1]},
        ],
        "webSearchQueries": ["zürich"],
    }
    wire = answer({"text": "Zürich. Warm."}, groundingMetadata=grounding)
    read = read_answer(wire)
    found = [(one.uri, one.title, one.start_index, one.end_index) for one in read.choices[0].message.parts[0].citations]
    assert found == [("https://a", "A", 0, 7), ("https://a", "A", 8, 13), ("https://b", "", 8, 13)]
    assert write_answer(read) == wire


def test_grounding_in_the_second_text() -> None:
    """A segment is looked for in the part that holds its words."""
    grounding = {
        "groundingChunks": [{"retrievedContext": {"uri": "gs://a", "title": "A", "text": "the source"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 2, "endIndex": 5, "text": "cde"}, "groundingChunkIndices": [0]}
        ],
    }
    wire = answer({"text": "xxxxx"}, {"text": "abcde"}, groundingMetadata=grounding)
    first, second = read_answer(wire).choices[0].message.parts
    assert not first.citations
    citation = second.citations[0]
    assert (citation.start_index, citation.end_index, citation.cited_text) == (2, 5, "the source")


def test_sources_without_words() -> None:
    """Sources that no words are tied to are cited for the last text as a whole."""
    grounding = {"groundingChunks": [{"maps": {"uri": "https://maps", "title": "A place"}}, {"new": {}}, 1]}
    part = read_answer(answer({"text": "Hi"}, groundingMetadata=grounding)).choices[0].message.parts[0]
    assert [(one.uri, one.HasField("start_index")) for one in part.citations] == [("https://maps", False)]


@pytest.mark.parametrize("key", ["citations", "citationSources"])
def test_recitations_are_cited(key: str) -> None:
    """Sources that the model recites are cited, counted over all texts; what the contract lacks is kept."""
    source = {"startIndex": 2, "endIndex": 4, "uri": "https://a", "title": "A", "license": "mit"}
    wire = answer({"text": "ü"}, {"text": "bcd"}, citationMetadata={key: [source]})
    read = read_answer(wire)
    citation = read.choices[0].message.parts[1].citations[0]
    assert citation == Citation(
        uri="https://a", title="A", start_index=0, end_index=2, extras={"gemini": '{"license":"mit"}'}
    )
    assert write_answer(read)["candidates"][0]["citationMetadata"] == {"citations": [source]}


def test_citations_without_a_text_stay_where_they_are() -> None:
    """Where there is no text to cite for, nothing is lost."""
    wire = answer({"functionCall": {"name": "f", "args": {}}}, citationMetadata={"citations": [{"uri": "https://a"}]})
    assert write_answer(read_answer(wire)) == wire


def test_several_candidates() -> None:
    """Candidates keep their numbers; one without takes its place."""
    first, second = answer({"text": "a"})["candidates"][0], answer({"text": "b"})["candidates"][0]
    read = read_answer({"candidates": [{**first, "index": 1}, {key: second[key] for key in second if key != "index"}]})
    assert [(choice.index, choice.message.parts[0].text) for choice in read.choices] == [(1, "a"), (1, "b")]


def test_answers_of_others() -> None:
    """An answer of another provider is told in Gemini's words; what that provider needs back is carried."""
    response = ChatResponse(id="x", model="claude")
    choice = response.choices.add(finish=Finish(reason=chat_pb2.FINISH_REASON_TOOL_CALLS, native_reason="tool_use"))
    choice.message.role = content_pb2.ROLE_ASSISTANT
    choice.message.parts.extend(
        [
            Part(reasoning=Reasoning(text="Hm."), extras={"anthropic": '{"signature":"hunter2"}'}),
            Part(reasoning=Reasoning(redacted=True), extras={"anthropic": '{"data":"hunter2"}'}),
            Part(refusal="I will not."),
            Part(tool_call=ToolCall(id="toolu_1", name="f", arguments_json='{"x":1}')),
            Part(opaque=content_pb2.Opaque(dialect="anthropic", json='{"secret":"hunter2"}')),
        ]
    )
    wire = write_answer(response)
    parts = wire["candidates"][0]["content"]["parts"]
    carried = [part.pop("thoughtSignature", None) for part in parts]
    assert wire["candidates"] == [
        {
            "content": {
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"text": "", "thought": True},
                    {"text": "I will not."},
                    {"functionCall": {"id": "toolu_1", "name": "f", "args": {"x": 1}}},
                    {"text": "", "thought": True},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ]
    said = list(response.choices[0].message.parts)
    assert [unpack(signature) for signature in carried] == [[said[0]], [said[1]], None, said[:2], [said[4]]]
    assert is_valid(wire)
