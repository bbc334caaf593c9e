"""What an answer used. Converse counts the input that was cached beside `inputTokens`, the contract within."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1.chat_pb2 import Usage

_MOST: Final = 2**31 - 1


def decode_usage(wire: Object) -> Usage:
    """Read a `usage` object."""
    usage = Usage()
    fresh = wire.take_int("inputTokens", 0, _MOST)
    output = wire.take_int("outputTokens", 0, _MOST)
    read = _cached(wire, "cacheReadInputToken")
    written = _cached(wire, "cacheWriteInputToken")
    if fresh is not None:
        usage.input_tokens = min(fresh + (read or 0) + (written or 0), _MOST)
    if read is not None:
        usage.cached_input_tokens = read
    if written is not None:
        usage.cache_write_input_tokens = written
    if output is not None:
        usage.output_tokens = output
    if wire.fields.get("totalTokens") == usage.input_tokens + usage.output_tokens:
        del wire.fields["totalTokens"]
    if wire.fields:
        wire.keep(usage.extras, DIALECT)
    return usage


def _cached(wire: Object, name: str) -> int | None:
    """A count that goes by two names, with the same value where both are there."""
    count = wire.take_int(f"{name}s", 0, _MOST)
    other = wire.fields.get(f"{name}Count")
    if other is not None and (count is None or other == count):
        count = wire.take_int(f"{name}Count", 0, _MOST)
    return count


def encode_usage(usage: Usage) -> dict[str, Json]:
    """Write a `usage` object. A count that is not known is zero where the API always tells one."""
    cached = usage.cached_input_tokens + usage.cache_write_input_tokens
    wire: dict[str, Json] = {
        "inputTokens": max(usage.input_tokens - cached, 0),
        "outputTokens": usage.output_tokens,
    }
    if usage.HasField("cached_input_tokens"):
        wire["cacheReadInputTokens"] = usage.cached_input_tokens
    if usage.HasField("cache_write_input_tokens"):
        wire["cacheWriteInputTokens"] = usage.cache_write_input_tokens
    if usage.extras:
        restore(wire, usage.extras, DIALECT)
    wire.setdefault("totalTokens", usage.input_tokens + usage.output_tokens)
    return wire
