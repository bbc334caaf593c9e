"""What an answer rests on, told beside its choices."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.openai.reading import chunk, response, streamed

from trunkline.dialects import openai
from trunkline.v1.content_pb2 import Citation


@pytest.mark.parametrize(
    ("told", "cited"),
    [
        (
            {"citations": ["https://a"], "search_results": [{"url": "https://a", "title": "A", "snippet": "so"}]},
            Citation(uri="https://a", title="A", cited_text="so"),
        ),
        ({"citations": ["https://a"]}, Citation(uri="https://a")),
        ({"search_results": [{"title": "A"}], "citations": [5]}, None),
    ],
)
def test_sources_beside_the_choices_are_citations(told: dict[str, Any], cited: Citation | None) -> None:
    """Perplexity's and xAI's, in both forms of an answer; and they stay where their own clients look for them."""
    whole = response(message={"content": "It is so [1]."}, **told)
    for answer in (
        whole,
        streamed(chunk({"content": "It is so"}, **told), chunk({"content": " [1]."}, "stop", **told)),
    ):
        assert list(answer.choices[0].message.parts[0].citations) == ([] if cited is None else [cited])
        wire = openai.encode_response(answer)
        assert {key: wire[key] for key in told} == told
        annotations = wire["choices"][0]["message"].get("annotations", [])
        assert [one["url_citation"]["url"] for one in annotations] == ([] if cited is None else ["https://a"])
