"""Strategies for the messages of the contract that Gemini's dialect can hold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from laws.values import json_objects

from trunkline.dialects.wire import text_of
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Finish, ReasoningConfig, Tool, Usage
from trunkline.v1.content_pb2 import Media, Message, Opaque, Part, Reasoning, ToolCall

WORDS = st.text(min_size=1, max_size=12)
COUNTS = st.integers(0, 2**20)


def own(**fields: Any) -> dict[str, str]:
    """Extras of Gemini's dialect."""
    return {"gemini": text_of(fields)}


SIGNED = st.sampled_from([{}, own(thoughtSignature="c2ln+/==")])
THOUGHTS = st.sampled_from([own(thought=True), own(thought=True, thoughtSignature="c2ln")])


def media() -> st.SearchStrategy[Part]:
    """A medium, inline or by address."""
    return st.sampled_from(
        [
            Part(media=Media(media_type="image/png", uri="data:image/png;base64,aGk=", filename="a.png")),
            Part(media=Media(media_type="application/pdf", uri="gs://bucket/a.pdf"), extras=own(videoMetadata={})),
        ]
    )


@st.composite
def answering(draw: st.DrawFn, ids: list[str]) -> list[Part]:
    """The parts of an answer: no two follow each other that Gemini takes for one."""
    parts: list[Part] = []
    for _ in range(draw(st.integers(0, 4))):
        match draw(st.sampled_from(["text", "signed", "thought", "call", "media", "opaque"])):
            case "text" if not parts or parts[-1].WhichOneof("kind") != "text" or parts[-1].extras:
                parts.append(Part(text=draw(WORDS)))
            case "signed":
                parts.append(Part(text=draw(st.text(max_size=5)), extras=own(thoughtSignature="YQ==")))
            case "thought" if not parts or parts[-1].WhichOneof("kind") != "reasoning":
                parts.append(Part(reasoning=Reasoning(text=draw(WORDS)), extras=draw(THOUGHTS)))
            case "call":
                ids.append(f"id{len(ids)}")
                call = ToolCall(id=ids[-1], name=draw(WORDS), arguments_json=text_of(draw(json_objects())))
                parts.append(Part(tool_call=call, extras=draw(SIGNED)))
            case "media":
                parts.append(draw(media()))
            case "opaque":
                parts.append(Part(opaque=Opaque(dialect="gemini", json=text_of({"executableCode": {"code": "1"}}))))
    return parts


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """Any request within the dialect's reach."""
    request = ChatRequest(model="m")
    if draw(st.booleans()):
        parts = [Part(text=text) for text in draw(st.lists(WORDS, min_size=1, max_size=2))]
        request.messages.add(role=content_pb2.ROLE_SYSTEM, parts=parts)
    ids: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        parts = draw(st.lists(st.one_of(WORDS.map(lambda text: Part(text=text)), media()), min_size=1, max_size=3))
        request.messages.add(role=content_pb2.ROLE_USER, parts=parts)
        first = len(ids)
        parts = draw(answering(ids))
        if parts:
            request.messages.add(role=content_pb2.ROLE_ASSISTANT, parts=parts)
        names = {part.tool_call.id: part.tool_call.name for part in parts if part.HasField("tool_call")}
        if ids[first:]:
            request.messages.append(draw(resulting({name: names[name] for name in ids[first:]})))
    request.tools.extend(draw(st.lists(tools(), max_size=2)))
    if any(tool.HasField("function") for tool in request.tools):
        request.tool_choice.CopyFrom(
            draw(
                st.sampled_from([chat_pb2.ToolChoice(mode=mode) for mode in (1, 2, 3)])
                | st.just(chat_pb2.ToolChoice(name="f"))
            )
        )
    if draw(st.booleans()):
        request.sampling.temperature = draw(st.floats(0, 2))
        request.sampling.seed = draw(st.integers(-(2**31), 2**31 - 1))
        request.max_output_tokens = draw(st.integers(1, 1000))
        request.choice_count = draw(st.integers(1, 8))
        request.stop_sequences.extend(draw(st.lists(WORDS, max_size=2)))
    if draw(st.booleans()):
        request.reasoning.CopyFrom(
            draw(
                st.sampled_from(
                    [
                        ReasoningConfig(effort="low", summary="auto"),
                        ReasoningConfig(budget_tokens=100, summary="none"),
                        ReasoningConfig(enabled=False, summary="none"),
                        ReasoningConfig(enabled=True, summary="auto"),
                    ]
                )
            )
        )
    return request


@st.composite
def resulting(draw: st.DrawFn, calls: dict[str, str]) -> Message:
    """The results of calls, in any order."""
    message = Message(role=content_pb2.ROLE_TOOL)
    for call_id in draw(st.permutations(list(calls))):
        result = message.parts.add().tool_result
        result.tool_call_id, result.name = call_id, calls[call_id]
        result.failed = draw(st.booleans())
        text = st.sampled_from(["warm", "", "[1]"])
        result.parts.add().text = draw(text if result.failed else text | st.just('{"degrees":21}'))
        if draw(st.booleans()):
            result.parts.append(Part(media=Media(media_type="image/png", uri="data:image/png;base64,aGk=")))
    return message


@st.composite
def tools(draw: st.DrawFn) -> Tool:
    """A function, or a tool that Google runs."""
    if draw(st.integers(0, 3)) == 0:
        return Tool(native=Opaque(dialect="gemini", json='{"googleSearch":{}}'))
    tool = Tool(extras=draw(st.sampled_from([{}, own(behavior="BLOCKING")])))
    tool.function.name, tool.function.description = draw(WORDS), draw(st.text(max_size=5))
    schema = draw(
        st.sampled_from(
            [
                {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]},
                {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "string"}}},
                None,
            ]
        )
    )
    if schema is not None:
        tool.function.parameters_json = text_of(schema)
    return tool


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    """Any answer within the dialect's reach."""
    response = ChatResponse(id=draw(WORDS), model=draw(WORDS), extras=draw(st.sampled_from([{}, own(modelStatus=1)])))
    ids: list[str] = []
    for index in range(draw(st.integers(1, 2))):
        parts = draw(answering(ids))
        calls = any(part.HasField("tool_call") for part in parts)
        finish = draw(
            st.sampled_from(
                [
                    Finish(reason=3 if calls else 1, native_reason="STOP"),
                    Finish(reason=chat_pb2.FINISH_REASON_LENGTH, native_reason="MAX_TOKENS"),
                    Finish(reason=chat_pb2.FINISH_REASON_CONTENT_FILTER, native_reason="SPII"),
                ]
            )
        )
        choice = response.choices.add(
            index=index, finish=finish, extras=draw(st.sampled_from([{}, own(avgLogprobs=-1)]))
        )
        choice.message.role = content_pb2.ROLE_ASSISTANT
        choice.message.parts.extend(parts)
    if draw(st.booleans()):
        thoughts = draw(COUNTS)
        usage = Usage(
            input_tokens=draw(COUNTS),
            output_tokens=thoughts + draw(COUNTS),
            reasoning_output_tokens=thoughts,
            cached_input_tokens=draw(COUNTS),
        )
        response.usage.CopyFrom(usage)
    return response
