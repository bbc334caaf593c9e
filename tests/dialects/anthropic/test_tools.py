"""Tools, calls and results of other callers."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.anthropic.asking import (
    ALWAYS,
    ASSISTANT,
    MANUAL,
    TOOL,
    USER,
    call,
    result,
    said,
    written,
)
from dialects.anthropic.cases import load

from trunkline.call import Loss, LossKind
from trunkline.dialects import anthropic
from trunkline.dialects.wire import dumps
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Function, Tool, ToolChoice
from trunkline.v1.content_pb2 import Opaque, Part


def test_ids_that_the_api_refuses_are_replaced_by_the_same_ones() -> None:
    """An id with other characters becomes another, the same for the call and for its result, in every request."""
    turns = [said(ASSISTANT, call(call_id="functions.f:0")), said(TOOL, result("1", call_id="functions.f:0"))]
    first, _ = written(*turns)
    use, outcome = first["messages"][0]["content"][0], first["messages"][1]["content"][0]
    assert use["id"] == outcome["tool_use_id"]
    assert use["id"].startswith("toolu_")
    assert written(*turns)[0] == first


def test_calls_without_ids_get_them_by_name_and_order() -> None:
    """Calls of a provider that has no ids get some, which their results find by name."""
    wire, _ = written(
        said(ASSISTANT, call("f", call_id=""), call("g", call_id=""), call("f", call_id="")),
        said(
            TOOL,
            result("1", call_id="", name="f"),
            result("2", call_id="", name="g"),
            result("3", call_id="", name="f"),
        ),
    )
    ids = [block["id"] for block in wire["messages"][0]["content"]]
    assert len(set(ids)) == 3
    assert [block["tool_use_id"] for block in wire["messages"][1]["content"]] == ids


@pytest.mark.parametrize(
    ("arguments", "value", "kept"),
    [
        ("", {}, True),
        ("null", {}, True),
        ('{"a": 1}', {"a": 1}, True),
        ('{"a": ', {"arguments": '{"a": '}, False),
        ("[1]", {"arguments": "[1]"}, False),
    ],
)
def test_arguments_are_an_object(arguments: str, value: Any, kept: bool) -> None:
    """Arguments that are no object are put into one, which is noted."""
    wire, losses = written(said(USER, "a"), said(ASSISTANT, call(arguments=arguments)))
    assert wire["messages"][1]["content"][0]["input"] == value
    assert losses == ({} if kept else {"messages[1].tool_calls": LossKind.APPROXIMATED})


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        ("", {"type": "object", "properties": {}}),
        ("{}", {"type": "object", "properties": {}}),
        ('{"properties":{"a":{}}}', {"type": "object", "properties": {"a": {}}}),
        ('{"$schema":"x","type":"object"}', {"$schema": "x", "type": "object"}),
    ],
)
def test_tools_have_a_schema_of_an_object(parameters: str, schema: Any) -> None:
    """The API demands a schema, and that it says `object`."""
    wire, _ = written(tools=[Tool(function=Function(name="f", parameters_json=parameters))])
    assert wire["tools"] == [{"name": "f", "input_schema": schema}]


def test_a_schema_that_is_none_is_refused() -> None:
    """Parameters that are no JSON object are the caller's fault, with the field named."""
    with pytest.raises(GatewayError) as caught:
        written(tools=[Tool(function=Function(name="f", parameters_json="[]"))])
    assert (caught.value.name, caught.value.param) == ("INVALID_REQUEST", "tools[0].function.parameters")


@pytest.mark.parametrize(
    ("choice", "parallel", "wanted"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode=chat_pb2.ToolChoice.MODE_AUTO), None, {"type": "auto"}),
        (ToolChoice(mode=chat_pb2.ToolChoice.MODE_NONE), False, {"type": "none"}),
        (
            ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED),
            False,
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        (ToolChoice(name="f"), None, {"type": "tool", "name": "f"}),
        (ToolChoice(name="f"), True, {"type": "tool", "name": "f", "disable_parallel_tool_use": False}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, wanted: Any) -> None:
    """The choice in Anthropic's words, with whether calls may be parallel in it."""
    wire, losses = written(tools=[Tool(function=Function(name="f"))], tool_choice=choice, parallel_tool_calls=parallel)
    assert (wire.get("tool_choice"), losses) == (wanted, {})


def test_a_choice_without_tools_is_left_out() -> None:
    """The API refuses a choice where there is nothing to choose; only a forced one is a loss."""
    assert written(tool_choice=ToolChoice(mode=chat_pb2.ToolChoice.MODE_AUTO))[1] == {}
    wire, losses = written(tool_choice=ToolChoice(name="f"))
    assert "tool_choice" not in wire
    assert losses == {"tool_choice": LossKind.DROPPED}


def test_models_that_cannot_be_forced_are_left_to_choose() -> None:
    """A model that refuses a forced tool is left to choose, which is noted."""
    wire, losses = written(tools=[Tool(function=Function(name="f"))], tool_choice=ToolChoice(name="f"), model=ALWAYS)
    assert (wire["tool_choice"], losses) == ({"type": "auto"}, {"tool_choice": LossKind.APPROXIMATED})


@pytest.mark.parametrize(
    ("parameters", "model", "strict"),
    [
        ('{"type":"object","properties":{"a":{"type":"string"}}}', MANUAL, True),
        ('{"type":"object","properties":{"a":{"type":"string","minLength":2}}}', MANUAL, None),
        ('{"type":"object","properties":{}}', "claude-sonnet-4-0", None),
    ],
)
def test_strict_tools(parameters: str, model: str, strict: bool | None) -> None:
    """Strictness is asked for where the model and the schema allow it; the schema is then closed."""
    tool = Tool(function=Function(name="f", parameters_json=parameters, strict=True))
    wire, losses = written(tools=[tool], model=model)
    assert wire["tools"][0].get("strict") is strict
    assert (wire["tools"][0]["input_schema"].get("additionalProperties") is False) == (strict is True)
    assert losses == ({} if strict else {"tools[0].function.strict": LossKind.DROPPED})


def test_what_other_providers_run_is_left_out() -> None:
    """Tools and blocks of another dialect are left out and named; ours go verbatim."""
    foreign = Opaque(dialect="responses", json='{"type":"web_search_call","id":"ws"}')
    own = Opaque(dialect="anthropic", json='{"type":"web_search_tool_result","content":[ 1.0 ]}')
    tools = [
        Tool(native=Opaque(dialect="responses", json='{"type":"web_search"}')),
        Tool(native=Opaque(dialect="anthropic", json='{"type":"web_search_20250305","name":"web_search"}')),
    ]
    losses: list[Loss] = []
    request = ChatRequest(
        messages=[said(USER, "a"), said(ASSISTANT, Part(opaque=foreign), Part(opaque=own), "b")], tools=tools
    )
    body = dumps(anthropic.encode_request(request, losses=losses))
    assert own.json.encode() in body
    assert b"web_search_call" not in body
    assert load(body)["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]
    assert [loss.field for loss in losses] == ["messages[1].web_search_call", "tools[0].web_search"]
