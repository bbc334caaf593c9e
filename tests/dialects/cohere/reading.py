"""Recorded requests of Cohere's as the contract holds them: Cohere is no surface, so only tests read them."""

from __future__ import annotations

import json
from typing import Any

from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Function, Tool
from trunkline.v1.content_pb2 import Media, Message, Opaque, Part, Reasoning, ToolCall, ToolResult

Json = dict[str, Any]

_ROLES = {
    "system": content_pb2.ROLE_SYSTEM,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "tool": content_pb2.ROLE_TOOL,
}
_SAMPLING = {"temperature": "temperature", "p": "top_p", "k": "top_k", "seed": "seed"}


def request_of(wire: Json) -> ChatRequest:
    """What a recorded request asks. What the contract has no field for is kept as its dialect's own."""
    rest = {key: value for key, value in wire.items() if key != "stream"}
    request = ChatRequest(model=rest.pop("model"), messages=[_message(one) for one in rest.pop("messages")])
    for tool in rest.pop("tools", ()):
        inner = tool["function"]
        parameters = json.dumps(inner["parameters"])
        function = Function(name=inner["name"], description=inner.get("description", ""), parameters_json=parameters)
        request.tools.append(Tool(function=function))
    match rest.pop("tool_choice", None):
        case "REQUIRED":
            request.tool_choice.mode = chat_pb2.ToolChoice.MODE_REQUIRED
        case "NONE":
            request.tool_choice.mode = chat_pb2.ToolChoice.MODE_NONE
    form = rest.pop("response_format", None)
    if form is not None and "json_schema" in form:
        request.response_format.json_schema.schema_json = json.dumps(form["json_schema"])
    elif form is not None:
        request.response_format.json_object.SetInParent()
    for key, name in _SAMPLING.items():
        if key in rest:
            setattr(request.sampling, name, rest.pop(key))
    if "max_tokens" in rest:
        request.max_output_tokens = rest.pop("max_tokens")
    request.stop_sequences.extend(rest.pop("stop_sequences", ()))
    if "thinking" in rest:
        request.reasoning.enabled = rest.pop("thinking")["type"] == "enabled"
    if rest:
        request.extras["cohere"] = json.dumps(rest)
    return request


def _message(wire: Json) -> Message:
    parts = [_part(block) for block in _blocks(wire.get("content"))]
    if wire["role"] == "tool":
        parts = [Part(tool_result=ToolResult(tool_call_id=wire["tool_call_id"], parts=parts))]
    if "tool_plan" in wire:
        parts.append(Part(reasoning=Reasoning(text=wire["tool_plan"]), extras={"cohere": '{"tool_plan":true}'}))
    for call in wire.get("tool_calls", ()):
        function = call["function"]
        made = ToolCall(id=call["id"], name=function["name"], arguments_json=function["arguments"])
        parts.append(Part(tool_call=made))
    return Message(role=_ROLES[wire["role"]], parts=parts)


def _part(block: Json) -> Part:
    match block["type"]:
        case "text":
            return Part(text=block["text"])
        case "image_url":
            return Part(media=Media(media_type="image/*", uri=block["image_url"]["url"]))
        case "thinking":
            return Part(reasoning=Reasoning(text=block["thinking"]), extras={"cohere": "{}"})
        case _:
            return Part(opaque=Opaque(dialect="cohere", json=json.dumps(block)))


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def canonical(wire: Json) -> Json:
    """A recorded request in the form in which it is written.

    1. How the answer comes is asked for by the provider: `stream` is not there.
    2. A content that is one text is that text.
    3. `detail` of an image is what it is where nothing is said.
    4. What is null, and a description that is empty, say nothing.
    """
    kept = {key: value for key, value in wire.items() if key != "stream"}
    if "tools" in kept:
        kept["tools"] = [{**tool, "function": _said(tool["function"])} for tool in kept["tools"]]
    kept["messages"] = [_canonical(message) for message in wire["messages"]]
    return kept


def _said(function: Json) -> Json:
    return {key: value for key, value in function.items() if value != ""}


def _canonical(message: Json) -> Json:
    message = {key: value for key, value in message.items() if value is not None}
    content = message.get("content")
    if not isinstance(content, list):
        return message
    blocks = [_without_detail(block) for block in content]
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return {**message, "content": blocks[0]["text"]}
    return {**message, "content": blocks}


def _without_detail(block: Json) -> Json:
    if block["type"] != "image_url":
        return block
    return {**block, "image_url": {key: value for key, value in block["image_url"].items() if key != "detail"}}
