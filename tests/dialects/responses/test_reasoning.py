"""Reasoning that goes back to whom it came from, over many turns and through clients of this API."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.responses.cases import answer_of, decode, encode, request_of

from trunkline.core.fold import fold, unfold
from trunkline.dialects import responses
from trunkline.dialects.wire import dumps, loads
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Choice
from trunkline.v1.content_pb2 import Message, Part, ToolCall


def _answer(turn: int) -> list[dict[str, Any]]:
    """What the model says in one turn: reasoning of several sorts, a text and two calls."""
    return [
        {
            "type": "reasoning",
            "id": f"rs_{turn}a",
            "summary": [
                {"type": "summary_text", "text": f"**One**\n\n{turn}"},
                {"type": "summary_text", "text": "ü\n"},
            ],
            "encrypted_content": f"gAAAA+/{turn}==",
        },
        {
            "type": "message",
            "id": f"msg_{turn}",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": []}],
        },
        {"type": "reasoning", "id": f"rs_{turn}b", "summary": [], "encrypted_content": f"gBBB{turn}"},
        *(
            {
                "type": "function_call",
                "id": f"fc_{turn}{name}",
                "call_id": f"call_{turn}{name}",
                "name": name,
                "arguments": '{"a": 1}',
                "status": "completed",
            }
            for name in "fg"
        ),
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_twenty_turns_go_back_byte_by_byte(streamed: bool) -> None:
    """Every item of twenty answers stands before the results of its calls, as the server wrote it."""
    request = request_of(dumps({"model": "m", "input": "Go"}))
    expected: list[Any] = [{"role": "user", "content": "Go"}]
    for turn in range(20):
        output = _answer(turn)
        response = answer_of({"id": f"r{turn}", "status": "completed", "output": output})
        if streamed:
            response = fold(decode(encode(unfold(response))))
        request.messages.append(response.choices[0].message)
        expected += output
        for name in "fg":
            result = request.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result
            result.tool_call_id = f"call_{turn}{name}"
            result.parts.add().text = "5"
            expected.append({"type": "function_call_output", "call_id": result.tool_call_id, "output": "5"})
    assert loads(dumps(responses.encode_request(request)))["input"] == expected


def test_a_changed_text_is_sent_with_the_reasoning_it_came_with() -> None:
    """Where a text is not the one that was cut, it is one summary; the encrypted content stays."""
    part = answer_of({"id": "r", "output": _answer(0)}).choices[0].message.parts[0]
    part.reasoning.text = "hidden"
    request = ChatRequest(messages=[Message(role=content_pb2.ROLE_ASSISTANT, parts=[part])])
    (item,) = responses.encode_request(request)["input"]
    assert item["summary"] == [{"type": "summary_text", "text": "hidden"}]
    assert item["encrypted_content"] == "gAAAA+/0=="


FOREIGN = [
    Part(reasoning={"text": "hm"}, extras={"anthropic": '{"signature":"s1"}'}),
    Part(reasoning={"redacted": True}, extras={"anthropic": '{"data":"opaque"}'}),
    Part(text="Hi", extras={"gemini": '{"thoughtSignature":"t1"}'}),
    Part(tool_call=ToolCall(id="c1", name="f", arguments_json="{}"), extras={"gemini": '{"thoughtSignature":"t2"}'}),
    Part(tool_call=ToolCall(id="c2", name="f", arguments_json="{}")),
    Part(opaque={"dialect": "anthropic", "json": '{"type":"server_tool_use","id":"x"}'}),
]
"""What another provider says, with what it needs back."""


def _foreign() -> ChatResponse:
    message = Message(role=content_pb2.ROLE_ASSISTANT, parts=FOREIGN)
    return ChatResponse(id="r", choices=[Choice(message=message)])


def _streamed() -> list[Any]:
    response: list[Any] = loads(encode(unfold(_foreign()))[-1])["response"]["output"]
    return response


@pytest.mark.parametrize("output", [responses.encode_response(_foreign())["output"], _streamed()])
def test_what_others_need_survives_a_client_of_this_api(output: list[Any]) -> None:
    """Signatures, redacted reasoning and blocks come back with the items of the next request, byte by byte."""
    back = request_of(dumps({"model": "m", "input": [{"role": "user", "content": "a"}, *output]}))
    parts = list(back.messages[1].parts)
    for part in parts:
        part.extras.pop("responses", None)
    assert parts == FOREIGN


def test_a_provider_of_this_api_gets_nothing_of_it() -> None:
    """What the client carries for others is not sent upstream."""
    output = responses.encode_response(_foreign())["output"]
    back = request_of(dumps({"model": "m", "input": [{"role": "user", "content": "a"}, *output]}))
    wire = dumps(responses.encode_request(back, []))
    assert b"trunkline1" not in wire
    assert not any(secret in wire for secret in (b"s1", b"opaque", b"t1", b"t2", b"server_tool_use"))


@pytest.mark.parametrize(
    "content",
    [
        "trunkline1:",
        "trunkline1:!!!",
        "trunkline1:bm8=",
        "trunkline1:e30=",
        "trunkline1:eyJraW5kIjoieCIsImV4dHJhcyI6e319",
    ],
)
def test_what_was_damaged_on_the_way_is_plain_reasoning(content: str) -> None:
    """A client that changed it gets no error for it."""
    item = {"type": "reasoning", "summary": [], "encrypted_content": content}
    request = request_of(dumps({"model": "m", "input": [item]}))
    assert request.messages[0].parts[0].WhichOneof("kind") == "reasoning"
