"""What Cohere refuses of a request to `POST /v2/chat` (docs.cohere.com/reference/chat)."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

FIELDS = frozenset(
    [
        "citation_options",
        "documents",
        "frequency_penalty",
        "k",
        "logprobs",
        "max_tokens",
        "messages",
        "model",
        "p",
        "presence_penalty",
        "priority",
        "response_format",
        "safety_mode",
        "seed",
        "stop_sequences",
        "stream",
        "strict_tools",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
    ]
)
KEYS = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "tool_plan", "citations"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
BLOCKS = {
    "system": frozenset({"text"}),
    "user": frozenset({"text", "image_url"}),
    "assistant": frozenset({"text", "thinking"}),
    "tool": frozenset({"text", "document"}),
}
BOUNDS = {
    "frequency_penalty": (0, 1),
    "presence_penalty": (0, 1),
    "k": (0, 500),
    "p": (0.01, 0.99),
    "temperature": (0, 5),
    "seed": (0, 2**64 - 1),
    "max_tokens": (1, 2**31 - 1),
    "priority": (0, 999),
}
MODELS = ("command-a-03-2025", "command-a-reasoning-08-2025", "command-a-vision-07-2025")


class RefusedError(Exception):
    """A request that Cohere answers with `status`."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def check(body: Json) -> None:
    """Raise `RefusedError` where Cohere would refuse `body`."""
    for key in sorted(body.keys() - FIELDS):
        raise RefusedError(f"unknown field: parameter {key} is not a valid field. For proper usage, see the docs", 422)
    for key in ("model", "messages"):
        if not body.get(key):
            raise RefusedError(f"invalid request: {key} is required", 422)
    if body["model"] not in MODELS:
        raise RefusedError(f"model '{body['model']}' not found, make sure the correct model ID was used", 404)
    _check_settings(body)
    _check_tools(body)
    for index, message in enumerate(body["messages"]):
        _check_message(message, f"messages[{index}]", body["model"])
    _check_calls(body["messages"])


def _check_settings(body: Json) -> None:
    for name, (least, most) in BOUNDS.items():
        if not least <= body.get(name, least) <= most:
            raise RefusedError(f"invalid request: {name} must be between {least} and {most} inclusive.")
    words = body.get("stop_sequences", [])
    if len(words) > 5 or not all(words):
        raise RefusedError("invalid request: stop_sequences must hold at most 5 sequences, none of them empty")
    thinking = body.get("thinking")
    if thinking is not None:
        if "reasoning" not in body["model"]:
            raise RefusedError(f"invalid request: thinking is not supported by the model {body['model']}")
        if thinking.keys() - {"type", "token_budget"} or thinking["type"] not in ("enabled", "disabled"):
            raise RefusedError("invalid request: thinking is malformed", 422)
        if thinking.get("token_budget", 1) < 1:
            raise RefusedError("invalid request: thinking.token_budget must be a positive integer")


def _check_tools(body: Json) -> None:
    tools = body.get("tools")
    if body.get("tool_choice", "REQUIRED") not in ("REQUIRED", "NONE"):
        raise RefusedError("invalid request: tool_choice must be REQUIRED or NONE", 422)
    if "tool_choice" in body and not tools:
        raise RefusedError("invalid request: tool_choice requires tools")
    for tool in tools or ():
        function = tool.get("function", {})
        if tool.get("type") != "function" or not function.get("name") or tool.keys() - {"type", "function"}:
            raise RefusedError("invalid request: a tool must be a function with a name", 422)
        if function.keys() - {"name", "description", "parameters"}:
            raise RefusedError("unknown field: a function has a name, a description and parameters", 422)
        if function.get("parameters", {}).get("type") != "object":
            raise RefusedError(f"invalid request: the parameters of {function['name']} must be of type object")
    form = body.get("response_format")
    if form is None:
        return
    if form.get("type") not in ("text", "json_object") or form.keys() - {"type", "json_schema"}:
        raise RefusedError("invalid request: response_format is malformed", 422)
    if form["type"] == "json_object" and (tools or body.get("documents")):
        raise RefusedError("invalid request: response_format is not supported with tools or documents")
    schema = form.get("json_schema")
    if schema is not None and (schema.get("type") != "object" or not schema.get("required")):
        raise RefusedError("invalid request: json_schema must be of type object, with at least one required field")


def _check_message(message: Json, place: str, model: str) -> None:
    role = message.get("role")
    if role not in KEYS:
        raise RefusedError(f"invalid request: {place}.role is not valid", 422)
    for key in message.keys() - KEYS[role]:
        raise RefusedError(f"unknown field: parameter {place}.{key} is not a valid field.", 422)
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if not blocks and not message.get("tool_calls"):
        raise RefusedError(f"invalid request: {place} must have content or tool calls")
    for block in blocks:
        kind = block["type"]
        if kind not in BLOCKS[role]:
            raise RefusedError(f"invalid request: {kind} is no content of {place}", 422)
        if role == "user" and kind == "text" and not block["text"] and len(blocks) == 1:
            raise RefusedError(f"invalid request: {place}: message must be at least 1 token long")
        if kind == "image_url" and "vision" not in model:
            raise RefusedError(f"invalid request: images are not supported by the model {model}")


def _check_calls(messages: list[Json]) -> None:
    """Each call has its result right behind it, and no result is without its call."""
    wanted: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in wanted:
                raise RefusedError("invalid request: tool call id not found in previous tool calls")
            wanted.discard(message["tool_call_id"])
            continue
        if wanted:
            raise RefusedError("invalid request: each tool call must be followed by a tool message with its result")
        for call in message.get("tool_calls") or ():
            try:
                arguments = json.loads(call["function"]["arguments"])
            except ValueError:
                arguments = None
            if not isinstance(arguments, dict):
                raise RefusedError("invalid request: the arguments of a tool call must be a JSON object")
            wanted.add(call["id"])
    if wanted:
        raise RefusedError("invalid request: each tool call must be followed by a tool message with its result")
    if messages[-1]["role"] not in ("user", "tool"):
        raise RefusedError("invalid request: the last message must be from the user or a tool")
