"""Requests in the contract's own words, and what they become."""

from __future__ import annotations

from typing import Any

from dialects.anthropic.cases import write_request

from trunkline.call import Loss, LossKind
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Message, Part, ToolCall, ToolResult

SYSTEM, DEVELOPER = content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER
USER, ASSISTANT, TOOL = content_pb2.ROLE_USER, content_pb2.ROLE_ASSISTANT, content_pb2.ROLE_TOOL

MANUAL, BOTH, ADAPTIVE = "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-8"
THINKS, ALWAYS, TWEEN = "claude-sonnet-5", "claude-opus-5-5", "claude-sonnet-5-5"


def said(role: Any, *parts: Any) -> Message:
    """One message; a text stands for a part with it."""
    return Message(role=role, parts=[Part(text=part) if isinstance(part, str) else part for part in parts])


def call(name: str = "f", call_id: str = "toolu_1", arguments: str = "{}") -> Part:
    """A tool call."""
    return Part(tool_call=ToolCall(id=call_id, name=name, arguments_json=arguments))


def result(*parts: Any, call_id: str = "toolu_1", failed: bool = False, name: str = "") -> Part:
    """A tool result; a text stands for a part with it."""
    texts = [Part(text=part) if isinstance(part, str) else part for part in parts]
    return Part(tool_result=ToolResult(tool_call_id=call_id, parts=texts, failed=failed, name=name))


def written(*messages: Message, model: str = BOTH, **more: Any) -> tuple[Any, dict[str, LossKind]]:
    """A request as it is written for `model`, and what was lost."""
    losses: list[Loss] = []
    turns = messages or (said(USER, "Hello"),)
    wire = write_request(ChatRequest(messages=turns, **more), model, losses)
    return wire, {loss.field: loss.kind for loss in losses}
