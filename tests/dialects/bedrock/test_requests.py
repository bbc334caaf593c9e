"""Requests: read, written, and accepted by botocore's own description of the API."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from dialects.bedrock.cases import (
    REQUESTS,
    asking,
    each,
    load,
    message,
    model_of,
    read_request,
    write_request,
)
from dialects.bedrock.equivalent import canonical
from wire.recordings import Recording

from trunkline.call import Loss
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2

LOST = {"bedrock/converse/dd-trace-bedrock-converse-score": "response_format"}
"""What is left out, as the model is too old to hold its answer to a schema: Bedrock passed it over."""


@cache
def shape() -> Any:
    """What botocore knows of a request."""
    model = botocore.session.Session().get_service_model("bedrock-runtime")
    return model.operation_model("Converse").input_shape


def problems(wire: Any) -> str:
    """What botocore finds wrong with a request."""
    report = ParamValidator().validate({"modelId": "m", **wire}, shape())
    return str(report.generate_report())


@each(REQUESTS)
def test_request_is_lossless_on_the_wire(recording: Recording) -> None:
    """Reading and writing a recorded request gives it back, up to what the API does not see."""
    assert recording.request is not None
    wire = load(recording.request)
    losses: list[Loss] = []
    again = write_request(read_request(wire), model_of(recording), losses)
    lost = LOST.get(recording.id)
    if lost is not None:
        wire.pop("outputConfig")
    assert canonical(again) == canonical(wire)
    assert [loss.field for loss in losses] == ([lost] if lost else [])


@each([one for one in REQUESTS if one.request is not None and not problems(load(one.request))])
def test_written_request_is_valid_for_botocore(recording: Recording) -> None:
    """What is written of a request is valid by botocore's description wherever the recording itself is."""
    assert recording.request is not None
    assert problems(write_request(read_request(load(recording.request)), model_of(recording))) == ""


def test_every_setting_has_its_place() -> None:
    """What the contract has a field for is read into it, and leaves nothing behind."""
    schema = '{"type":"object","properties":{}, "additionalProperties":false}'
    wire = asking(
        message("user", {"text": "Hi"}),
        system=[{"text": "Be kind."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        inferenceConfig={"maxTokens": 5, "temperature": 0.5, "topP": 0.75, "stopSequences": ["END"]},
        toolConfig={
            "tools": [
                {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}}},
                {"cachePoint": {"type": "default"}},
            ],
            "toolChoice": {"tool": {"name": "f"}},
        },
        additionalModelRequestFields={"top_k": 7},
        outputConfig={
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": schema, "name": "n", "description": "d"}},
            }
        },
        serviceTier={"type": "flex"},
    )
    request = read_request(wire)
    assert not request.extras
    assert request.messages[0].role == content_pb2.ROLE_SYSTEM
    assert request.messages[0].parts[0].cache.ttl.seconds == 3600
    assert (request.max_output_tokens, list(request.stop_sequences)) == (5, ["END"])
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.top_k) == (0.5, 0.75, 7)
    assert request.tools[0].HasField("cache")
    assert request.tool_choice.name == "f"
    assert request.response_format.json_schema.schema_json == schema
    assert request.service_tier == "flex"
    assert write_request(request, "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/x") == wire


def test_what_the_contract_does_not_know_comes_back() -> None:
    """Settings and blocks that are Bedrock's alone are kept at their level, unknown ones too."""
    wire = asking(
        message(
            "user",
            {"text": "Hi", "newKey": 1},
            {"guardContent": {"text": {"text": "check", "qualifiers": ["query"]}}},
            {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
            {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/a.png", "bucketOwner": "1"}}}},
            {"document": {"name": "d", "source": {"text": "inline"}, "format": "txt"}},
            {"newBlock": {"a": [1.0, None]}},
        ),
        guardrailConfig={"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"},
        performanceConfig={"latency": "optimized"},
        requestMetadata={"team": "x"},
        promptVariables={"a": {"text": "b"}},
        additionalModelRequestFields={"anthropic_beta": ["x"], "thinking": {"type": "between_tools"}},
        additionalModelResponseFieldPaths=["/a"],
        inferenceConfig={"newSetting": 2},
        toolConfig={"tools": [{"systemTool": {"name": "nova_grounding"}}], "toolChoice": {"newChoice": {}}},
        newField={"b": 1},
    )
    request = read_request(wire)
    assert write_request(request) == wire
    assert request.messages[0].parts[3].media.uri == "s3://b/a.png"


def test_results_of_tools_keep_their_form() -> None:
    """Text, JSON, images, documents and searches in a result, and that it failed."""
    image = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
    result = {
        "toolUseId": "t",
        "content": [
            {"text": "a"},
            {"json": {"b": 1.0, "a": [2]}},
            {"json": "plain"},
            image,
            {"searchResult": {"source": "s", "title": "t", "content": []}},
        ],
        "status": "error",
    }
    calls = message("assistant", {"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}})
    tools = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
    wire = asking(message("user", {"text": "Hi"}), calls, message("user", {"toolResult": result}), toolConfig=tools)
    request = read_request(wire)
    read = request.messages[2].parts[0].tool_result
    assert read.failed
    assert [part.text for part in read.parts[:3]] == ["a", '{"b":1.0,"a":[2]}', '"plain"']
    assert write_request(request) == wire


def test_marks_stand_behind_what_they_mark() -> None:
    """A cache point belongs to the part in front of it; one that has none, or is of another form, is kept as it is."""
    point = {"cachePoint": {"type": "default"}}
    wire = asking(message("user", point, {"text": "a"}, point, point, {"text": "b"}, {"cachePoint": {"type": "new"}}))
    request = read_request(wire)
    assert [part.HasField("cache") for part in request.messages[0].parts] == [False, True, False, False, False]
    assert write_request(request) == wire


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        ({}, "messages"),
        ({"messages": 5}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages[0].content[0]"),
        ({"messages": [message("user", {"toolUse": {"name": "f"}})]}, "messages[0].content[0].toolUse.toolUseId"),
        ({"messages": [], "inferenceConfig": {"maxTokens": "x"}}, "inferenceConfig.maxTokens"),
        ({"messages": [], "inferenceConfig": {"stopSequences": [1]}}, "inferenceConfig.stopSequences[0]"),
        ({"messages": [], "toolConfig": {"tools": [{"toolSpec": {}}]}}, "toolConfig.tools[0].toolSpec.name"),
        ({"messages": [], "system": "text"}, "system"),
    ],
)
def test_what_is_wrong_is_named(wire: Any, param: str) -> None:
    """A request of another shape is refused, and the field at fault is named."""
    with pytest.raises(GatewayError) as caught:
        read_request(wire)
    assert (caught.value.name, caught.value.param) == ("INVALID_REQUEST", param)


def test_large_media_is_carried_as_text() -> None:
    """Base64 goes through as it is, neither read nor made anew."""
    data = base64.b64encode(b"\xff\xd8" * 50_000).decode()
    image = {"image": {"format": "jpeg", "source": {"bytes": data}}}
    request = read_request(asking(message("user", {"text": "see"}, image)))
    assert request.messages[0].parts[1].media.uri == f"data:image/jpeg;base64,{data}"
    assert write_request(request)["messages"][0]["content"][1] == image


def test_tool_choices() -> None:
    """The choices that Converse knows are the contract's."""
    for choice, mode in (("auto", chat_pb2.ToolChoice.MODE_AUTO), ("any", chat_pb2.ToolChoice.MODE_REQUIRED)):
        tools = {
            "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}],
            "toolChoice": {choice: {}},
        }
        request = read_request(asking(message("user", {"text": "a"}), toolConfig=tools))
        assert request.tool_choice.mode == mode
        assert write_request(request)["toolConfig"] == tools
