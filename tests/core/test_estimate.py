"""How many tokens a request is, held against what the recordings were charged."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire.recordings import Recording, recordings

from trunkline.core.estimate import Estimate, estimate, estimate_text, estimate_tokens
from trunkline.dialects import anthropic, bedrock, gemini, openai, responses
from trunkline.dialects.openai.request import take_stream
from trunkline.dialects.wire import Object, loads
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Message, Part

SEARCHED = {
    "groq/chat/pydantic-ai-groq-model-web-search-tool",
    "openrouter/chat/langchaingo-open-router-streaming",
    "openrouter/chat/langchaingo-open-router-with-httprr",
    "openrouter/chat/pydantic-ai-openrouter-with-native-options",
}
"""Recordings of models that read more than they were sent: what they looked up by themselves."""

CHANGED = {"shrunk", "fixture", "scrubbed", "edited", "decoded"}
"""The tags of recordings whose request is not quite the one that was charged."""


def asking(*parts: Part, **fields: object) -> ChatRequest:
    """A request in which the user says `parts`."""
    return ChatRequest(model="m", messages=[Message(role=content_pb2.ROLE_USER, parts=parts)], **fields)  # type: ignore[arg-type]


def _request(one: Recording) -> ChatRequest | None:
    api = one.id.split("/")[1]
    wire = Object(loads(one.request or b""))
    match api:
        case "chat" | "openai-chat":
            take_stream(wire)
            return openai.decode_request(wire) if wire.fields.get("model") else None
        case "responses" | "openai-responses":
            responses.take_stream(wire)
            return responses.decode_request(wire) if wire.fields.get("model") else None
        case "messages" | "anthropic-messages":
            return anthropic.decode_request(wire)
        case "generateContent":
            return gemini.decode_request(wire)
        case "converse":
            return bedrock.decode_request(wire)
    return None


def _charged(one: Recording) -> int:
    """The tokens that a whole answer says were read."""
    wire = Object(loads(one.body), lenient=True)
    match one.id.split("/")[1]:
        case "chat" | "openai-chat":
            return openai.decode_response(wire).usage.input_tokens
        case "responses" | "openai-responses":
            return responses.decode_response(wire).usage.input_tokens
        case "messages" | "anthropic-messages":
            return anthropic.decode_response(wire).usage.input_tokens
        case "generateContent":
            return gemini.decode_response(wire).usage.input_tokens
        case _:
            return bedrock.decode_response(wire).usage.input_tokens


@cache
def charged() -> tuple[tuple[str, ChatRequest, int, Estimate], ...]:
    """Each recorded request that was charged, with the tokens and the estimate."""
    return tuple(_each())


def _each() -> Iterator[tuple[str, ChatRequest, int, Estimate]]:
    for one in recordings():
        if one.is_error or one.is_stream or one.request is None or one.tags & CHANGED:
            continue
        request = _request(one)
        tokens = _charged(one) if request is not None else 0
        if request is not None and tokens:
            yield one.id, request, tokens, estimate(request)


def test_no_request_was_charged_more_than_the_bound() -> None:
    """Wherever there is one, but for models that look things up by themselves."""
    bounded = [(name, tokens, told.most) for name, _, tokens, told in charged() if told.most is not None]
    assert len(bounded) > 250
    assert {name for name, tokens, most in bounded if tokens > most} <= SEARCHED


def test_the_estimate_is_near() -> None:
    """The middle of all recorded requests that hold texts and tools alone is met, and most are within a factor of
    three."""
    ratios = [told.tokens / tokens for _, request, tokens, told in charged() if told.most and not _draws(request)]
    assert 0.8 < statistics.median(ratios) < 1.25
    assert sum(1 / 3 <= ratio <= 3 for ratio in ratios) > 0.75 * len(ratios)


def _draws(request: ChatRequest) -> bool:
    return any(part.HasField("media") for message in request.messages for part in message.parts)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("The quick brown fox jumps over the lazy dog.", 10), ("你好世界", 4), ("\U0001f600" * 4, 6)],
)
def test_texts(text: str, tokens: int) -> None:
    """English has about four characters in a token, Chinese one, an emoji less than one."""
    assert estimate_text(text) == tokens


@given(st.text(max_size=200), st.text(max_size=200))
def test_more_is_never_less(one: str, other: str) -> None:
    """Whatever is added counts, and the likely count is within the bound, which is at least the bytes."""
    less, more = estimate(asking(Part(text=one))), estimate(asking(Part(text=one), Part(text=other)))
    assert less.tokens <= more.tokens
    assert less.most is not None
    assert more.most is not None
    assert less.most <= more.most
    assert more.tokens <= more.most
    assert len((one + other).encode()) <= more.most


def test_all_of_a_request_counts() -> None:
    """Instructions, tools, calls and their results, forms, images, texts to go on with."""
    bare = estimate(asking(Part(text="Hi")))
    said = "word " * 100
    for request in (
        asking(Part(text="Hi"), Part(refusal=said)),
        asking(Part(text="Hi"), Part(reasoning={"text": said})),  # type: ignore[arg-type]
        asking(Part(text="Hi"), Part(tool_call={"name": "f", "arguments_json": said})),  # type: ignore[arg-type]
        asking(Part(text="Hi"), Part(tool_result={"parts": [Part(text=said)]})),  # type: ignore[arg-type]
        asking(Part(text="Hi"), Part(media={"media_type": "image/png", "data": b"x"})),  # type: ignore[arg-type]
        asking(Part(text="Hi"), tools=[{"function": {"name": "f", "description": said}}]),
        asking(Part(text="Hi"), tools=[{"function": {"name": "f", "parameters_json": said}}]),
        asking(Part(text="Hi"), response_format={"json_schema": {"schema_json": said}}),
        asking(Part(text="Hi"), completion={"prompts": [{"text": said}], "suffix": "s"}),
        asking(Part(text="Hi"), completion={"prompts": [{"tokens": {"ids": [1] * 200}}]}),
    ):
        told = estimate(request)
        assert told.tokens >= bare.tokens + 100
        assert told.tokens == estimate_tokens(request)
        assert told.most is not None
        assert bare.most is not None
        assert told.most >= bare.most + 100 or request.HasField("completion")
    system = asking(Part(text="Hi"))
    system.messages.insert(0, Message(role=content_pb2.ROLE_SYSTEM, parts=[Part(text=said)]))
    assert estimate(system).tokens >= bare.tokens + 100


@pytest.mark.parametrize(
    "media",
    [
        {"media_type": "text/plain", "data": b"word " * 1_000},
        {"media_type": "application/pdf", "data": b"x" * 64_000},
        {"media_type": "application/pdf", "uri": "data:application/pdf;base64," + "A" * 86_000},
        {"media_type": "application/pdf", "uri": "https://x/a.pdf"},
        {"media_type": "audio/wav", "data": b"x" * 500_000},
        {"media_type": "video/mp4", "file_id": "f"},
        {"file_id": "f"},
    ],
)
def test_what_the_gateway_cannot_read_has_no_bound(media: dict[str, object]) -> None:
    """It is guessed by its size, or by what is usual; nobody knows how much of it there is."""
    told = estimate(asking(Part(media=media)))  # type: ignore[arg-type]
    assert 900 < told.tokens < 3_000
    assert told.most is None


@pytest.mark.parametrize(
    "request_",
    [
        asking(Part(opaque={"dialect": "anthropic", "json": "{}"})),  # type: ignore[arg-type]
        asking(Part(reasoning={"redacted": True})),  # type: ignore[arg-type]
        asking(Part(text="Hi"), tools=[{"native": {"dialect": "openai", "json": "{}"}}]),
        asking(Part(text="Hi"), extras={"responses": '{"previous_response_id":"r"}'}),
        asking(Part(text="Hi"), extras={"gemini": '{"cachedContent":"c"}'}),
    ],
    ids=str,
)
def test_what_only_the_provider_knows_has_no_bound(request_: ChatRequest) -> None:
    """Its own blocks, its tools, and what it keeps."""
    assert estimate(request_).most is None


def test_large_requests_are_estimated_by_their_size() -> None:
    """Three megabytes of text are near to 700 000 tokens."""
    told = estimate(asking(Part(text="a b " * 750_000)))
    assert math.isclose(told.tokens, 680_000, rel_tol=0.05)
