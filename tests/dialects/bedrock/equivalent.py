"""The differences between two requests, or two answers, that Converse does not see: the list is the whole of it."""

from __future__ import annotations

from typing import Any

_EMPTY = ({}, [], None)


def canonical(request: dict[str, Any]) -> dict[str, Any]:
    """`request` in the form in which it is written.

    1. What is null is absent; empty settings, such as `system`, `inferenceConfig` or `stopSequences`, say nothing.
    2. Blank text blocks are left out, as the API refuses them.
    3. Turns of the same role that follow each other are one turn, with its tool results first.
    4. `status: success` of a tool result and `type: tool_use` of a call are what is meant without.
    5. The pieces of a cited text, and those of its source, are one text.
    """
    wire = {key: value for key, value in request.items() if value is not None}
    turns: list[dict[str, Any]] = []
    for message in wire["messages"]:
        blocks = [_block(block) for block in message["content"] if block.get("text", "x").strip()]
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] += blocks
        else:
            turns.append({**message, "content": blocks})
    for turn in turns:
        turn["content"] = _sorted(turn["content"])
    wire["messages"] = turns
    if "inferenceConfig" in wire:
        wire["inferenceConfig"] = {key: value for key, value in wire["inferenceConfig"].items() if value not in _EMPTY}
    for key in ("system", "inferenceConfig", "toolConfig", "additionalModelRequestFields"):
        if wire.get(key) in _EMPTY:
            wire.pop(key, None)
    return wire


def _sorted(blocks: list[Any]) -> list[Any]:
    """`blocks` with the tool results, and the marks behind them, in front."""
    results: list[Any] = []
    others: list[Any] = []
    place = others
    for block in blocks:
        if "cachePoint" not in block:
            place = results if "toolResult" in block else others
        place.append(block)
    return results + others


def _block(block: dict[str, Any]) -> dict[str, Any]:
    kept = dict(block)
    if "toolResult" in kept and "type" not in kept["toolResult"]:
        kept["toolResult"] = {
            key: value for key, value in kept["toolResult"].items() if (key, value) != ("status", "success")
        }
    if "toolUse" in kept:
        kept["toolUse"] = {key: value for key, value in kept["toolUse"].items() if (key, value) != ("type", "tool_use")}
    if "citationsContent" in kept:
        kept["citationsContent"] = _cited(kept["citationsContent"])
    return kept


def _cited(content: dict[str, Any]) -> dict[str, Any]:
    kept = dict(content)
    if "content" in kept:
        kept["content"] = _joined(kept["content"])
    kept["citations"] = [
        {**one, "sourceContent": _joined(one["sourceContent"])} if "sourceContent" in one else one
        for one in kept.get("citations", ())
    ]
    return kept


def _joined(pieces: list[Any]) -> list[Any]:
    return [{"text": "".join(piece["text"] for piece in pieces)}] if pieces else []


def same_answer(answer: dict[str, Any]) -> dict[str, Any]:
    """`answer` in the form in which it is written: as with requests, and

    1. the counts of what was cached go by their newer names;
    2. counts that are not told are zero where others are;
    3. `type` beside a text says nothing;
    4. `/delta/stop_sequence` is `/stop_sequence`, and says nothing where it is null.
    """
    wire = _without_nulls(answer)
    for block in wire["output"]["message"]["content"]:
        if "text" in block:
            block.pop("type", None)
    wire["output"]["message"]["content"] = [_block(block) for block in wire["output"]["message"]["content"]]
    usage = wire.get("usage")
    if usage is not None:
        for name in ("cacheReadInputToken", "cacheWriteInputToken"):
            if f"{name}Count" in usage:
                usage[f"{name}s"] = usage.pop(f"{name}Count")
        usage.setdefault("inputTokens", 0)
        usage.setdefault("totalTokens", usage["inputTokens"] + usage["outputTokens"])
    fields = wire.get("additionalModelResponseFields")
    if fields is not None:
        fields.update(fields.pop("delta", {}))
        if not fields:
            del wire["additionalModelResponseFields"]
    return wire


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
