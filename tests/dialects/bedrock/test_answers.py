"""Whole answers: read, written, and accepted by botocore's own parser."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.parsers import create_parser
from dialects.bedrock.cases import (
    ANSWERS,
    NEW_CLAUDE,
    answer,
    each,
    load,
    read_answer,
    read_request,
    write_answer,
    write_request,
)
from dialects.bedrock.equivalent import same_answer
from wire.recordings import Recording

from trunkline.dialects.wire import dumps
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatResponse


@cache
def operation() -> Any:
    """What botocore knows of Converse."""
    return botocore.session.Session().get_service_model("bedrock-runtime").operation_model("Converse")


def parsed(body: bytes) -> Any:
    """An answer as botocore reads it."""
    response = {"status_code": 200, "headers": {}, "body": body, "context": {"operation_name": "Converse"}}
    wire = create_parser("rest-json").parse(response, operation().output_shape)
    wire.pop("ResponseMetadata")
    return wire


@each(ANSWERS)
def test_answer_is_lossless_on_the_wire(recording: Recording) -> None:
    """Reading and writing a recorded answer gives it back."""
    wire = load(recording.body)
    assert same_answer(write_answer(read_answer(wire))) == same_answer(load(recording.body))


@each(ANSWERS)
def test_written_answer_is_read_by_botocore(recording: Recording) -> None:
    """botocore reads of what is written what it reads of the recording."""
    written = parsed(dumps(write_answer(read_answer(load(recording.body)))))
    recorded = parsed(dumps(same_answer(load(recording.body))))
    assert written == recorded


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", chat_pb2.FINISH_REASON_STOP),
        ("stop_sequence", chat_pb2.FINISH_REASON_STOP),
        ("max_tokens", chat_pb2.FINISH_REASON_LENGTH),
        ("model_context_window_exceeded", chat_pb2.FINISH_REASON_LENGTH),
        ("tool_use", chat_pb2.FINISH_REASON_TOOL_CALLS),
        ("guardrail_intervened", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        ("content_filtered", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        ("malformed_model_output", chat_pb2.FINISH_REASON_OTHER),
        ("malformed_tool_use", chat_pb2.FINISH_REASON_OTHER),
        ("something_new", chat_pb2.FINISH_REASON_OTHER),
    ],
)
def test_finish_reasons(word: str, reason: int) -> None:
    """Each `stopReason` has its reason, keeps its own word, and comes back."""
    read = read_answer(answer(stopReason=word))
    assert (read.choices[0].finish.reason, read.choices[0].finish.native_reason) == (reason, word)
    assert write_answer(read)["stopReason"] == word


def test_other_providers_reasons_get_converses_words() -> None:
    """An answer of another provider ends in a word of Converse's."""
    words = {
        chat_pb2.FINISH_REASON_STOP: "end_turn",
        chat_pb2.FINISH_REASON_LENGTH: "max_tokens",
        chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_use",
        chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filtered",
    }
    for reason, word in words.items():
        response = ChatResponse()
        response.choices.add().finish.reason = reason
        response.choices[0].finish.native_reason = "eos"
        assert write_answer(response)["stopReason"] == word


@pytest.mark.parametrize("fields", [{"stop_sequence": "END"}, {"delta": {"stop_sequence": "END"}}])
def test_the_stop_sequence_that_was_met(fields: Any) -> None:
    """Where the model tells it, in either place, it is told."""
    read = read_answer(answer(stopReason="stop_sequence", additionalModelResponseFields=fields))
    assert read.choices[0].finish.stop_sequence == "END"
    assert not read.extras
    assert write_answer(read)["additionalModelResponseFields"] == {"stop_sequence": "END"}


def test_cited_text_is_kept() -> None:
    """The text of a block with citations is text, its sources are citations, and both come back."""
    location = {"documentChar": {"documentIndex": 0, "start": 1, "end": 9}}
    block = {
        "citationsContent": {
            "content": [{"text": "It is blue."}],
            "citations": [{"title": "Sky", "sourceContent": [{"text": "The sky is blue."}], "location": location}],
        }
    }
    wire = answer({"text": "Look: "}, block)
    read = read_answer(wire)
    assert [part.text for part in read.choices[0].message.parts] == ["Look: ", "It is blue."]
    citation = read.choices[0].message.parts[1].citations[0]
    assert (citation.title, citation.cited_text) == ("Sky", "The sky is blue.")
    assert load(citation.extras["bedrock"].encode()) == {"location": location}
    assert write_answer(read) == wire


@pytest.mark.parametrize(
    ("citation", "uri"),
    [
        ({"location": {"web": {"url": "https://x/y", "domain": "x"}}}, "https://x/y"),
        ({"location": {"web": {"url": "https://x/y"}}}, "https://x/y"),
        ({"source": "https://z", "title": "t", "location": {"searchResultLocation": {"start": 1}}}, "https://z"),
        ({"title": "t"}, ""),
        ({"title": "t", "sourceContent": [{"new": 1}]}, ""),
    ],
)
def test_addresses_of_sources(citation: Any, uri: str) -> None:
    """The address of a source, wherever it stands; and citations without a text of their own."""
    wire = answer({"citationsContent": {"citations": [citation]}})
    read = read_answer(wire)
    (part,) = read.choices[0].message.parts
    assert (part.text, part.citations[0].uri) == ("", uri)
    assert write_answer(read) == wire


def test_what_the_provider_ran_is_carried() -> None:
    """Calls that the provider ran by itself, and their results, are nobody's to answer, and go back as they were."""
    call = {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {"q": 1}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "t", "content": [{"text": "x"}], "status": "success", "type": "new_result"}}
    wire = answer(call, result, {"text": "Done"})
    message = read_answer(wire).choices[0].message
    assert [part.WhichOneof("kind") for part in message.parts] == ["opaque", "opaque", "text"]
    assert write_answer(read_answer(wire)) == wire
    request = read_request({"messages": [{"role": "user", "content": [{"text": "a"}]}]})
    request.messages.append(message)
    assert write_request(request)["messages"][1]["content"] == [call, result, {"text": "Done"}]


def test_reasoning_and_what_seals_it() -> None:
    """Reasoning with its signature, reasoning that is withheld, and reasoning that nothing seals."""
    signed = {"reasoningContent": {"reasoningText": {"text": "Hmm", "signature": "c2ln+/="}}}
    sealed = {"reasoningContent": {"redactedContent": "c2VhbGVk"}}
    plain = {"reasoningContent": {"reasoningText": {"text": "Let me see"}}}
    wire = answer(signed, sealed, plain, {"text": "So"})
    read = read_answer(wire)
    assert write_answer(read) == wire
    parts = read.choices[0].message.parts
    assert [(part.reasoning.text, part.reasoning.redacted) for part in parts[:3]] == [
        ("Hmm", False),
        ("", True),
        ("Let me see", False),
    ]
    request = read_request({"messages": [{"role": "user", "content": [{"text": "a"}]}]})
    request.messages.append(read.choices[0].message)
    assert write_request(request, NEW_CLAUDE)["messages"][1]["content"] == [signed, sealed, {"text": "So"}]
    assert write_request(request, "amazon.nova-pro-v1:0")["messages"][1]["content"] == [{"text": "So"}]


def test_pictures_in_an_answer() -> None:
    """An image that the model made is a medium."""
    wire = answer({"image": {"format": "png", "source": {"bytes": "AAAA"}}})
    part = read_answer(wire).choices[0].message.parts[0]
    assert (part.media.media_type, part.media.uri) == ("image/png", "data:image/png;base64,AAAA")
    assert write_answer(read_answer(wire)) == wire


def test_service_tier_and_measures() -> None:
    """The tier is the response's, what was measured is kept."""
    wire = answer(
        {"text": "Hi"},
        serviceTier={"type": "flex"},
        metrics={"latencyMs": 7},
        trace={"promptRouter": {"invokedModelId": "m"}},
        performanceConfig={"latency": "optimized"},
    )
    read = read_answer(wire)
    assert read.service_tier == "flex"
    assert load(read.extras["bedrock"].encode()).keys() == {"metrics", "trace", "performanceConfig"}
    assert write_answer(read) == wire


@pytest.mark.parametrize(
    ("wire", "counts"),
    [
        ({"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}, (5, 3, None, None)),
        (
            {
                "inputTokens": 5,
                "outputTokens": 3,
                "totalTokens": 20,
                "cacheReadInputTokens": 10,
                "cacheWriteInputTokens": 2,
            },
            (17, 3, 10, 2),
        ),
        ({"inputTokens": 5, "outputTokens": 3, "cacheReadInputTokenCount": 10}, (15, 3, 10, None)),
        (
            {"inputTokens": 5, "outputTokens": 3, "cacheReadInputTokens": 10, "cacheReadInputTokenCount": 10},
            (15, 3, 10, None),
        ),
        ({"outputTokens": 3}, (None, 3, None, None)),
        ({"inputTokens": -1, "outputTokens": "3"}, (None, None, None, None)),
    ],
)
def test_input_includes_what_was_cached(wire: Any, counts: tuple[int | None, ...]) -> None:
    """Input is the sum of the three counts that Converse tells apart, under either name, counted once; and what is
    not told is not zero."""
    usage = read_answer(answer(usage=wire)).usage
    names = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_input_tokens")
    assert tuple(getattr(usage, name) if usage.HasField(name) else None for name in names) == counts


def test_counts_of_another_kind_are_kept() -> None:
    """What else Converse counts stays as it is."""
    wire = {
        "inputTokens": 1,
        "outputTokens": 2,
        "totalTokens": 9,
        "serverToolUsage": {},
        "cacheDetails": [{"ttl": "5m", "inputTokens": 4}],
    }
    read = read_answer(answer(usage=wire))
    assert write_answer(read)["usage"] == wire


@pytest.mark.parametrize(
    "content",
    [
        [{"toolUse": {}}, 7, {"text": 5}, {"new": {}}],
        [{"reasoningContent": {"reasoningText": 5}}, {"citationsContent": {"content": 5, "citations": 7}}],
        [{"image": {"format": "new", "source": {}}}, {"toolResult": 5}, {"cachePoint": {}}, {}],
    ],
)
def test_answers_of_other_shapes_are_borne(content: list[Any]) -> None:
    """An answer that holds something else than the expected is read as far as it goes, and can be written again."""
    read = read_answer(answer(*content, usage=[], stopReason=5))
    assert read.choices[0].message.role == content_pb2.ROLE_ASSISTANT
    write_answer(read)


@pytest.mark.parametrize("wire", [{}, {"output": {}}, {"message": "no"}, {"Output": {"__type": "x#UnknownOperation"}}])
def test_no_answer_is_no_answer(wire: Any) -> None:
    """What holds no message is an error, not an empty answer."""
    with pytest.raises(GatewayError) as caught:
        read_answer(wire)
    assert caught.value.name == "PROVIDER_FAILED"


def test_a_call_without_an_id_gets_one() -> None:
    """Every call has an id that its result can name."""
    read = read_answer(answer({"toolUse": {"name": "f"}}, {"toolUse": {"name": "g"}}))
    ids = [part.tool_call.id for part in read.choices[0].message.parts]
    assert all(ids)
    assert len(set(ids)) == 2
