"""The commonest shapes are read directly; the general reader must make the same of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.dialects import anthropic, bedrock, gemini, openai, responses
from trunkline.dialects.known import open_request
from trunkline.dialects.wire import Object, dumps, loads, text_of
from trunkline.errors import GatewayError
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Function, Tool
from trunkline.v1.content_pb2 import Message, Part, ToolCall, ToolResult

Read = Callable[[Object], ChatRequest]
Write = Callable[[ChatRequest], dict[str, Any]]


def read_gemini(wire: Object) -> ChatRequest:
    """From its text."""
    return gemini.decode_request(Object(open_request(dumps(wire.fields), gemini.TEXTS)))


def read_bedrock(wire: Object) -> ChatRequest:
    """From its text."""
    return bedrock.decode_request(Object(open_request(dumps(wire.fields), bedrock.TEXTS)))


DIALECTS: dict[str, tuple[Read, Write]] = {
    "openai": (openai.decode_request, openai.encode_request),
    "responses": (responses.decode_request, responses.encode_request),
    "anthropic": (anthropic.decode_request, anthropic.encode_request),
    "gemini": (read_gemini, gemini.encode_request),
    "bedrock": (read_bedrock, bedrock.encode_request),
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


INPUTS = [
    b'{"a":1}',
    b'{ "a" : [1.50, 1e3] }',
    b'{"output":"x"}',
    b'{"a":"\\ud83d\\ude00"}',
    b'{"a":"\\ud800"}',
    b'{"a":"\xff"}',
    b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"a":1,"a":2}',
    b"[]",
    b'"text"',
    b"null",
    b"7",
    b"{",
    b'{"a":tru}',
]
"""What may stand where an object must."""

BODIES = {
    "gemini": (
        gemini.decode_request,
        gemini.TEXTS,
        (
            b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]},{"role":"model","parts":[{"functionCall":{"id":"c",'
            b'"name":"find","args":%b}}]},{"role":"user","parts":[{"functionResponse":{"id":"c","name":"find",'
            b'"response":%b}}]}]}'
        ),
    ),
    "bedrock": (
        bedrock.decode_request,
        bedrock.TEXTS,
        (
            b'{"messages":[{"role":"user","content":[{"text":"Hi"}]},{"role":"assistant","content":[{"toolUse":'
            b'{"toolUseId":"c","name":"find","input":%b}}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"find",'
            b'"description":"Finds","inputSchema":{"json":%b}}}]}}'
        ),
    ),
}


def said(read: Read, wire: Callable[[], Any]) -> str:
    """What is read, its JSON compact; or that it is refused."""
    try:
        request = read(Object(wire()))
    except GatewayError as error:
        return error.name
    for message in request.messages:
        for part in message.parts:
            if part.HasField("tool_call"):
                part.tool_call.arguments_json = text_of(loads(part.tool_call.arguments_json))
            for inner in part.tool_result.parts:
                inner.text = text_of(loads(inner.text)) if inner.text.startswith("{") else inner.text
    return str(request)


@pytest.mark.parametrize("value", INPUTS, ids=range(len(INPUTS)))
@pytest.mark.parametrize("dialect", BODIES)
def test_a_text_is_read_as_its_values_are(dialect: str, value: bytes) -> None:
    """Whatever stands in it, hostile or not: the same request comes of it, or it is refused alike."""
    read, texts, body = BODIES[dialect]
    for given in (body % (value, b"{}"), body % (b"{}", value)):
        assert said(read, lambda text=given: open_request(text, texts)) == said(read, lambda text=given: loads(text))


@pytest.mark.parametrize("value", [b"null", b"7", b'"Hi"', b"[7]", b"[null]", b'[["Hi"]]', b"[]", b"{}", b"[{}]"])
@pytest.mark.parametrize(("dialect", "key"), [("gemini", "contents"), ("bedrock", "messages")])
def test_what_is_no_conversation_is_read_as_its_values_are(dialect: str, key: str, value: bytes) -> None:
    """The errors name the same field."""
    read, texts, _ = BODIES[dialect]
    body = b'{"%b":%b}' % (key.encode(), value)
    told = []
    for opened in (open_request(body, texts), loads(body)):
        try:
            told.append(str(read(Object(opened))))
        except GatewayError as error:
            told.append(error.message)
    assert told[0] == told[1]
