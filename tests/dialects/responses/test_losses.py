"""Requests of other callers: what Responses takes of them, and what it says of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.call import Loss, LossKind
from trunkline.dialects import openai, responses
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ReasoningConfig, Tool
from trunkline.v1.content_pb2 import Message, Part, ToolCall, ToolResult

PDF = "data:application/pdf;base64,AAAA"
SCHEMA = {"type": "object"}


def chat(**fields: Any) -> ChatRequest:
    """A request as OpenAI's Chat Completions have it."""
    return openai.decode_request(Object({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}))


def write(request: ChatRequest) -> tuple[dict[str, Any], list[Loss]]:
    """What goes out, and what is lost."""
    losses: list[Loss] = []
    wire = loads(dumps(responses.encode_request(request, losses)))
    assert isinstance(wire, dict)
    return wire, losses


def test_a_chat_is_translated_whole() -> None:
    """Roles, images, files, calls and results stand where Responses has them, in their order."""
    wire, losses = write(
        chat(
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                        {
                            "type": "file",
                            "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
                        },
                        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": "One moment",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "one"},
                {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
                {"role": "system", "content": "Now be long."},
            ],
            tools=[
                {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
            ],
            tool_choice={"type": "function", "function": {"name": "f"}},
            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True}},
            reasoning_effort="low",
            max_tokens=7,
            temperature=0.5,
            logprobs=True,
            top_logprobs=2,
        )
    )
    assert losses == []
    assert wire == {
        "model": "m",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look"},
                    {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"},
                    {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                ],
            },
            {"role": "assistant", "content": "One moment"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
            {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": "two"},
            {"role": "system", "content": "Now be long."},
        ],
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": False}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}},
        "reasoning": {"effort": "low"},
        "max_output_tokens": 7,
        "temperature": 0.5,
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
    }


def test_functions_are_not_made_strict() -> None:
    """Responses is strict where nothing is said; Chat Completions is not."""
    wire, _ = write(chat(tools=[{"type": "function", "function": {"name": "f"}}]))
    assert wire["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
    ]


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"stop": ["END"]}, "stop"),
        ({"seed": 7}, "seed"),
        ({"top_k": 3}, "top_k"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"n": 2}, "n"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"messages": [{"role": "user", "name": "Ann", "content": "Hi"}]}, "messages[0].name"),
        ({"tools": [{"type": "web_search_20250305"}]}, "tools[0].web_search_20250305"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}],
                    }
                ]
            },
            "cache_control",
        ),
    ],
)
def test_what_is_left_out_is_named(fields: dict[str, Any], lost: str) -> None:
    """By the name that the caller knows it by."""
    wire, losses = write(chat(**fields))
    assert losses == [Loss(lost)]
    assert not wire.keys() & {"stop", "seed", "top_k", "n", "logit_bias", "tools"}
    assert wire["input"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("config", "expected", "kinds"),
    [
        (ReasoningConfig(effort="minimal", summary="detailed"), {"effort": "minimal", "summary": "detailed"}, []),
        (ReasoningConfig(enabled=False), {"effort": "none"}, []),
        (ReasoningConfig(enabled=True), None, [LossKind.APPROXIMATED]),
        (ReasoningConfig(summary="none"), None, []),
        (ReasoningConfig(budget_tokens=0), {"effort": "none"}, [LossKind.APPROXIMATED]),
        (ReasoningConfig(budget_tokens=1024), {"effort": "low"}, [LossKind.APPROXIMATED]),
        (ReasoningConfig(budget_tokens=10000), {"effort": "medium"}, [LossKind.APPROXIMATED]),
        (ReasoningConfig(budget_tokens=32000), {"effort": "high"}, [LossKind.APPROXIMATED]),
        (ReasoningConfig(effort="low", budget_tokens=9), {"effort": "low"}, [LossKind.DROPPED]),
    ],
)
def test_reasoning_is_asked_for_in_the_apis_words(
    config: ReasoningConfig, expected: Any, kinds: list[LossKind]
) -> None:
    """A budget becomes the effort that comes near it, and that is told."""
    request = chat()
    request.reasoning.CopyFrom(config)
    wire, losses = write(request)
    assert wire.get("reasoning") == expected
    assert [loss.kind for loss in losses] == kinds
    assert {loss.field for loss in losses} <= {"reasoning.budget_tokens", "reasoning.enabled"}


def test_reasoning_of_others_is_left_out_without_a_word() -> None:
    """It goes back to its origin alone: never as a made-up item."""
    request = chat()
    parts = [
        Part(reasoning={"text": "hm"}, extras={"anthropic": '{"signature":"s"}'}),
        Part(reasoning={"text": "hm"}),
        Part(text="Hi"),
    ]
    request.messages.append(Message(role=content_pb2.ROLE_ASSISTANT, parts=parts))
    wire, losses = write(request)
    assert wire["input"][1:] == [{"role": "assistant", "content": "Hi"}]
    assert losses == []


def test_blocks_of_others_are_left_out_and_named() -> None:
    """As is a turn that they leave empty."""
    request = chat()
    block = Part(opaque={"dialect": "anthropic", "json": '{"type":"web_search_tool_result"}'})
    request.messages.append(Message(role=content_pb2.ROLE_ASSISTANT, parts=[block]))
    request.messages.append(Message(role=content_pb2.ROLE_USER, parts=[block, Part(text="Go on")]))
    request.tools.append(Tool(native={"dialect": "gemini", "json": '{"googleSearch":{}}'}))
    wire, losses = write(request)
    assert wire["input"][1:] == [{"role": "user", "content": "Go on"}]
    assert [loss.field for loss in losses] == [
        "messages[1].web_search_tool_result",
        "messages[2].web_search_tool_result",
        "tools[0].gemini",
    ]


def test_nothing_of_other_dialects_leaks() -> None:
    """No byte of what another dialect keeps is in the request."""
    request = chat()
    secret = dict.fromkeys(("openai", "anthropic", "gemini", "bedrock"), '{"secret":"hunter2"}')
    request.extras.update(secret)
    parts = [
        Part(text="a", extras=secret),
        Part(reasoning={"text": "b"}, extras=secret),
        Part(tool_call=ToolCall(id="c", name="f"), extras=secret),
    ]
    request.messages.append(Message(role=content_pb2.ROLE_ASSISTANT, parts=parts, extras=secret))
    result = Part(tool_result=ToolResult(tool_call_id="c", parts=[Part(text="d", extras=secret)]), extras=secret)
    request.messages.append(Message(role=content_pb2.ROLE_TOOL, parts=[result]))
    request.tools.add(extras=secret).function.name = "f"
    wire, losses = write(request)
    assert b"hunter2" not in dumps(wire)
    assert {loss.field for loss in losses} == {
        "secret",
        "messages[1].secret",
        "messages[2].secret",
        "tools[0].secret",
    }


def test_a_failed_result_is_told_apart_by_its_words_alone() -> None:
    """There is no mark for it."""
    request = chat()
    request.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call.id = "c"
    result = ToolResult(tool_call_id="c", parts=[Part(text="It broke.")], failed=True)
    request.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result.CopyFrom(result)
    wire, losses = write(request)
    assert wire["input"][-1] == {"type": "function_call_output", "call_id": "c", "output": "It broke."}
    assert losses == [Loss("messages[2].is_error")]


def test_calls_without_an_id_are_matched_by_name() -> None:
    """Each gets an id, the same each time; the results take them in order."""
    request = chat()
    for _ in range(2):
        request.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call.name = "f"
        request.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result.name = "f"
    (first, _), (second, _) = write(request), write(request)
    assert first == second
    ids = [item["call_id"] for item in first["input"][1:]]
    assert ids[0] == ids[1] != ids[2] == ids[3]


@pytest.mark.parametrize(
    "media",
    [
        {"media_type": "video/mp4", "uri": "https://a/b.mp4"},
        {"media_type": "audio/wav", "uri": "https://a/b.wav"},
        {"media_type": "image/png"},
    ],
)
def test_media_that_no_part_can_hold_are_refused(media: dict[str, Any]) -> None:
    """Leaving them out would change what is said."""
    request = chat()
    request.messages[0].parts.add().media.CopyFrom(content_pb2.Media(**media))
    with pytest.raises(GatewayError) as caught:
        write(request)
    assert (caught.value.name, caught.value.param) == ("UNSUPPORTED", "messages[0].parts[1]")


def test_bytes_are_written_as_a_data_url() -> None:
    """As callers of gRPC send them; a file without a name gets one, which the API requires."""
    request = chat()
    request.messages[0].parts.add().media.CopyFrom(content_pb2.Media(media_type="image/png", data=b"\x00"))
    request.messages[0].parts.add().media.CopyFrom(content_pb2.Media(media_type="application/pdf", data=b"\x00"))
    request.messages[0].parts.add().media.CopyFrom(content_pb2.Media(media_type="audio/wav", data=b"\x00"))
    wire, _ = write(request)
    assert wire["input"][0]["content"][1:] == [
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA=="},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "file.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
