"""What callers of Chat Completions tell OpenAI beyond the contract, in the words of Responses."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.call import Loss
from trunkline.dialects import openai, responses
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1.chat_pb2 import ChatRequest


def chat(**fields: Any) -> ChatRequest:
    """A request of Chat Completions."""
    wire = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return openai.decode_request(Object(loads(dumps(wire))))


def adopted(**fields: Any) -> tuple[dict[str, Any], set[str]]:
    """What goes to a server of Responses, and what is lost."""
    losses: list[Loss] = []
    wire = loads(dumps(responses.encode_request(responses.adopt(chat(**fields)), losses)))
    assert isinstance(wire, dict)
    return wire, {loss.field for loss in losses}


def test_fields_of_both_mean_the_same() -> None:
    """What OpenAI has in both of its languages is said, and is no loss."""
    same = {
        "metadata": {"a": "b"},
        "moderation": {"x": 1},
        "prompt_cache_key": "k",
        "prompt_cache_options": {"ttl": "1h"},
        "prompt_cache_retention": "24h",
        "safety_identifier": "s",
        "stream_options": {"include_obfuscation": False},
        "service_tier": "flex",
        "user": "u",
    }
    wire, losses = adopted(**same)
    assert {key: wire[key] for key in same} == same
    assert losses == set()


def test_verbosity_has_another_place() -> None:
    """Beside the form of the answer."""
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    wire, losses = adopted(verbosity="low", response_format=form)
    assert wire["text"]["verbosity"] == "low"
    assert wire["text"]["format"]["name"] == "n"
    assert losses == set()


def test_what_says_nothing_is_no_loss() -> None:
    """What is done anyhow."""
    assert adopted(store=False, modalities=["text"])[1] == set()
    assert adopted(store=True, modalities=["text", "audio"])[1] == {"store", "modalities"}


def test_what_responses_has_no_word_for_is_named() -> None:
    """As ever."""
    lost: dict[str, Any] = {"logit_bias": {"1": 2}, "prediction": {"type": "content"}, "seed": 1}
    assert adopted(**lost)[1] == lost.keys()


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({}, {}),
        ({"format": {"type": "text"}}, {"format": {"type": "text"}}),
        (
            {"format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
            {"format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        ),
    ],
)
def test_custom_tools(form: dict[str, Any], told: dict[str, Any]) -> None:
    """The tool, its choice, its calls and what they returned."""
    history = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "t", "input": "a b"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]
    wire, losses = adopted(
        messages=history,
        tools=[{"type": "custom", "custom": {"name": "t", "description": "d", **form}}],
        tool_choice={"type": "custom", "custom": {"name": "t"}},
    )
    assert losses == set()
    assert wire["tools"] == [{"type": "custom", "name": "t", "description": "d", **told}]
    assert wire["tool_choice"] == {"type": "custom", "name": "t"}
    assert wire["input"][1:] == [
        {"type": "custom_tool_call", "call_id": "c", "name": "t", "input": "a b"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
    ]


def test_a_choice_of_some_tools() -> None:
    """Of both kinds."""
    named = [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "t"}}]
    function = {"type": "function", "function": {"name": "f"}}
    wire, losses = adopted(
        tools=[function], tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": named}}
    )
    assert wire["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "t"}],
    }
    assert losses == set()


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "custom"},
        {"type": "custom", "custom": {"name": 3}},
        {"type": "allowed_tools", "allowed_tools": {"tools": [3]}},
        {"type": "allowed_tools", "allowed_tools": []},
        {"type": "dance"},
    ],
)
def test_a_choice_that_nobody_knows_is_named(choice: dict[str, Any]) -> None:
    """It is not sent."""
    function = {"type": "function", "function": {"name": "f"}}
    wire, losses = adopted(tools=[function], tool_choice=choice)
    assert "tool_choice" not in wire
    assert losses == {"tool_choice"}


def test_nothing_is_done_where_nothing_need_be() -> None:
    """The request is the same; and what is adopted is a copy."""
    plain = chat()
    assert responses.adopt(plain) is plain
    said = chat(metadata={"a": "b"})
    before = said.SerializeToString(deterministic=True)
    assert responses.adopt(said) is not said
    assert said.SerializeToString(deterministic=True) == before
