"""The whole answer of `POST /v2/chat`."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.cohere.request import DIALECT, PLAN
from trunkline.dialects.ids import call_id
from trunkline.dialects.wire import Json, Object, text_of
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Finish, FinishReason, Usage
from trunkline.v1.content_pb2 import Citation, Message, Part

_REASONS: Final[dict[str, FinishReason.ValueType]] = {
    "COMPLETE": chat_pb2.FINISH_REASON_STOP,
    "STOP_SEQUENCE": chat_pb2.FINISH_REASON_STOP,
    "MAX_TOKENS": chat_pb2.FINISH_REASON_LENGTH,
    "ERROR_LIMIT": chat_pb2.FINISH_REASON_LENGTH,
    "TOOL_CALL": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "ERROR_TOXIC": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. `wire` is lenient: what it holds of other shapes than the expected is kept as extras."""
    response = ChatResponse(id=wire.take_str("id") or "")
    choice = response.choices.add()
    choice.message.role = content_pb2.ROLE_ASSISTANT
    message = wire.take_object("message")
    if message is not None:
        _decode_message(message, choice.message, response.id)
    choice.finish.CopyFrom(decode_finish(wire.take_str("finish_reason") or ""))
    usage = wire.take_object("usage")
    if usage is not None:
        response.usage.CopyFrom(decode_usage(usage))
    wire.keep(response.extras, DIALECT)
    return response


def _decode_message(wire: Object, message: Message, response_id: str) -> None:
    wire.take("role")
    plan = wire.take_str("tool_plan")
    if plan:
        message.parts.append(plan_part(plan))
    content = wire.fields.get("content")
    if isinstance(content, str):
        wire.take("content")
        message.parts.add().text = content
    for block in wire.take_objects("content"):
        decode_block(block.fields, message.parts.add())
    texts = [part for part in message.parts if part.WhichOneof("kind") == "text"]
    for item in wire.take_objects("citations"):
        citation = decode_citation(item)
        if texts:
            texts[0].citations.append(citation)
    for position, call in enumerate(wire.take_objects("tool_calls")):
        function = call.take_object("function")
        tool_call = message.parts.add().tool_call
        tool_call.id = call.take_str("id") or call_id(response_id, 0, position)
        tool_call.name = (function.take_str("name") if function is not None else None) or ""
        tool_call.arguments_json = (function.take_str("arguments") if function is not None else None) or ""
    wire.keep(message.extras, DIALECT)


def plan_part(text: str) -> Part:
    """Cohere's `tool_plan`: what the model says to itself before it calls tools."""
    part = Part()
    part.reasoning.text = text
    part.extras[DIALECT] = PLAN
    return part


def decode_block(block: dict[str, Json], part: Part) -> None:
    """Read one block of content; a kind that the contract has none for is carried verbatim."""
    text, thinking = block.get("text"), block.get("thinking")
    if block.get("type") == "text" and isinstance(text, str):
        part.text = text
    elif block.get("type") == "thinking" and isinstance(thinking, str):
        part.reasoning.text = thinking
        part.extras[DIALECT] = "{}"
    else:
        part.opaque.dialect = DIALECT
        part.opaque.json = text_of(block)


def decode_citation(wire: Object) -> Citation:
    """Read one citation. What it cites stays in its extras, as a source can be a document or a tool's output."""
    citation = Citation(cited_text=wire.take_str("text") or "")
    start, end = wire.take_int("start", 0), wire.take_int("end", 0)
    if start is not None:
        citation.start_index = start
    if end is not None:
        citation.end_index = end
    wire.keep(citation.extras, DIALECT)
    return citation


def decode_finish(word: str) -> Finish:
    """Read a finish reason."""
    return Finish(reason=_REASONS.get(word.upper(), chat_pb2.FINISH_REASON_OTHER), native_reason=word)


def decode_usage(wire: Object) -> Usage:
    """Read a `usage` object: `tokens` is what the model saw and wrote, `billed_units` stays in the extras."""
    usage = Usage()
    tokens = wire.take_object("tokens")
    counted = tokens if tokens is not None else wire.take_object("billed_units")
    if counted is not None:
        inputs, outputs = counted.take_int("input_tokens", 0), counted.take_int("output_tokens", 0)
        reasoning = counted.take_int("reasoning_tokens", 0)
        if inputs is not None:
            usage.input_tokens = inputs
        if outputs is not None:
            usage.output_tokens = outputs
        if reasoning is not None:
            usage.reasoning_output_tokens = reasoning
    cached = wire.take_int("cached_tokens", 0)
    if cached is not None:
        usage.cached_input_tokens = cached
    wire.keep(usage.extras, DIALECT)
    return usage
