"""The commonest shapes are read directly; the general reader must make the same of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.dialects import anthropic, bedrock, gemini, openai, responses
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Function, Tool
from trunkline.v1.content_pb2 import Message, Part, ToolCall, ToolResult

Read = Callable[[Object], ChatRequest]
Write = Callable[[ChatRequest], dict[str, Any]]

DIALECTS: dict[str, tuple[Read, Write]] = {
    "openai": (openai.decode_request, openai.encode_request),
    "responses": (responses.decode_request, responses.encode_request),
    "anthropic": (anthropic.decode_request, anthropic.encode_request),
    "gemini": (gemini.decode_request, gemini.encode_request),
    "bedrock": (bedrock.decode_request, bedrock.encode_request),
}

ITEMS = ("messages", "input", "contents", "content", "parts", "tools", "functionDeclarations", "tool_calls")
"""The arrays whose objects are read directly where they hold nothing uncommon."""

INNER = ("content", "parts", "tool_calls")
"""Those of them that stand in an item of another."""


def asking() -> ChatRequest:
    """A request of common shapes alone: texts, functions, a call and its result."""
    call = ToolCall(id="call_1", name="find", arguments_json='{"order":"8"}')
    result = ToolResult(tool_call_id="call_1", name="find", parts=[Part(text="found")])
    schema = '{"type":"object","properties":{"order":{"type":"string"}},"additionalProperties":false}'
    function = Function(name="find", description="Finds an order.", parameters_json=schema)
    return ChatRequest(
        model="m",
        messages=[
            Message(role=content_pb2.ROLE_SYSTEM, parts=[Part(text="Be brief.")]),
            Message(role=content_pb2.ROLE_USER, parts=[Part(text="Where is it?")]),
            Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(text="I look."), Part(tool_call=call)]),
            Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)]),
            Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(text="Here.")]),
        ],
        tools=[Tool(function=function)],
    )


def uncommon(value: Any, key: str = "") -> Any:
    """The same request, with a key in each item that counts as absent, as it is null, and yet makes it uncommon."""
    if isinstance(value, dict):
        return {name: uncommon(item, name) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    items = [uncommon(item) for item in value]
    # Each key of one of Gemini's tools is a tool itself.
    marked = key in ITEMS and not any("functionDeclarations" in item for item in items)
    return [{**item, "nothing": None} for item in items] if marked else items


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_common_shape_is_read_as_the_general_reader_reads_it(dialect: str) -> None:
    """A key that is null makes no difference, though it takes the other way through the reader."""
    read, write = DIALECTS[dialect]
    data = dumps(write(asking()))
    marked = dumps(uncommon(loads(data)))
    assert marked.count(b'"nothing":null') >= 6
    plain = read(Object(loads(data)))
    assert read(Object(loads(marked))) == plain
    assert not plain.extras
    assert plain.tools == asking().tools or dialect == "responses"  # which says `strict` of every function


def late(value: Any, key: str = "") -> Any:
    """The same request, uncommon in the last item of each array that stands in another's item."""
    if isinstance(value, dict):
        return {name: late(item, name) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    items = [late(item) for item in value]
    if key in INNER and len(items) > 1:
        items[-1] = {**items[-1], "nothing": None}
    return items


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_turns_out_to_be_uncommon_is_read_once(dialect: str) -> None:
    """A turn whose last call or result is uncommon leaves nothing of what was read directly in front of it."""
    read, write = DIALECTS[dialect]
    request = asking()
    for place, ids in ((2, ("call_2", "call_3")), (3, ("call_2", "call_3"))):
        first = request.messages[place].parts[-1]
        for call_id in ids:
            part = request.messages[place].parts.add()
            part.CopyFrom(first)
            if part.HasField("tool_call"):
                part.tool_call.id = call_id
            else:
                part.tool_result.tool_call_id = call_id
    data = dumps(write(request))
    marked = dumps(late(loads(data)))
    assert (b'"nothing":null' in marked) == (dialect != "responses")  # whose items stand in no other
    assert read(Object(loads(marked))) == read(Object(loads(data)))
