"""The differences between two requests that the Messages API does not see: the list is the whole of it."""

from __future__ import annotations

from typing import Any


def canonical(request: dict[str, Any]) -> dict[str, Any]:
    """`request` in the form in which it is written.

    1. What is null is absent, and `stream` is the surface's own.
    2. A text stands for a list with one plain block of it, and the other way round.
    3. Blank text blocks are left out, as the API refuses them.
    4. Turns of the same role that follow each other are one turn, with its tool results first.
    5. `is_error: false`, an empty description of a tool and an empty `system` say nothing.
    6. `output_format` is the older name of `output_config.format`.
    """
    wire = {key: value for key, value in request.items() if value is not None and key != "stream"}
    turns: list[dict[str, Any]] = []
    for message in wire["messages"]:
        blocks = _blocks(message["content"])
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] += blocks
        else:
            turns.append({**message, "content": blocks})
    for turn in turns:
        turn["content"] = _short(sorted(turn["content"], key=lambda block: block["type"] != "tool_result"))
    wire["messages"] = turns
    if "system" in wire:
        wire["system"] = _short(_blocks(wire["system"]))
        if not wire["system"]:
            del wire["system"]
    if "tools" in wire:
        wire["tools"] = [
            {key: value for key, value in tool.items() if (key, value) != ("description", "")} for tool in wire["tools"]
        ]
    if "output_format" in wire:
        wire["output_config"] = {**wire.get("output_config", {}), "format": wire.pop("output_format")}
    return wire


def _blocks(content: Any) -> list[Any]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [_block(block) for block in blocks if block["type"] != "text" or block["text"].strip()]


def _block(block: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in block.items() if value is not None}
    if block["type"] == "tool_result":
        if kept.get("is_error") is False:
            del kept["is_error"]
        if "content" in kept:
            kept["content"] = _short(_blocks(kept["content"]))
    return kept


def _short(blocks: list[Any]) -> Any:
    if not blocks:
        return ""
    plain = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
    return blocks[0]["text"] if plain else blocks
