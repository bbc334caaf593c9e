"""Tools that are called with a text, for targets that know functions alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.fold import fold, unfold
from trunkline.dialects import openai, responses
from trunkline.dialects.responses.custom import input_of
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse

PATCH: dict[str, Any] = {"type": "custom", "name": "apply_patch", "description": "Patches."}


def asking(*tools: dict[str, Any], **fields: Any) -> ChatRequest:
    """A request with `tools`."""
    wire: dict[str, Any] = {"model": "m", "input": "a", "tools": list(tools), **fields}
    return responses.decode_request(Object(loads(dumps(wire))))


def test_nothing_is_done_where_nothing_need_be() -> None:
    """A request without such tools stays as it is, natives of other kinds among its tools."""
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    assert responses.plain_of(asking(function, {"type": "web_search"}, {"type": "custom"})) is None


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({}, "The input is a text of any form."),
        ({"format": {"type": "text"}}, "The input is a text of any form."),
        (
            {"format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
            "The input must match this grammar (regex):\na+",
        ),
    ],
)
def test_a_tool_becomes_a_function(form: dict[str, Any], told: str) -> None:
    """With the text as its only argument, and its form in words; the request itself stays as it is."""
    request = asking({"type": "web_search"}, PATCH | form)
    before = request.SerializeToString(deterministic=True)
    plain = responses.plain_of(request)

    assert plain is not None
    assert (plain.names, plain.places) == ({"apply_patch": "responses"}, (1,))
    function = plain.request.tools[1].function
    assert function.description == f"Patches.\n\n{told}"
    assert json.loads(function.parameters_json)["required"] == ["input"]
    assert request.SerializeToString(deterministic=True) == before


def test_a_choice_of_the_tool_is_that_of_the_function() -> None:
    """Other choices, and what else the caller says, stay."""
    plain = responses.plain_of(asking(PATCH, tool_choice={"type": "custom", "name": "apply_patch"}, truncation="auto"))
    assert plain is not None
    assert plain.request.tool_choice.name == "apply_patch"
    assert json.loads(plain.request.extras["responses"]) == {"truncation": "auto"}
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": []}
    plain = responses.plain_of(asking(PATCH, tool_choice=allowed))
    assert plain is not None
    assert json.loads(plain.request.extras["responses"]) == {"tool_choice": allowed}


@given(st.text())
def test_calls_of_the_history_are_calls_of_the_function(text: str) -> None:
    """Whatever the text holds, it is an argument in JSON, and can be read back."""
    items = [
        {"role": "user", "content": "a"},
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": text},
        {"type": "function_call", "call_id": "d", "name": "f", "arguments": "{}"},
    ]
    plain = responses.plain_of(asking(input=items))
    assert plain is not None
    custom, function = plain.request.messages[1].parts
    assert json.loads(custom.tool_call.arguments_json) == {"input": text}
    assert input_of(custom.tool_call.arguments_json) == text
    assert function.tool_call.arguments_json == "{}"


@given(st.text(), st.lists(st.integers(0, 60), max_size=4), st.booleans())
def test_calls_of_an_answer_are_calls_with_a_text(text: str, cuts: list[int], custom: bool) -> None:
    """Streamed in any pieces it is what it is at once; calls of other tools stay."""
    plain = responses.plain_of(asking(PATCH))
    assert plain is not None
    response = ChatResponse(id="r")
    choice = response.choices.add()
    choice.message.role = content_pb2.ROLE_ASSISTANT
    choice.message.parts.add(text="I patch.")
    call = choice.message.parts.add().tool_call
    call.id, call.name = "c", "apply_patch" if custom else "f"
    call.arguments_json = json.dumps({"input": text})
    choice.finish.reason = chat_pb2.FINISH_REASON_TOOL_CALLS
    events = []
    for event in unfold(response):
        inner = event.part_delta
        if event.HasField("part_delta") and inner.index == 1:
            places = [0, *sorted(place for place in cuts if place < len(inner.text)), len(inner.text)]
            for begin, end in zip(places, places[1:], strict=False):  # noqa: RUF007 - an empty piece is one, too
                piece = chat_pb2.ChatEvent()
                piece.CopyFrom(event)
                piece.part_delta.text = inner.text[begin:end]
                events.append(piece)
        else:
            events.append(event)
    reader = responses.CustomReader(plain)
    streamed = fold(told for event in events for told in reader.feed(event))
    for part in choice.message.parts:
        responses.CustomReader(plain).read(part)

    assert streamed == response
    wire = responses.encode_response(streamed)["output"][1]
    assert (wire["type"], wire.get("input")) == (("custom_tool_call", text) if custom else ("function_call", None))


@pytest.mark.parametrize("arguments", ["", "{", "[]", '{"other": 1}', '{"input": 1}', "plain words"])
def test_arguments_of_another_form_are_taken_as_they_are(arguments: str) -> None:
    """A model may not keep to the schema."""
    assert input_of(arguments) == arguments


def test_tools_of_chat_completions_are_such_tools() -> None:
    """Told as functions in the same way, with their choice and their calls; those in words that the target takes stay,
    and calls come back in the words of the caller."""
    form = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
    call = {"id": "c", "type": "custom", "custom": {"name": "t", "input": "a b"}}
    wire = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "done"},
        ],
        "tools": [{"type": "custom", "custom": {"name": "t", "format": form}}],
        "tool_choice": {"type": "custom", "custom": {"name": "t"}},
        "seed": 1,
    }
    request = openai.decode_request(Object(loads(dumps(wire))))
    assert responses.plain_of(request, {"openai"}) is None
    plain = responses.plain_of(request)
    assert plain is not None
    assert plain.request.tools[0].function.description.endswith("(regex):\na+")
    assert plain.request.tool_choice.name == "t"
    part = plain.request.messages[1].parts[0]
    assert (part.tool_call.arguments_json, dict(part.extras)) == ('{"input":"a b"}', {})
    assert not plain.request.extras

    answer = ChatResponse(id="r")
    told = answer.choices.add().message.parts.add()
    told.tool_call.id, told.tool_call.name, told.tool_call.arguments_json = "c", "t", '{"input":"a b"}'
    responses.CustomReader(plain).read(told)
    assert openai.encode_response(answer)["choices"][0]["message"]["tool_calls"] == [call]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "custom"},
        {"type": "custom", "custom": []},
        {"type": "custom", "custom": {"name": ""}},
        {"type": "dance", "custom": {"name": "t"}},
    ],
)
def test_a_tool_of_another_form_is_none(tool: dict[str, Any]) -> None:
    """It stays as it is."""
    wire = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}
    assert responses.plain_of(openai.decode_request(Object(loads(dumps(wire))))) is None
