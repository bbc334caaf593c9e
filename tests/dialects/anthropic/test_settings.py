"""The settings and the media of other callers: what is taken, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.anthropic.asking import (
    ADAPTIVE,
    ASSISTANT,
    MANUAL,
    USER,
    said,
    written,
)

from trunkline.dialects import anthropic
from trunkline.dialects.wire import Object
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatResponse, Choice, ReasoningConfig, Sampling
from trunkline.v1.content_pb2 import Citation, Media, Message, Part


@pytest.mark.parametrize(
    ("model", "sampling", "reasoning", "kept", "lost"),
    [
        (MANUAL, {"temperature": 0.5}, {}, {"temperature": 0.5}, []),
        (MANUAL, {"temperature": 1.7}, {}, {"temperature": 1}, ["temperature"]),
        (MANUAL, {"temperature": 0.5, "top_p": 0.9}, {}, {"temperature": 0.5}, ["top_p"]),
        ("claude-sonnet-4-0", {"temperature": 0.5, "top_p": 0.9}, {}, {"temperature": 0.5, "top_p": 0.9}, []),
        (MANUAL, {"top_k": 5}, {}, {"top_k": 5}, []),
        (MANUAL, {"top_k": -1}, {}, {}, []),
        (MANUAL, {"temperature": 0.5, "top_k": 5}, {"effort": "low"}, {}, ["temperature", "top_k"]),
        (MANUAL, {"temperature": 1, "top_p": 0.97}, {"effort": "low"}, {"temperature": 1}, ["top_p"]),
        (MANUAL, {"top_p": 0.97}, {"effort": "low"}, {"top_p": 0.97}, []),
        (MANUAL, {"top_p": 0.5}, {"effort": "low"}, {}, ["top_p"]),
        (ADAPTIVE, {"temperature": 0.5, "top_p": 0.5, "top_k": 5}, {}, {}, ["temperature", "top_p", "top_k"]),
        (ADAPTIVE, {"temperature": 1, "top_p": 1}, {}, {}, []),
        (
            MANUAL,
            {"frequency_penalty": 0.5, "presence_penalty": 1, "seed": 5},
            {},
            {},
            ["frequency_penalty", "presence_penalty", "seed"],
        ),
        (MANUAL, {"frequency_penalty": 0, "presence_penalty": 0}, {}, {}, []),
    ],
)
def test_sampling(model: str, sampling: Any, reasoning: Any, kept: Any, lost: list[str]) -> None:
    """What the model takes beside its reasoning is written, and what it does not is named."""
    config = ReasoningConfig(**reasoning) if reasoning else None
    wire, losses = written(model=model, sampling=Sampling(**sampling), reasoning=config)
    assert {key: wire[key] for key in ("temperature", "top_p", "top_k") if key in wire} == kept
    assert list(losses) == lost


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-opus-5-5", 32000),
        ("claude-3-5-sonnet-latest", 8192),
        ("claude-3-haiku-20240307", 4096),
        ("glm", 8192),
    ],
)
def test_a_limit_is_always_asked_for(model: str, limit: int) -> None:
    """The API needs a limit: where the caller sets none it is the model's, and no loss."""
    wire, losses = written(model=model)
    assert (wire["max_tokens"], losses) == (limit, {})


def test_a_source_of_another_providers_is_not_sent() -> None:
    """A client gets it as the result of a search; Anthropic, which did not encrypt its index, would refuse it."""
    cited = said(ASSISTANT, Part(text="b", citations=[Citation(uri="https://x", title="x", cited_text="c")]))
    answer = anthropic.encode_response(ChatResponse(choices=[Choice(message=cited)]))
    assert answer["content"][0]["citations"][0]["url"] == "https://x"
    back = anthropic.decode_request(
        Object({"model": "m", "messages": [{"role": "assistant", "content": answer["content"]}]})
    )
    assert back.messages[0].parts[0].citations == cited.parts[0].citations
    assert "citations" not in str(anthropic.encode_request(back))


def test_what_has_no_counterpart_is_named() -> None:
    """Fields that Anthropic has no place for are left out by OpenAI's names."""
    wire, losses = written(
        Message(role=USER, name="ann", parts=[Part(text="a")]),
        said(ASSISTANT, Part(text="b", citations=[Citation(uri="https://x", title="x")])),
        choice_count=3,
        top_logprobs=2,
        service_tier="flex",
        stop_sequences=["\n", "END"],
        extras={"openai": '{"logit_bias":{"5":1},"store":true}'},
    )
    assert wire.keys() == {"max_tokens", "messages", "stop_sequences"}
    assert wire["stop_sequences"] == ["END"]
    assert set(losses) == {
        "logit_bias",
        "store",
        "messages[0].name",
        "messages[1].annotations",
        "n",
        "logprobs",
        "service_tier",
        "stop",
    }


@pytest.mark.parametrize(
    ("tier", "wanted"), [("auto", "auto"), ("default", "standard_only"), ("priority", "auto"), ("flex", None)]
)
def test_service_tiers(tier: str, wanted: str | None) -> None:
    """The class of service in Anthropic's words."""
    assert written(service_tier=tier)[0].get("service_tier") == wanted


@pytest.mark.parametrize(
    ("media", "source"),
    [
        (Media(media_type="image/*", uri="https://x/a.png"), {"type": "url", "url": "https://x/a.png"}),
        (Media(media_type="image/png", data=b"\0\1"), {"type": "base64", "media_type": "image/png", "data": "AAE="}),
        (
            Media(media_type="image/*", uri="data:image/gif;base64,R0lG"),
            {"type": "base64", "media_type": "image/gif", "data": "R0lG"},
        ),
        (
            Media(media_type="image/png", uri="data:image/png,%00%01"),
            {"type": "base64", "media_type": "image/png", "data": "AAE="},
        ),
        (Media(media_type="image/*", file_id="file_1"), {"type": "file", "file_id": "file_1"}),
        (Media(media_type="application/octet-stream", file_id="file_1"), {"type": "file", "file_id": "file_1"}),
        (
            Media(media_type="application/pdf", uri="data:application/pdf;base64,JVBE"),
            {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        ),
        (
            Media(media_type="text/markdown", uri="data:text/markdown;base64,SGk="),
            {"type": "text", "media_type": "text/plain", "data": "Hi"},
        ),
        (
            Media(media_type="application/json", data="{“}".encode()),
            {"type": "text", "media_type": "text/plain", "data": "{“}"},
        ),
    ],
)
def test_media(media: Media, source: Any) -> None:
    """Images, PDFs and texts in every form that the API has for them."""
    wire, _ = written(said(USER, Part(media=media)))
    assert wire["messages"][0]["content"][0]["source"] == source


@pytest.mark.parametrize(
    "media",
    [
        Media(media_type="audio/wav", data=b"x"),
        Media(media_type="video/mp4", uri="https://x"),
        Media(media_type="application/zip", data=b"x"),
    ],
)
def test_media_that_no_block_can_hold(media: Media) -> None:
    """Sound, video and other documents are refused, with their place."""
    with pytest.raises(GatewayError) as caught:
        written(said(USER, "a"), said(USER, Part(media=media)))
    assert (caught.value.name, caught.value.param) == ("UNSUPPORTED", "messages[1]")
