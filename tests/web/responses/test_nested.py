"""TokenRouter's form of a request for a response."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from trunkline.web.responses.nested import flatten

IMAGE = {"url": "https://a.example/b.png", "detail": "low"}


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
            {"tools": [{"type": "function", "name": "f", "parameters": {}}]},
        ),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "function", "name": "f"}},
        ),
        ({"text": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        (
            {"text": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}, "verbosity": "low"}},
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"}},
        ),
        (
            {"input": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": IMAGE}]},
            {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_text", "text": "a"},
                            {"type": "input_image", "image_url": IMAGE["url"], "detail": "low"},
                        ],
                    }
                ]
            },
        ),
        (
            {"input": [{"type": "image_url", "image_url": {"url": "u"}}, {"type": "image_url", "image_url": "v"}]},
            {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_image", "image_url": "u"},
                            {"type": "input_image", "image_url": "v"},
                        ],
                    }
                ]
            },
        ),
    ],
)
def test_what_is_nested_is_put_into_openais_form(nested: dict[str, Any], flat: dict[str, Any]) -> None:
    """Tools, the choice of one, the form of the answer, and parts in place of items; once is enough."""
    flatten(nested)
    assert nested == flat
    flatten(nested)
    assert nested == flat


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": "Hello", "tools": None, "text": None},
        {"input": [], "tools": [], "text": {}},
        {"input": [5], "tools": [5], "text": 5, "tool_choice": "auto"},
        {"input": [{"type": "message", "role": "user", "content": "a"}, {"type": "text", "text": "b"}]},
        {"tools": [{"type": "web_search"}, {"type": "function", "function": 5}, {"type": "function", "name": "f"}]},
        {"text": {"format": {"type": "text"}, "type": "x"}, "tool_choice": {"type": "function", "name": "f"}},
    ],
)
def test_all_else_stays(body: dict[str, Any]) -> None:
    """What is in OpenAI's form, and what is in none, which the dialect refuses by its path."""
    before = copy.deepcopy(body)
    flatten(body)

    assert body == before


@pytest.mark.parametrize("kind", [["text"], {}, None])
def test_an_item_whose_type_is_no_text_stays(kind: Any) -> None:
    """The dialect refuses it."""
    body = {"input": [{"type": kind, "text": "a"}]}
    flatten(body)
    assert body == {"input": [{"type": kind, "text": "a"}]}
