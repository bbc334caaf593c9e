"""Requests that cannot be read: each is refused by name, whatever it holds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wire.recordings import chats

from trunkline.call import Loss
from trunkline.core.check import Limits, check
from trunkline.dialects import openai
from trunkline.dialects.openai.request import take_stream
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
REFUSALS = (errors_pb2.ERROR_REASON_INVALID_REQUEST, errors_pb2.ERROR_REASON_UNSUPPORTED)


def read(body: bytes) -> None:
    """Read a body as the surface does, and write it for each sort of server."""
    value = loads(body)
    wire = Object(value if isinstance(value, dict) else {})
    take_stream(wire)
    request = openai.decode_request(wire)
    check(request, Limits())
    for profile in (openai.Profile(), openai.Profile(reasoning="thinking"), openai.Profile(reasoning=None)):
        losses: list[Loss] = []
        dumps(openai.encode_request(request, profile, losses))


def refused(body: bytes) -> GatewayError:
    """Why a body is refused."""
    with pytest.raises(GatewayError) as raised:
        read(body)
    assert raised.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    return raised.value


def asking(*messages: Any, **fields: Any) -> dict[str, Any]:
    """A request."""
    return {"model": "m", "messages": list(messages) or [USER], **fields}


def part(value: Any) -> dict[str, Any]:
    """A request whose first message holds a part."""
    return asking({"role": "user", "content": [value]})


def call(value: Any) -> dict[str, Any]:
    """A request whose second message calls a tool."""
    return asking(USER, {"role": "assistant", "tool_calls": [value]})


def tool(value: Any) -> dict[str, Any]:
    """A request with a tool."""
    return asking(tools=[value])


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        (
            asking(USER, USER, part({"type": "image_url", "image_url": 7})["messages"][0]),
            "messages[2].content[0].image_url",
        ),
        (part({"type": "image_url", "image_url": {}}), "messages[0].content[0].image_url.url"),
        (part({"type": "image_url", "image_url": {"url": 7}}), "messages[0].content[0].image_url.url"),
        (part({"type": "input_audio", "input_audio": {"data": "x"}}), "messages[0].content[0].input_audio.format"),
        (part({"type": "input_audio"}), "messages[0].content[0].input_audio.format"),
        (part({"type": "file", "file": {"filename": []}}), "messages[0].content[0].file.filename"),
        (part({"type": "file", "file": {}}), "messages[0].content[0].file.file_data"),
        (part({"type": "text", "text": {}}), "messages[0].content[0].text"),
        (part({"type": "text"}), "messages[0].content[0].text"),
        (part({"type": ["text"]}), "messages[0].content[0].type"),
        (part({"type": {}}), "messages[0].content[0].type"),
        (part("text"), "messages[0].content[0]"),
        (part(None), "messages[0].content[0]"),
        (asking({"role": "user", "content": {}}), "messages[0].content"),
        (asking({"role": "user"}), "messages[0].content"),
        (asking({"role": "user", "content": "x", "name": 1}), "messages[0].name"),
        (asking({"role": ["user"], "content": "x"}), "messages[0].role"),
        (asking({"role": "User", "content": "x"}), "messages[0].role"),
        (asking(USER, {"role": "assistant", "refusal": 1}), "messages[1].refusal"),
        (asking(USER, {"role": "assistant", "reasoning_content": []}), "messages[1].reasoning_content"),
        (asking(USER, {"role": "assistant", "reasoning_details": {}}), "messages[1].reasoning_details"),
        (asking(USER, {"role": "assistant", "tool_calls": {}}), "messages[1].tool_calls"),
        (asking(USER, {"role": "assistant", "function_call": {}}), "messages[1].function_call.name"),
        (call(7), "messages[1].tool_calls[0]"),
        (call({"id": 7, "function": {"name": "f"}}), "messages[1].tool_calls[0].id"),
        (call({"id": "c", "function": {"name": 7}}), "messages[1].tool_calls[0].function.name"),
        (call({"id": "c", "function": {"name": "f", "arguments": 7}}), "messages[1].tool_calls[0].function.arguments"),
        (call({"id": "c", "function": []}), "messages[1].tool_calls[0].function"),
        (call({"id": "c", "type": 7}), "messages[1].tool_calls[0].type"),
        (call({"type": "custom", "custom": {}}), "messages[1].tool_calls[0].id"),
        (call({"id": "c", "index": "0", "function": {"name": "f"}}), "messages[1].tool_calls[0].index"),
        (asking({"role": "tool", "tool_call_id": 1, "content": "x"}), "messages[0].tool_call_id"),
        (asking({"role": "function", "content": "x"}), "messages[0].name"),
        (tool(7), "tools[0]"),
        (tool({}), "tools[0].type"),
        (tool({"type": 7}), "tools[0].type"),
        (tool({"type": "function"}), "tools[0].function"),
        (tool({"type": "function", "function": {"name": 7}}), "tools[0].function.name"),
        (tool({"type": "function", "function": {"name": "f", "parameters": []}}), "tools[0].function.parameters"),
        (tool({"type": "function", "function": {"name": "f", "strict": 1}}), "tools[0].function.strict"),
        (asking(tool_choice=7), "tool_choice"),
        (asking(tool_choice={"type": "function"}), "tool_choice.function"),
        (asking(tool_choice={"type": "function", "function": {"name": 7}}), "tool_choice.function.name"),
        (asking(response_format="json"), "response_format"),
        (asking(response_format={}), "response_format.type"),
        (asking(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (
            asking(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": []}}),
            "response_format.json_schema.schema",
        ),
        (asking(temperature=10**400), "temperature"),
        (asking(temperature=True), "temperature"),
        (asking(seed=2**63), "seed"),
        (asking(seed=0.5), "seed"),
        (asking(max_tokens=1e300), "max_tokens"),
        (asking(stop=["a", 7]), "stop[1]"),
        (asking(stop=7), "stop"),
        (asking(logprobs="yes"), "logprobs"),
        (asking(logprobs=True, top_logprobs=-1), "top_logprobs"),
        (asking(parallel_tool_calls=1), "parallel_tool_calls"),
        (asking(user=7), "user"),
        (asking(reasoning_effort=7), "reasoning_effort"),
        (asking(stream_options={"include_usage": 1}), "stream_options.include_usage"),
    ],
)
def test_a_wrong_type_names_its_path(wire: dict[str, Any], param: str) -> None:
    """At any depth; the message names it, too, and is short."""
    error = refused(dumps(wire))
    assert error.param == param
    assert f"`{param}`" in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","messages":NaN}',
        b'{"model":"m","temperature":Infinity}',
        b'{"model":"m","temperature":1e999,"messages":[]}',
        b'{"model":"m","x":' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model":"m","x":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"model":"m","x":"\\ud800","y":' + b"[" * 300 + b"]" * 300 + b"}",
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """And so is JSON that nests deeper than anything that walks it later could bear."""
    assert len(refused(body).message) < 400


def test_a_lone_surrogate_is_replaced() -> None:
    """JavaScript writes one where it cuts a text in the middle of a character; UTF-8 has no form for it."""
    value = loads(b'{"a\\ud800":["\\udfff","\\ud83d\\ude00"]}')
    assert value == {"a\ufffd": ["\ufffd", "\N{GRINNING FACE}"]}


def test_the_last_of_two_equal_keys_counts() -> None:
    """As in every client's own parser."""
    assert loads(b'{"a":1,"a":2}') == {"a": 2}


def test_tools_without_parameters_are_taken() -> None:
    """Qwen Code sends them so."""
    read(dumps(tool({"type": "function", "function": {"name": "f"}})))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
_KEYS = (
    *("model", "messages", "role", "content", "name", "tool_calls", "tool_call_id", "id", "type", "function"),
    *("arguments", "parameters", "strict", "image_url", "url", "input_audio", "data", "format", "file", "file_data"),
    *("refusal", "reasoning", "reasoning_content", "reasoning_details", "extra_content", "cache_control", "ttl"),
    *("tools", "tool_choice", "response_format", "json_schema", "schema", "stop", "n", "seed", "logprobs"),
    *("top_logprobs", "stream", "stream_options", "anthropic", "blocks", "thinking", "text", "function_call"),
    *("index", "length", "openai"),
)
_SHAPED = st.recursive(
    st.sampled_from(["user", "assistant", "tool", "function", "text", "thinking", "openai", "x", "", 0, 1, -1, 0.5])
    | st.none()
    | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=25,
)


def _read_or_refuse(body: bytes) -> None:
    """It is read and written, or refused: nothing else may happen."""
    refusal = None
    try:
        read(body)
    except GatewayError as error:
        refusal = error
    assert refusal is None or refusal.reason in REFUSALS


def _survives(wire: Any) -> None:
    _read_or_refuse(dumps(wire))


@given(_JSON)
def test_any_json_is_read_or_refused(wire: Any) -> None:
    """Alone, or in the place of the messages."""
    _survives(wire)
    _survives({"model": "m", "messages": wire})
    _survives({"model": "m", "messages": [wire]})


@given(_SHAPED)
@example([{"role": "assistant", "content": [{"type": "thinking", "thinking": [None]}]}])
@example([{"role": "user", "content": [{"type": "thinking", "thinking": "x"}]}])
@example(
    [{"role": "assistant", "reasoning": "x", "reasoning_details": [{"format": "openai", "length": 1, "data": "{}"}]}]
)
def test_json_of_known_keys_is_read_or_refused(wire: Any) -> None:
    """The keys that the dialect knows, with what it does not expect behind them."""
    _survives({"model": "m", "messages": wire})
    _survives({"model": "m", "messages": [{"role": "assistant", "content": wire, "tool_calls": wire}]})
    _survives({"model": "m", "messages": [USER, wire], "tools": [wire], "tool_choice": wire, "response_format": wire})


_RECORDED = [one.request for one in chats() if one.request is not None]


@given(st.sampled_from(_RECORDED), st.data())
def test_a_recorded_request_that_was_changed_is_read_or_refused(body: bytes, data: st.DataObject) -> None:
    """A few values of a real request, replaced at random places."""
    wire = copy.deepcopy(loads(body))
    for _ in range(data.draw(st.integers(1, 3))):
        node, key = _any_place(wire, data)
        node[key] = data.draw(_SHAPED)
    _survives(wire)


def _any_place(wire: Any, data: st.DataObject) -> tuple[Any, Any]:
    node, key = wire, data.draw(st.sampled_from(sorted(wire)))
    while isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 3)):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    return node, key


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Bytes that need not be JSON."""
    _read_or_refuse(body)
