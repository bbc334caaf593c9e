"""What a request asks of a model, and who lacks it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.scripted_provider import asking
from routing.fleet import known, offer_of

from trunkline.routing.needs import lacking, needs_of
from trunkline.v1.content_pb2 import Media, Part, ToolResult

_IMAGE = Part(media=Media(media_type="image/png", data=b"x"))


@pytest.mark.parametrize(
    ("fields", "features"),
    [
        ({}, set()),
        ({"tools": [{"function": {"name": "f"}}]}, {"tools"}),
        ({"response_format": {"json_object": {}}}, {"json_object"}),
        ({"response_format": {"json_schema": {"name": "n"}}}, {"json_schema"}),
        ({"reasoning": {"effort": "low"}}, {"reasoning"}),
        ({"reasoning": {"effort": "none"}}, set()),
        ({"reasoning": {"budget_tokens": 100}}, {"reasoning"}),
        ({"reasoning": {"budget_tokens": 0}}, set()),
        ({"reasoning": {"enabled": True}}, {"reasoning"}),
        ({"reasoning": {"enabled": False}}, set()),
        ({"top_logprobs": 0}, {"logprobs"}),
    ],
)
def test_features(fields: dict[str, Any], features: set[str]) -> None:
    """Each that a request uses, and a model without it lacks it."""
    needs = needs_of(asking(**fields))
    assert needs.features == features
    assert lacking(offer_of(said=known()), needs) is None
    assert lacking(offer_of(said=known(features=frozenset())), needs) == (min(features) if features else None)


@pytest.mark.parametrize(
    ("media_type", "sort"),
    [("image/png", "image"), ("audio/wav", "audio"), ("video/mp4", "video"), ("application/pdf", "file"), ("", "file")],
)
@pytest.mark.parametrize("nested", [False, True])
def test_media(media_type: str, sort: str, nested: bool) -> None:
    """In messages, and in what tools return."""
    part = Part(media=Media(media_type=media_type, data=b"x"))
    request = asking()
    request.messages[0].parts.append(Part(tool_result=ToolResult(parts=[part])) if nested else part)
    needs = needs_of(request)
    assert needs.media == {sort}
    assert lacking(offer_of(said=known()), needs) == f"{sort} input"
    assert lacking(offer_of(said=known(input=frozenset({"text", sort}))), needs) is None


def test_what_must_fit() -> None:
    """What is read and written, within the context; what is written, within the longest answer."""
    needs = needs_of(asking("word " * 1000, max_output_tokens=500))
    assert needs.written == 500
    assert 700 < needs.tokens < 2000
    assert lacking(offer_of(said=known(context=100_000)), needs) is None
    told = lacking(offer_of(said=known(context=needs.tokens + 499)), needs)
    assert told == f"a context of {needs.tokens + 500} tokens"
    assert lacking(offer_of(said=known(max_output=499)), needs) == "an answer of 500 tokens"
    assert lacking(offer_of(said=known(max_output=500)), needs) is None
