"""Tools that come again: what is remembered of them changes nothing but the time that they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from trunkline.dialects import anthropic, bedrock, gemini, openai, responses
from trunkline.dialects.known import Memo, open_request
from trunkline.dialects.wire import Json, Object, dumps, loads, opened
from trunkline.errors import GatewayError
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Function, Tool
from trunkline.v1.content_pb2 import CacheBreakpoint, Message, Part

SCHEMA = '{"type":"object","properties":{"order":{"type":"string","description":"' + "x" * 600 + '"}}}'
FUNCTIONS = [
    Function(name="plain", description="Looks", parameters_json=SCHEMA),
    Function(name="bare"),
    Function(name="strict", parameters_json=SCHEMA, strict=True),
    Function(name="loose", parameters_json=SCHEMA, strict=False),
]
TOOLS = [
    *(Tool(function=one) for one in FUNCTIONS),
    Tool(function=FUNCTIONS[0], cache=CacheBreakpoint()),
    Tool(function=FUNCTIONS[0], extras={"openai": '{"x":1}'}),
]

Read = Callable[[Object], ChatRequest]
Write = Callable[[ChatRequest], dict[str, Json]]
DIALECTS: list[tuple[Read, Write]] = [
    (openai.decode_request, openai.encode_request),
    (anthropic.decode_request, anthropic.encode_request),
    (responses.decode_request, responses.encode_request),
    (gemini.decode_request, gemini.encode_request),
]
each_dialect = pytest.mark.parametrize(("read", "write"), DIALECTS, ids=["openai", "anthropic", "responses", "gemini"])


def asking(tools: list[Tool]) -> ChatRequest:
    """A request with `tools`, long enough that they are looked up."""
    said = Message(role=content_pb2.ROLE_USER, parts=[Part(text="Hello " * 400)])
    return ChatRequest(model="m", messages=[said], tools=tools)


@each_dialect
def test_they_are_read_alike_each_time(read: Read, write: Write) -> None:
    """As text, whether known or not, and as values."""
    body = dumps(write(asking(TOOLS)))
    assert type(open_request(body)["tools"]) is msgspec.Raw
    told = [read(Object(open_request(body))) for _ in range(3)] + [read(Object(loads(body)))]
    assert all(one == told[0] for one in told)
    assert len(told[0].tools) == len(TOOLS)


@pytest.mark.parametrize("profile", ["claude-3-haiku-20240307", "claude-opus-4-6"])
def test_what_depends_on_the_model_is_written_for_each(profile: str) -> None:
    """Strictness, which the older one has not."""
    for _ in range(2):
        losses: list[Any] = []
        wire = loads(dumps(anthropic.encode_request(asking(TOOLS), anthropic.profile_of(profile), losses)))
        assert ("strict" in wire["tools"][3]) == (profile == "claude-opus-4-6")
        assert any(loss.field == "tools[2].function.strict" for loss in losses) == (profile != "claude-opus-4-6")


@pytest.mark.parametrize(
    "write", [*(write for _, write in DIALECTS), bedrock.encode_request], ids=lambda write: write.__module__
)
def test_they_are_written_alike_each_time(write: Write) -> None:
    """In any order, and among others."""
    whole = dumps(write(asking(TOOLS)))
    for some in (TOOLS[:1], TOOLS[1:], TOOLS[::-1]):
        write(asking(some))
    assert dumps(write(asking(TOOLS))) == whole


@each_dialect
def test_errors_name_the_same_field(read: Read, write: Write) -> None:
    """What is wrong is never remembered."""
    wire = loads(dumps(write(asking(TOOLS))))
    wire["tools"].append(5)
    body = dumps(wire)
    for given in (open_request(body), open_request(body), loads(body)):
        with pytest.raises(GatewayError) as told:
            read(Object(given))
        assert told.value.param == f"tools[{len(wire['tools']) - 1}]"


@pytest.mark.parametrize(
    "body",
    [
        b'{"tools":[' + b"[" * 300 + b"]" * 300 + b"]}" + b" " * 2048,
        b'{"messages":' + b"[" * 300 + b"]" * 300 + b',"tools":[]}' + b" " * 2048,
        b'{"tools":[{]}' + b" " * 2048,
        b'{"tools":["\xff"]}' + b" " * 2048,
        b'{"a":1,"tools":[]' + b" " * 2048,
    ],
    ids=["deep tools", "deep", "broken tools", "no text", "cut"],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """At once, or when the tools are read."""
    with pytest.raises(GatewayError):
        opened(open_request(body)["tools"])


def test_what_is_no_object_is_given_as_it_is() -> None:
    """And so is a body without tools, or one that is too short or too long to look."""
    padding = " " * 2048
    assert open_request(f'["\\"tools\\""]{padding}'.encode()) == ['"tools"']
    assert open_request(b'{"tools":[]}') == {"tools": []}
    assert open_request(b'{"tools":[]}' + b" " * 200_000) == {"tools": []}
    assert opened(open_request(f'{{"tools":[1,{{"a":2}}]}}{padding}'.encode())["tools"]) == [1, {"a": 2}]
    assert opened(None) is None


def test_a_memo_is_bounded() -> None:
    """The first goes first, and what is too large is not held at all."""
    memo = Memo(1600)
    for number in range(20):
        memo.put(b"%02d" % number, b"x" * 98)
    assert [number for number in range(20) if memo.get(b"%02d" % number) is not None] == list(range(4, 20))
    memo.put(b"large", b"x" * 200)
    assert memo.get(b"large") is None
    memo.put(b"19", b"other")
    assert memo.get(b"19") == b"x" * 98
