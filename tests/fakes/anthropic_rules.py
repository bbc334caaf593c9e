"""What Anthropic refuses of a request, in its own words."""

from __future__ import annotations

import hashlib
import hmac
from itertools import pairwise
from typing import Any

from trunkline.dialects.anthropic.profile import profile_of

FIELDS = frozenset(
    [
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    ]
)
BLOCKS = {
    "user": frozenset({"text", "image", "document", "tool_result", "search_result", "container_upload"}),
    "system": frozenset({"text"}),
}
KEYS = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "document": frozenset({"type", "source", "cache_control", "title", "context", "citations"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}


class RefusedError(Exception):
    """A request that Anthropic answers with 400."""


class UnknownModelError(RefusedError):
    """A request for a model that Anthropic does not have: 404."""


def sign(text: str) -> str:
    """The signature of a thinking block with `text`."""
    return hmac.new(b"the fake's own", text.encode(), hashlib.sha256).hexdigest()


def check(body: dict[str, Any]) -> None:
    """Raise `RefusedError` where Anthropic would refuse `body`."""
    for key in body.keys() - FIELDS:
        raise RefusedError(f"{key}: Extra inputs are not permitted")
    for key in ("model", "max_tokens", "messages"):
        if key not in body:
            raise RefusedError(f"{key}: Field required")
    if not body["model"].startswith("claude-"):
        raise UnknownModelError(f"model: {body['model']}")
    if type(body["max_tokens"]) is not int or body["max_tokens"] < 1:
        raise RefusedError("max_tokens: Input should be greater than or equal to 1")
    check_turns(body)
    check_calls(body["messages"])
    check_tools(body)
    check_thinking(body)


def check_turns(body: dict[str, Any]) -> None:
    """Roles take turns, and every block is one that its role may hold."""
    messages = body["messages"]
    if not messages:
        raise RefusedError("messages: at least one message is required")
    for before, after in pairwise(message["role"] for message in messages):
        if before == after:
            raise RefusedError("messages: roles must alternate")
        if (before == "system" and after != "assistant") or (after == "system" and before != "user"):
            raise RefusedError("messages: role 'system' must follow a user message and precede an assistant's")
    if any(message["role"] == "system" for message in messages) and not profile_of(body["model"]).system_turns:
        raise RefusedError("role 'system' is not supported on this model")
    for index, message in enumerate(messages):
        for key in message.keys() - {"role", "content"}:
            raise RefusedError(f"messages.{index}.{key}: Extra inputs are not permitted")
        for place, block in enumerate(blocks_of(message)):
            check_block(block, message["role"], f"messages.{index}.content.{place}")
    last = messages[-1]
    texts = [block["text"] for block in blocks_of(last) if block["type"] == "text"]
    if last["role"] == "assistant" and texts and texts[-1] != texts[-1].rstrip():
        raise RefusedError("messages: final assistant content cannot end with trailing whitespace")


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The content of a message as blocks."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def check_block(block: dict[str, Any], role: str, path: str) -> None:
    """One block of a message."""
    kind = block["type"]
    if role in BLOCKS and kind not in BLOCKS[role]:
        raise RefusedError(f"{path}: Input tag '{kind}' is not allowed for the role '{role}'")
    for key in block.keys() - KEYS.get(kind, block.keys()):
        raise RefusedError(f"{path}.{key}: Extra inputs are not permitted")
    if kind == "text" and not block["text"].strip():
        raise RefusedError(f"{path}: text content blocks must contain non-whitespace text")
    if kind == "tool_use" and not isinstance(block["input"], dict):
        raise RefusedError(f"{path}.input: Input should be a valid dictionary")
    if kind == "thinking" and not hmac.compare_digest(block["signature"], sign(block["thinking"])):
        raise RefusedError(f"{path}: Invalid `signature` in `thinking` block")
    if kind == "redacted_thinking" and not block["data"].startswith("sealed:"):
        raise RefusedError(f"{path}: Invalid `data` in `redacted_thinking` block")


def check_calls(messages: list[dict[str, Any]]) -> None:
    """Each call has its result in the next turn, first there, and no result is without its call."""
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        blocks = blocks_of(message)
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if open_calls - set(results):
            raise RefusedError(f"messages.{index}: `tool_use` ids were found without `tool_result` blocks right after")
        for found in set(results) - open_calls:
            raise RefusedError(f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {found}")
        if any(block["type"] != "tool_result" for block in blocks[: len(results)]):
            raise RefusedError(f"messages.{index}: `tool_result` blocks must come first")
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}


def check_tools(body: dict[str, Any]) -> None:
    """Tools have schemas of objects, and a choice needs tools."""
    for index, tool in enumerate(body.get("tools", ())):
        if tool.get("type", "custom") == "custom" and tool.get("input_schema", {}).get("type") != "object":
            raise RefusedError(f"tools.{index}.custom.input_schema.type: Input should be 'object'")
    if "tool_choice" in body and not body.get("tools"):
        raise RefusedError("tool_choice: may only be specified while providing `tools`")


def check_thinking(body: dict[str, Any]) -> None:
    """The kind of thinking is the model's, the budget fits, and what does not go with thinking is absent."""
    thinking = body.get("thinking")
    profile = profile_of(body["model"])
    if not profile.sampling and body.keys() & {"temperature", "top_p", "top_k"}:
        raise RefusedError("`temperature` is deprecated for this model.")
    if thinking is None:
        return
    if thinking["type"] not in profile.thinking:
        raise RefusedError(f'"thinking.type.{thinking["type"]}" is not supported for this model.')
    if thinking["type"] == "disabled":
        return
    if thinking["type"] == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        raise RefusedError("`max_tokens` must be greater than `thinking.budget_tokens`, which is at least 1024")
    if body.get("temperature", 1) != 1 or "top_k" in body:
        raise RefusedError("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        raise RefusedError("Thinking may not be enabled when tool_choice forces tool use.")
