"""How a target is brought to answer in JSON: the request that is sent in place of the caller's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects.emulate import Plan, Structured, plan_of
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import (
    ChatRequest,
    Function,
    JsonObject,
    JsonSchema,
    ReasoningConfig,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from trunkline.v1.content_pb2 import CacheBreakpoint, Message, Part

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
ANY = ResponseFormat(json_object=JsonObject())
WEATHER = Tool(function=Function(name="weather"), cache=CacheBreakpoint())


def form(schema: Any = PERSON, **more: Any) -> ResponseFormat:
    """JSON that matches `schema`."""
    return ResponseFormat(json_schema=JsonSchema(schema_json=json.dumps(schema), **more))


def asking(response_format: ResponseFormat, *before: Message, **more: Any) -> ChatRequest:
    """A request for an answer in a form."""
    said = Message(role=content_pb2.ROLE_USER, parts=[Part(text="Who?")])
    return ChatRequest(model="m", messages=[*before, said], response_format=response_format, **more)


def planned(request: ChatRequest, has: Structured = "tool") -> Plan:
    """The plan for a request that needs one; the request itself stays as it is."""
    before = request.SerializeToString(deterministic=True)
    plan = plan_of(request, has)
    assert plan is not None
    assert request.SerializeToString(deterministic=True) == before
    return plan


def system(*parts: Part, role: content_pb2.Role.ValueType = content_pb2.ROLE_SYSTEM) -> Message:
    """Instructions."""
    return Message(role=role, parts=parts)


@pytest.mark.parametrize(
    ("response_format", "has"),
    [
        (ANY, "native"),
        (form(), "native"),
        (form(), "schema"),
        (ANY, "json_object"),
        (ResponseFormat(), "instruction"),
    ],
)
def test_what_a_target_has_is_left_to_it(response_format: ResponseFormat, has: Structured) -> None:
    """No plan is made."""
    assert plan_of(asking(response_format), has) is None


def test_by_a_forced_tool() -> None:
    """A tool whose arguments are the answer, and which must be called; nothing else of the request changes."""
    request = asking(form(name="a person!", description="One of us."), max_output_tokens=9)
    plan = planned(request)

    assert plan.tool == "a_person_"
    assert plan.request.tool_choice == ToolChoice(name="a_person_")
    [tool] = plan.request.tools
    assert (tool.function.name, tool.function.description) == ("a_person_", "One of us.")
    assert tool.function.parameters_json == request.response_format.json_schema.schema_json
    own = ChatRequest()
    own.CopyFrom(plan.request)
    for field in ("tools", "tool_choice"):
        own.ClearField(field)
    request.ClearField("response_format")
    assert own == request


def test_the_tool_is_not_held_to_what_the_target_has_not() -> None:
    """A strict schema is our own to check: a target without JSON Schema would report a loss that nobody can read."""
    plan = planned(asking(form(name="x", strict=True)))
    assert not plan.request.tools[0].function.HasField("strict")


def test_beside_the_callers_tools() -> None:
    """The model may call those first: it must call one of them all, and is told which one answers."""
    request = asking(form(name="weather"), tools=[WEATHER])
    plan = planned(request)

    assert plan.tool == "weather_"
    assert plan.request.tools[0] == WEATHER
    assert [tool.function.name for tool in plan.request.tools] == ["weather", "weather_"]
    assert plan.request.tool_choice == ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED)
    assert "`weather_`" in plan.request.messages[0].parts[0].text


def test_beside_tools_that_must_not_be_called() -> None:
    """Then only the one that answers is."""
    none = ToolChoice(mode=chat_pb2.ToolChoice.MODE_NONE)
    plan = planned(asking(form(), tools=[WEATHER], tool_choice=none))
    assert plan.request.tool_choice == ToolChoice(name="answer")
    assert len(plan.request.messages) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"reasoning": ReasoningConfig(effort="high")},
        {"reasoning": ReasoningConfig(enabled=True)},
        {"reasoning": ReasoningConfig(budget_tokens=2048)},
        {"tools": [WEATHER], "tool_choice": ToolChoice(name="weather")},
        {"tools": [WEATHER], "tool_choice": ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED)},
    ],
)
def test_where_no_tool_can_be_forced(more: dict[str, Any]) -> None:
    """A model that reasons cannot be, and where the caller forces one of his own, ours must not be in the way."""
    plan = planned(asking(form(), **more))
    assert plan.tool == ""
    assert plan.request.tools == asking(form(), **more).tools
    assert plan.request.tool_choice == asking(form(), **more).tool_choice
    assert json.dumps(PERSON) in plan.request.messages[0].parts[0].text


@pytest.mark.parametrize("more", [{"effort": "none"}, {"enabled": False}])
def test_where_reasoning_is_off(more: dict[str, Any]) -> None:
    """A tool is forced as if nothing had been said."""
    assert planned(asking(form(), reasoning=ReasoningConfig(**more))).tool == "answer"


@pytest.mark.parametrize(
    "schema", [{"type": "array"}, {"type": "string"}, {"$ref": "#/$defs/a", "$defs": {"a": PERSON}}, {}]
)
def test_what_no_tool_can_answer(schema: Any) -> None:
    """Arguments are an object, and their schema says so at its top: all else is asked for in text."""
    assert planned(asking(form(schema))).tool == ""


def test_in_the_json_mode_of_the_target() -> None:
    """Which writes objects; what else is asked for, is asked for without it."""
    plan = planned(asking(form()), "json_object")
    assert plan.request.response_format == ANY
    assert not planned(asking(form({"type": "array"})), "json_object").request.HasField("response_format")
    referring = form({"$ref": "#/$defs/a", "$defs": {"a": PERSON}})
    assert planned(asking(referring), "json_object").request.response_format == ANY
    assert not planned(asking(ANY), "schema").request.HasField("response_format")


def test_the_instruction() -> None:
    """It says JSON, as servers with a JSON mode demand, and what the answer is for."""
    assert "one JSON object and nothing else" in planned(asking(ANY)).request.messages[0].parts[0].text
    told = planned(asking(form({"type": "array"}, description="Our pets.")), "instruction").request
    assert "one JSON value (Our pets.) and nothing else" in told.messages[0].parts[0].text
    assert '{"type": "array"}' in told.messages[0].parts[0].text


def test_where_the_instruction_stands() -> None:
    """Behind the caller's, in the same message and the same text, as many chat templates take one alone."""
    two = [system(Part(text="Be kind.")), system(Part(text="Be brief."), role=content_pb2.ROLE_DEVELOPER)]
    messages = planned(asking(ANY, *two)).request.messages
    assert [message.role for message in messages] == [
        content_pb2.ROLE_SYSTEM,
        content_pb2.ROLE_DEVELOPER,
        content_pb2.ROLE_USER,
    ]
    assert messages[0] == two[0]
    [part] = messages[1].parts
    assert part.text.startswith("Be brief.\n\nAnswer with one JSON object")


def test_what_is_cached_stays_as_it_is() -> None:
    """The instruction goes behind the mark: what stands before it is read from the cache as ever."""
    cached = Part(text="A long text.", cache=CacheBreakpoint())
    messages = planned(asking(ANY, system(cached))).request.messages
    assert messages[0].parts[0] == cached
    assert len(messages[0].parts) == 2

    odd = Part(text="A text.", extras={"anthropic": '{"x":1}'})
    assert planned(asking(ANY, system(odd))).request.messages[0].parts[0] == odd


def test_instructions_alone() -> None:
    """A conversation of instructions keeps its order."""
    request = ChatRequest(model="m", messages=[system(Part(text="Speak."))], response_format=ANY)
    [message] = planned(request).request.messages
    assert message.parts[0].text.startswith("Speak.\n\n")


@pytest.mark.parametrize("text", ["{", "[]", "3", "null", '"x"', '{"type":"text"}', '{"properties":[]}', "{" * 9999])
def test_what_is_no_schema_is_refused(text: str) -> None:
    """The field is named; a target that has schemas itself says so itself."""
    request = asking(ResponseFormat(json_schema=JsonSchema(schema_json=text)))
    with pytest.raises(GatewayError) as caught:
        plan_of(request, "tool")
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    assert caught.value.param == "response_format.json_schema.schema_json"
    assert "`response_format.json_schema.schema_json`" in caught.value.message
    assert plan_of(request, "native") is None


def test_a_schema_that_is_missing() -> None:
    """Any object will do."""
    plan = planned(asking(ResponseFormat(json_schema=JsonSchema(name="x"))))
    assert (plan.tool, plan.schema) == ("", None)
