"""Requests: lossless on the wire, and what Anthropic's own types take."""

from __future__ import annotations

import msgspec
import pytest
from anthropic.types import message_create_params as stable
from anthropic.types.beta import message_create_params as beta
from dialects.anthropic.cases import REQUESTS, asking, each, load, message, profile, read_request, write_request
from dialects.anthropic.equivalent import canonical
from pydantic import BaseModel, TypeAdapter, ValidationError
from wire.recordings import Recording

from trunkline.call import Loss
from trunkline.dialects import anthropic
from trunkline.dialects.wire import dumps
from trunkline.errors import GatewayError
from trunkline.v1 import content_pb2

STABLE = TypeAdapter(stable.MessageCreateParamsNonStreaming)
BETA = TypeAdapter(beta.MessageCreateParamsNonStreaming)
PASSED = frozenset({"temperature", "top_p", "top_k"})
"""Gone from the newest SDK's types, still taken by the API."""


def accepted(wire: dict[str, object]) -> bool:
    """Whether the SDK's types take a request."""
    body = {"model": "claude", **{key: value for key, value in wire.items() if key not in PASSED}}
    body.pop("anthropic_version", None)
    for adapter in (STABLE, BETA):
        try:
            drain(adapter.validate_python(body))
        except ValidationError:
            continue
        return True
    return False


def drain(value: object) -> None:
    """Walk what pydantic validates lazily."""
    if isinstance(value, dict):
        for item in value.values():
            drain(item)
    elif not isinstance(value, str | bytes | BaseModel) and hasattr(value, "__iter__"):
        for item in value:
            drain(item)


@each(REQUESTS)
def test_request_is_lossless_on_the_wire(recording: Recording) -> None:
    """Reading and writing a recorded request gives it back, up to the listed equivalences, and reports no loss."""
    assert recording.request is not None
    wire = load(recording.request)
    losses: list[Loss] = []
    written = load(dumps(anthropic.encode_request(read_request(wire), profile(recording), losses)))
    assert written == canonical(wire)
    assert losses == []


@each(REQUESTS)
def test_request_is_valid_for_the_sdk(recording: Recording) -> None:
    """What is written of a recorded request is valid by the SDK's types wherever the recording itself is."""
    assert recording.request is not None
    wire = load(recording.request)
    if not accepted(canonical(wire)):
        wire = {**wire, "tools": [], "messages": [message("user", {"type": "text", "text": "Hello"})]}
    assert accepted(load(dumps(anthropic.encode_request(read_request(wire), profile(recording)))))


def test_unknown_keys_come_back_at_their_level() -> None:
    """A key that nobody knows is written back where it stood, at every level, numbers beyond 2^53 included."""
    wire = asking(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hello", "new_text": 9007199254740993},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png", "new": 1}, "new_image": True},
            ],
            "new_message": {"a": [1, {"b": None}]},
        },
        tools=[{"name": "f", "input_schema": {"type": "object"}, "new_tool": {"deep": [1]}}],
        tool_choice={"type": "auto", "new_choice": 1},
        thinking={"type": "adaptive", "new_thinking": 1},
        output_config={"effort": "high", "new_output": 1},
        metadata={"user_id": "u", "new_metadata": 1},
        new_top={"x": 1},
        container={"id": "c", "skills": []},
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        mcp_servers=[{"type": "url", "url": "https://x", "name": "m"}],
    )
    assert write_request(read_request(wire)) == wire


def test_mid_conversation_system_messages_are_read_in_place() -> None:
    """`system` above the messages is the first message; one between turns stays where it is."""
    wire = asking(
        message("user", {"type": "text", "text": "1"}),
        {"role": "system", "content": "from now on"},
        message("assistant", {"type": "text", "text": "2"}),
        system="first",
    )
    roles = [one.role for one in read_request(wire).messages]
    assert roles == [
        content_pb2.ROLE_SYSTEM,
        content_pb2.ROLE_USER,
        content_pb2.ROLE_SYSTEM,
        content_pb2.ROLE_ASSISTANT,
    ]


def test_results_are_told_from_what_stands_beside_them() -> None:
    """A user's turn with tool results and more is two messages of the contract, and one turn again."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    wire = asking(
        {"role": "user", "content": "go"},
        message("assistant", call),
        message(
            "user", {"type": "tool_result", "tool_use_id": "toolu_1", "content": "5"}, {"type": "text", "text": "?"}
        ),
    )
    request = read_request(wire)
    assert [one.role for one in request.messages[2:]] == [content_pb2.ROLE_TOOL, content_pb2.ROLE_USER]
    assert write_request(request) == wire


def test_bedrock_and_vertex_variants_have_no_model() -> None:
    """Without a model, and with the version in the body, a request goes through as it is."""
    wire = asking({"role": "user", "content": "hi"}, anthropic_version="bedrock-2023-05-31")
    del wire["model"]
    assert write_request(read_request(wire)) == wire


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        ({"max_tokens": 1}, "messages"),
        (asking(message("oracle")), "messages[0].role"),
        (asking({"role": "user"}), "messages[0].content"),
        (asking(message("user", {"text": "no type"})), "messages[0].content[0].type"),
        (asking(message("user", {"type": "text"})), "messages[0].content[0].text"),
        (asking(message("user", {"type": "text", "text": 5})), "messages[0].content[0].text"),
        (asking(message("user", {"type": "tool_result"})), "messages[0].content[0].tool_use_id"),
        (asking(system=5), "system"),
        (asking(thread={"type": "create"}), "thread"),
        (asking(stop_sequences=[1]), "stop_sequences[0]"),
        (asking(max_tokens="many"), "max_tokens"),
        (asking(tools=[{"type": "custom"}]), "tools[0].name"),
        (asking(tool_choice={}), "tool_choice.type"),
        (asking(thinking="yes"), "thinking"),
    ],
)
def test_a_malformed_request_names_its_field(wire: dict[str, object], param: str) -> None:
    """What cannot be read is refused, with the path of the field at fault."""
    with pytest.raises(GatewayError) as caught:
        read_request(wire)
    assert (caught.value.name, caught.value.param) == ("INVALID_REQUEST", param)


def test_minus_one_is_no_setting() -> None:
    """The API takes it of `top_p` and `top_k`, where older clients mean none."""
    wire = asking(message("user", {"type": "text", "text": "Hi"}))
    assert write_request(read_request({**wire, "top_p": -1, "top_k": -1})) == write_request(read_request(wire))


def test_media_are_not_decoded() -> None:
    """An image in base64 is carried as text: no copy is decoded on the way, and the bytes come back the same."""
    data = "A" * 1_000_000
    wire = asking(
        message("user", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
    )
    request = read_request(wire)
    assert request.messages[0].parts[0].media.uri == f"data:image/png;base64,{data}"
    assert write_request(request) == wire


def test_order_of_keys_in_schemas_and_arguments_is_kept() -> None:
    """Schemas and arguments keep the order of their keys."""
    schema = {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}}
    wire = asking(
        {"role": "user", "content": "go"},
        message("assistant", {"type": "tool_use", "id": "t", "name": "f", "input": {"z": 1, "a": 2}}),
        tools=[{"name": "f", "input_schema": schema}],
    )
    written = dumps(anthropic.encode_request(read_request(wire)))
    assert msgspec.json.encode(schema) in written
    assert b'{"z":1,"a":2}' in written
