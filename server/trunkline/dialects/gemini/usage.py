"""What an answer used."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.gemini.names import DIALECT, camel
from trunkline.dialects.wire import Json, Object, loads, restore
from trunkline.v1.chat_pb2 import Usage

_MOST: Final = 2**31 - 1

_COUNTS: Final = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
)


class UsageReader:
    """Reads the `usageMetadata` of one answer: of each chunk, where it is a stream, and these do not repeat all."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def read(self, wire: Object) -> Usage:
        """The totals so far. Google counts the prompts of its own tools, and thoughts, beside the other tokens."""
        camel(wire.fields)
        counts = self._counts
        if "totalTokenCount" in wire.fields:
            # It tells all: a count that is missing beside it is zero.
            counts.clear()
        for key in _COUNTS:
            value = wire.take_int(key, 0, _MOST) if key in wire.fields else None
            if value is not None:
                counts[key] = value
        usage = Usage()
        tools = counts.get("toolUsePromptTokenCount")
        thoughts = counts.get("thoughtsTokenCount")
        if "promptTokenCount" in counts or tools is not None:
            usage.input_tokens = min(counts.get("promptTokenCount", 0) + (tools or 0), _MOST)
        if "candidatesTokenCount" in counts or thoughts is not None:
            usage.output_tokens = min(counts.get("candidatesTokenCount", 0) + (thoughts or 0), _MOST)
        if thoughts is not None:
            usage.reasoning_output_tokens = thoughts
        if "cachedContentTokenCount" in counts:
            usage.cached_input_tokens = counts["cachedContentTokenCount"]
        if tools is not None:
            wire.fields["toolUsePromptTokenCount"] = tools
        wire.keep(usage.extras, DIALECT)
        return usage


def encode_usage(usage: Usage) -> dict[str, Json]:
    """Write a `usageMetadata`."""
    kept = loads(usage.extras[DIALECT]) if DIALECT in usage.extras else {}
    tools = kept.get("toolUsePromptTokenCount") if isinstance(kept, dict) else None
    wire: dict[str, Json] = {}
    if usage.HasField("input_tokens"):
        wire["promptTokenCount"] = max(usage.input_tokens - (tools if type(tools) is int else 0), 0)
    if usage.HasField("output_tokens"):
        wire["candidatesTokenCount"] = max(usage.output_tokens - usage.reasoning_output_tokens, 0)
    if usage.HasField("reasoning_output_tokens"):
        wire["thoughtsTokenCount"] = usage.reasoning_output_tokens
    if usage.HasField("cached_input_tokens"):
        wire["cachedContentTokenCount"] = usage.cached_input_tokens
    if wire:
        wire["totalTokenCount"] = usage.input_tokens + usage.output_tokens
    restore(wire, usage.extras, DIALECT)
    return wire
