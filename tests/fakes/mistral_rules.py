"""What Mistral refuses of a request, in its own words."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from typing import Any

from fakes.chat_server import Json, RefusedError, parts_of
from mistralai.client.models import ChatCompletionRequest
from pydantic import ValidationError

_FIELDS = frozenset(field.alias or name for name, field in ChatCompletionRequest.model_fields.items())
_MESSAGES = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_PARTS = {
    "text": frozenset({"type", "text"}),
    "image_url": frozenset({"type", "image_url"}),
    "document_url": frozenset({"type", "document_url", "document_name"}),
    "file": frozenset({"type", "file_id"}),
    "input_audio": frozenset({"type", "input_audio"}),
    "reference": frozenset({"type", "reference_ids"}),
    "thinking": frozenset({"type", "thinking", "signature", "closed"}),
}
_AFTER = {
    "system": {"user", "assistant", "system"},
    "user": {"assistant", "system", "user"},
    "assistant": {"assistant", "user", "tool"},
    "tool": {"assistant", "tool"},
}
_ID = re.compile(r"[a-zA-Z0-9]{9}")


def refused(message: str, kind: str = "invalid_request_error", code: str | None = None, status: int = 400) -> Any:
    """An error in Mistral's usual form."""
    body: Json = {"object": "error", "message": message, "type": kind, "param": None, "code": code}
    return RefusedError(status, {**body, "raw_status_code": status})


def forbidden(*loc: str | int) -> RefusedError:
    """A field that Mistral does not know."""
    wrong = {"type": "extra_forbidden", "loc": ["body", *loc], "msg": "Extra inputs are not permitted", "input": None}
    message = {"detail": [wrong]}
    body: Json = {"object": "error", "message": message, "type": "invalid_request_error", "param": None, "code": None}
    return RefusedError(422, body)


def seal(thought: str) -> str:
    """The signature of a thought."""
    return hashlib.sha256(thought.encode()).hexdigest()


def check(body: Json) -> None:
    """Raise `RefusedError` where Mistral would refuse `body`."""
    for key in body:
        if key not in _FIELDS:
            raise forbidden(key)
    messages = body["messages"]
    for number, message in enumerate(messages):
        _check_message(message, number)
    try:
        ChatCompletionRequest.model_validate(body)
    except ValidationError as error:
        wrong = [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors(include_url=False)]
        raise RefusedError(422, {"detail": wrong}) from None
    _check_order(messages)
    _check_calls(messages)
    if body.get("temperature", 0) > 1.5 or body.get("random_seed", 0) < 0:
        raise RefusedError(422, {"detail": [{"type": "range", "loc": ["body", "temperature"], "msg": "Out of range"}]})
    if body["model"].startswith("magistral") and "reasoning_effort" in body:
        raise refused("reasoning_effort is not supported for this model")


def _check_message(message: Json, number: int) -> None:
    role = message["role"]
    if role not in _MESSAGES:
        raise RefusedError(422, {"detail": [{"type": "enum", "loc": ["body", "messages", number], "msg": "Bad role"}]})
    for key in message:
        if key not in _MESSAGES[role]:
            raise forbidden("messages", number, role, key)
    for place, part in enumerate(parts_of(message)):
        for key in part:
            if key not in _PARTS.get(part["type"], ()):
                raise forbidden("messages", number, role, "content", place, key)
        if role == "tool" and part["type"] not in ("text", "reference"):
            raise refused("Unexpected content chunk types in tool message: ['ImageURLChunk']")
        if part["type"] == "thinking":
            thought = "".join(piece["text"] for piece in part["thinking"])
            if "signature" in part and part["signature"] != seal(thought):
                raise refused("Invalid signature in thinking chunk")
    for place, call in enumerate(message.get("tool_calls") or ()):
        for key in call:
            if key not in ("id", "type", "function", "index"):
                raise forbidden("messages", number, role, "tool_calls", place, key)


def _check_order(messages: list[Json]) -> None:
    order = {"kind": "invalid_request_message_order", "code": "3230"}
    for before, after in pairwise(messages):
        if after["role"] not in _AFTER[before["role"]]:
            raise refused(f"Unexpected role '{after['role']}' after role '{before['role']}'", **order)
        if before.get("prefix"):
            raise refused("Assistant message with prefix True must be last message", "invalid_assistant_message")
    last = messages[-1]
    if last["role"] == "assistant" and not last.get("prefix"):
        words = "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
        raise refused(words, **order)


def _check_calls(messages: list[Json]) -> None:
    waiting: set[str] = set()
    for message in messages:
        calls = [call["id"] for call in message.get("tool_calls") or ()]
        for name in [*calls, *([message["tool_call_id"]] if message["role"] == "tool" else [])]:
            if not _ID.fullmatch(name):
                words = f"Tool call id was {name} but must be a-z, A-Z, 0-9, with a length of 9."
                raise refused(words, "invalid_function_call", "3280")
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise refused(f"Unexpected tool call id {message['tool_call_id']} in tool results")
            waiting.discard(message["tool_call_id"])
        elif waiting:
            raise refused("Not the same number of function calls and responses", "invalid_request_message_order")
        if len(set(calls)) != len(calls):
            raise refused("Duplicate tool call id in assistant message")
        waiting |= set(calls)
    if waiting:
        raise refused("Not the same number of function calls and responses", "invalid_request_message_order")
