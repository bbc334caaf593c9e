"""What a client sends back: signatures byte for byte, and only to whom they belong."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from dialects.anthropic.asking import ASSISTANT, TOOL, USER, call, result, said, written
from dialects.anthropic.cases import (
    asking,
    framed,
    read_answer,
    read_request,
    read_stream,
    whole,
    write_answer,
    write_request,
    write_stream,
)
from dialects.anthropic.test_streams import expected

from trunkline.core.fold import unfold
from trunkline.dialects import anthropic, openai
from trunkline.dialects.anthropic.carry import is_packed
from trunkline.dialects.wire import dumps, text_of
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Finish
from trunkline.v1.content_pb2 import Opaque, Part, Reasoning

ROUNDS = 20


def turn(number: int) -> list[dict[str, Any]]:
    """An answer with everything that must come back as it was."""
    return [
        {"type": "thinking", "thinking": f"Step {number}.\n", "signature": secrets.token_urlsafe(200) + "=+/"},
        {"type": "redacted_thinking", "data": secrets.token_urlsafe(100)},
        {"type": "thinking", "thinking": "", "signature": secrets.token_urlsafe(64)},
        {"type": "text", "text": "  I will look.  "},
        {"type": "server_tool_use", "id": f"srvtoolu_{number}", "name": "web_search", "input": {"query": "é"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": f"srvtoolu_{number}",
            "content": [{"encrypted_content": "x+/="}],
        },
        {
            "type": "tool_use",
            "id": f"toolu_{number}",
            "name": "f",
            "input": {"n": number, "f": 1.0},
            "caller": {"type": "x"},
        },
    ]


def answer(content: list[dict[str, Any]]) -> dict[str, Any]:
    """A whole answer with `content`."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": "tool_use",
        "usage": usage,
    }


@pytest.mark.parametrize("streamed", [False, True])
def test_twenty_turns_survive_byte_for_byte(streamed: bool) -> None:
    """A conversation of many rounds with thinking, withheld thinking, server tools and calls goes through the gateway
    and back again and again, whole or streamed, and what Anthropic gets is what it said."""
    said_so_far: list[Any] = [{"role": "user", "content": "go"}]
    client: list[Any] = list(said_so_far)
    for number in range(ROUNDS):
        content = turn(number)
        response = read_answer(answer(content))
        if streamed:
            upstream = framed(write_stream(unfold(response)))
            response = whole(read_stream(framed(write_stream(read_stream(upstream)))))
        outcome = {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": "1"}],
        }
        client += [{"role": "assistant", "content": write_answer(response)["content"]}, outcome]
        said_so_far += [{"role": "assistant", "content": content}, outcome]
        assert write_request(read_request(asking(*client)))["messages"] == said_so_far


def foreign_answer() -> ChatResponse:
    """An answer of other dialects, with what each needs back."""
    response = ChatResponse(id="r", model="m")
    choice = response.choices.add(finish=Finish(reason=chat_pb2.FINISH_REASON_TOOL_CALLS))
    choice.message.role = ASSISTANT
    signed = {"gemini": '{"thoughtSignature":"CiQB"}'}
    choice.message.parts.extend(
        [
            Part(reasoning=Reasoning(text="Hmm."), extras={"openai": '{"encrypted_content":"gAAA"}'}),
            Part(reasoning=Reasoning(redacted=True), extras={"responses": '{"id":"rs_1"}'}),
            Part(text="Hello", extras=signed),
            Part(opaque=Opaque(dialect="responses", json='{"type":"web_search_call","id":"ws_1"}')),
            Part(tool_call=call("f", "call_1", '{"a":1}').tool_call, extras=signed),
            Part(tool_call=call("f", "call_2", '{"a":1}').tool_call),
        ]
    )
    return response


@pytest.mark.parametrize("streamed", [False, True])
def test_what_other_dialects_need_survives_anthropics_clients(streamed: bool) -> None:
    """A client that sends every block back as it was brings other providers' signatures and blocks back, too."""
    response = foreign_answer()
    wire = write_answer(response)
    if streamed:
        wire = expected(framed(write_stream(unfold(response))))
    request = read_request(asking({"role": "user", "content": "go"}, {"role": "assistant", "content": wire["content"]}))
    assert list(request.messages[1].parts) == list(response.choices[0].message.parts)


def test_what_is_carried_never_reaches_anthropic() -> None:
    """Of what is carried for others, and of their reasoning, not a byte is sent to Anthropic."""
    wire = write_answer(foreign_answer())
    request = read_request(asking({"role": "user", "content": "go"}, {"role": "assistant", "content": wire["content"]}))
    body = dumps(anthropic.encode_request(request))
    for secret in (b"trunkline1", b"gAAA", b"rs_1", b"CiQB", b"ws_1", b"Hmm", b"thinking", b"signature"):
        assert secret not in body


@pytest.mark.parametrize(
    "sealed",
    ["trunkline1:", "trunkline1:%%%", "trunkline1:e30=", "trunkline1:W10=", "trunkline1:eyJjYWxsIjoibm9uZSJ9"],
)
def test_damaged_cargo_is_passed_over(sealed: str) -> None:
    """What a client broke is left out, and is no crash."""
    blocks = [{"type": "thinking", "thinking": "x", "signature": sealed}, {"type": "redacted_thinking", "data": sealed}]
    request = read_request(asking({"role": "assistant", "content": blocks}))
    assert list(request.messages[0].parts) == []


def test_cargo_cannot_pose_as_ours() -> None:
    """A client cannot make a signed block of Anthropic's out of what is carried for others."""
    part = Part(reasoning=Reasoning(text="x"), extras={"gemini": "{}", "anthropic": '{"signature":"s"}'})
    response = ChatResponse()
    response.choices.add().message.parts.append(part)
    block = write_answer(response)["content"][0]
    assert is_packed(block["signature"])
    request = read_request(asking({"role": "assistant", "content": [block]}))
    assert dict(request.messages[0].parts[0].extras) == {"gemini": "{}"}


def test_an_empty_signature_is_not_sent() -> None:
    """Reasoning that came without a signature goes back with an empty one, and not on to Anthropic."""
    blocks = [{"type": "thinking", "thinking": "x", "signature": ""}, {"type": "text", "text": "y"}]
    wire = write_request(
        read_request(asking({"role": "user", "content": "a"}, {"role": "assistant", "content": blocks}))
    )
    assert wire["messages"][1]["content"] == "y"


def test_no_dialect_leaks_into_another() -> None:
    """What one dialect keeps in extras is in no request of another."""
    marks = {name: f"only-{name}" for name in ("openai", "gemini", "anthropic", "bedrock")}
    extras = {name: text_of({"mark": mark}) for name, mark in marks.items()}
    request = ChatRequest(
        model="m",
        messages=[
            said(USER, Part(text="a", extras=extras)),
            said(ASSISTANT, Part(reasoning=Reasoning(text="b"), extras=extras), call()),
            said(TOOL, result(Part(text="c", extras=extras))),
        ],
        extras=extras,
    )
    request.messages[0].extras.update(extras)
    ours = dumps(anthropic.encode_request(request)).decode()
    theirs = dumps(openai.encode_request(request)).decode()
    assert [name for name, mark in marks.items() if mark in ours] == ["anthropic"]
    assert "only-anthropic" not in theirs
    _, losses = written(*request.messages, extras=request.extras)
    assert "mark" in losses
