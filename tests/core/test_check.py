"""What every request must hold to."""

from __future__ import annotations

import math

import pytest

from trunkline.core.check import Limits, check
from trunkline.errors import GatewayError
from trunkline.v1 import content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Tool, ToolChoice
from trunkline.v1.content_pb2 import Message, Part

USER = content_pb2.ROLE_USER
ASSISTANT = content_pb2.ROLE_ASSISTANT
TOOL = content_pb2.ROLE_TOOL

_ASKING = Message(role=USER, parts=[Part(text="Hi")])
_CALLING = Message(role=ASSISTANT, parts=[Part(tool_call={"id": "c", "name": "f"})])
_RESULT = Message(role=TOOL, parts=[Part(tool_result={"tool_call_id": "c", "parts": [Part(text="r")]})])


def request(*messages: Message, **fields: object) -> ChatRequest:
    """A request that is right but for what is given."""
    return ChatRequest(**{"model": "m", "messages": messages or [_ASKING], **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "good",
    [
        request(),
        request(_ASKING, Message(role=ASSISTANT)),
        request(_ASKING, _CALLING, _RESULT),
        request(_ASKING, _CALLING, Message(role=USER, parts=[*_RESULT.parts, Part(text="and?")])),
        request(Message(role=ASSISTANT, parts=[Part(opaque={"dialect": "x", "json": "{}"})]), _RESULT),
        request(sampling={"top_k": -1, "temperature": 0}, choice_count=128, top_logprobs=0),
        request(tool_choice=ToolChoice(mode=ToolChoice.MODE_REQUIRED)),
    ],
)
def test_a_right_request_passes(good: ChatRequest) -> None:
    """What a target may answer is not refused."""
    check(good, Limits())


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        (request(model=""), "model"),
        (ChatRequest(model="m"), "messages"),
        (request(_ASKING, _ASKING, _ASKING), "messages"),
        (request(tools=[Tool(function={"name": "f"})] * 3), "tools"),
        (request(tools=[Tool()]), "tools"),
        (request(tools=[Tool(function={})]), "tools[0].function.name"),
        (request(tool_choice=ToolChoice(mode=99)), "tool_choice.mode"),  # type: ignore[arg-type]
        (request(sampling={"temperature": -0.1}), "sampling.temperature"),
        (request(sampling={"temperature": math.nan}), "sampling.temperature"),
        (request(sampling={"top_p": 1.1}), "sampling.top_p"),
        (request(sampling={"top_k": -2}), "sampling.top_k"),
        (request(sampling={"frequency_penalty": 3}), "sampling.frequency_penalty"),
        (request(sampling={"presence_penalty": -3}), "sampling.presence_penalty"),
        (request(max_output_tokens=0), "max_output_tokens"),
        (request(choice_count=129), "choice_count"),
        (request(top_logprobs=-1), "top_logprobs"),
        (request(Message(parts=[Part(text="Hi")])), "messages[0].role"),
        (request(Message(role=99, parts=[Part(text="Hi")])), "messages[0].role"),  # type: ignore[arg-type]
        (request(_ASKING, Message(role=USER)), "messages[1]"),
        (request(Message(role=USER, parts=[Part()])), "messages[0]"),
        (request(Message(role=USER, parts=_CALLING.parts)), "messages[0]"),
        (request(Message(role=USER, parts=[Part(reasoning={"text": "why"})])), "messages[0]"),
        (request(_RESULT, _CALLING), "messages[0]"),
        (request(_CALLING, Message(role=TOOL, parts=[Part(text="r")])), "messages[1]"),
        (
            request(_CALLING, Message(role=TOOL, parts=[Part(tool_result={"tool_call_id": "c", "parts": [Part()]})])),
            "messages[1]",
        ),
    ],
)
def test_a_wrong_request_names_the_field(bad: ChatRequest, param: str) -> None:
    """What no target can answer is refused before any is asked."""
    with pytest.raises(GatewayError) as raised:
        check(bad, Limits(messages=2, tools=2))
    assert raised.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    assert raised.value.param == param
