"""Conversations that are too long for their model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.call import Call
from trunkline.core.estimate import estimate_tokens
from trunkline.core.fold import fold
from trunkline.core.plugin import Plugins
from trunkline.errors import GatewayError
from trunkline.plugins.context_compression import ContextCompression
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, Plugin
from trunkline.v1.content_pb2 import Message, Part

SYSTEM, USER = content_pb2.ROLE_SYSTEM, content_pb2.ROLE_USER
ASSISTANT, TOOL = content_pb2.ROLE_ASSISTANT, content_pb2.ROLE_TOOL


async def compressed(messages: list[Message], context: int | None, **fields: Any) -> tuple[ChatRequest, Call]:
    """What is sent of `messages` to a model of that context."""

    async def known(model: str) -> int | None:
        return context

    request = ChatRequest(model="m", messages=messages, plugins=[Plugin(id="middle-out")], **fields)
    before = request.SerializeToString(deterministic=True)
    call = Call("id", "grpc")
    prepared = await Plugins([ContextCompression(known)]).prepare(request, call)
    assert request.SerializeToString(deterministic=True) == before
    return prepared.request, call


def says(role: int, text: str) -> Message:
    """A message of one text."""
    return Message(role=role, parts=[Part(text=text)])  # type: ignore[arg-type]


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Conversations in which tools are called, some at once, and some messages are long."""
    texts = st.integers(1, 400).map(lambda words: "word " * words) | st.integers(1, 200).map(
        lambda words: "слово " * words
    )
    messages = [says(SYSTEM, draw(texts))] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 8))):
        messages.append(says(USER, f"{turn}: {draw(texts)}"))
        for step in range(draw(st.integers(0, 2))):
            ids = [f"{turn}/{step}/{number}" for number in range(draw(st.integers(1, 3)))]
            calls = [Part(tool_call={"id": one, "name": "f", "arguments_json": "{}"}) for one in ids]
            messages.append(Message(role=ASSISTANT, parts=calls))
            results = [Part(tool_result={"tool_call_id": one, "parts": [Part(text=draw(texts))]}) for one in ids]
            if draw(st.booleans()):
                messages.append(Message(role=TOOL, parts=results))
            else:
                messages.extend(Message(role=TOOL, parts=[result]) for result in results)
        if draw(st.booleans()):
            messages.append(says(ASSISTANT, draw(texts)))
    return messages


@given(messages=conversations(), context=st.integers(50, 3000))
@settings(max_examples=150, deadline=None)
async def test_what_must_stay_stays(messages: list[Message], context: int) -> None:
    """Instructions, the first message and the user's last one stay as they are; calls keep their results; it is shorter
    where it was too long, and untouched where it was not."""
    sent, call = await compressed(messages, context, max_output_tokens=10)
    before = estimate_tokens(ChatRequest(messages=messages))
    if before + 10 <= context:
        assert list(sent.messages) == messages
        assert not call.plugins
        return
    assert [one for one in sent.messages if one.role == SYSTEM] == [one for one in messages if one.role == SYSTEM]
    spoken = [one for one in messages if one.role != SYSTEM]
    assert next(one for one in sent.messages if one.role != SYSTEM) == spoken[0]
    last = [one for one in messages if one.role == USER][-1]
    assert [one for one in sent.messages if one.role == USER][-1] == last
    calls = [part.tool_call.id for one in sent.messages for part in one.parts if part.HasField("tool_call")]
    results = [
        part.tool_result.tool_call_id for one in sent.messages for part in one.parts if part.HasField("tool_result")
    ]
    assert calls == results
    assert sent.messages[-1].role == messages[-1].role
    after = estimate_tokens(sent)
    assert after <= before
    kept = [one for one in messages if one.role == SYSTEM] + [spoken[0], last, spoken[-1]]
    if len(messages) > 20 and after + 10 > context:
        assert after <= estimate_tokens(ChatRequest(messages=kept)) + 400


async def test_the_middle_goes_first_and_it_is_told() -> None:
    """What is nearest to the middle is removed, as much as is needed and no more; the answer tells."""
    messages = [says((USER, ASSISTANT)[index % 2], f"{index} " + "word " * 100) for index in range(21)]
    context = estimate_tokens(ChatRequest(messages=messages)) - 250
    sent, call = await compressed(messages, context, max_output_tokens=1)
    assert context - 120 < estimate_tokens(sent) <= context - 1
    assert sent.messages[0] == messages[0]
    assert list(sent.messages[-8:]) == messages[-8:]
    assert call.plugins["context-compression.removed_messages"] >= 2
    assert sum(call.plugins.values()) == 3


async def test_the_answer_tells_what_was_removed() -> None:
    """The note stands in the extras of the message, whole and streamed alike."""

    async def known(model: str) -> int | None:
        return 200

    messages = [says(USER, "word " * 100) for _ in range(10)]
    request = ChatRequest(model="m", messages=messages, plugins=[Plugin(id="context-compression")])
    prepared = await Plugins([ContextCompression(known)]).prepare(request, Call("id", "grpc"))
    answer = ChatResponse(choices=[{"message": {"role": ASSISTANT, "parts": [Part(text="Hi")]}}])
    told = prepared.answer(answer).choices[0].message.extras["trunkline"]
    assert '"removed_messages":8' in told
    events = [ChatEvent(start={}), ChatEvent(choice_end={})]
    assert fold(prepared.stream(events)).choices[0].message.extras["trunkline"] == told


@pytest.mark.parametrize("context", [None, 1_000_000])
async def test_nothing_is_done_without_need(context: int | None) -> None:
    """A request that fits, or to a model of which nothing is known, is the same object."""
    messages = [says(USER, "Hi")]
    sent, _ = await compressed(messages, context)
    assert list(sent.messages) == messages


async def test_a_large_result_is_shortened_where_it_must_stay() -> None:
    """The result of the last call keeps its begin and its end."""
    result = "BEGIN " + "data " * 5000 + "END"
    messages = [
        says(USER, "Look."),
        Message(role=ASSISTANT, parts=[Part(tool_call={"id": "a", "name": "f"})]),
        Message(role=TOOL, parts=[Part(tool_result={"tool_call_id": "a", "parts": [Part(text=result)]})]),
    ]
    sent, _ = await compressed(messages, 1000, max_output_tokens=100)
    text = sent.messages[2].parts[0].tool_result.parts[0].text
    assert text.startswith("BEGIN")
    assert text.endswith("END")
    assert estimate_tokens(sent) <= 900


async def test_another_engine_is_refused() -> None:
    """The error names the option."""

    async def known(model: str) -> int | None:
        return None

    plugin = Plugin(id="context-compression", options_json='{"engine":"outside-in"}')
    with pytest.raises(GatewayError) as caught:
        await Plugins([ContextCompression(known)]).prepare(ChatRequest(plugins=[plugin]), Call("id", "grpc"))
    assert caught.value.param == "plugins[0].engine"
