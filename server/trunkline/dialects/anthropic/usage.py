"""What an answer used. Anthropic counts the input that was cached beside `input_tokens`, the contract within."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1.chat_pb2 import Usage

_MOST: Final = 2**31 - 1


def decode_usage(wire: Object) -> Usage:
    """Read a `usage` object; the service tier is not taken, as it is no count."""
    usage = Usage()
    fresh = wire.take_int("input_tokens", 0, _MOST)
    read = wire.take_int("cache_read_input_tokens", 0, _MOST)
    written = wire.take_int("cache_creation_input_tokens", 0, _MOST)
    output = wire.take_int("output_tokens", 0, _MOST)
    details = wire.take_object("output_tokens_details")
    thinking = details.take_int("thinking_tokens", 0, _MOST) if details is not None else None
    if fresh is not None:
        usage.input_tokens = min(fresh + (read or 0) + (written or 0), _MOST)
    if read is not None:
        usage.cached_input_tokens = read
    if written is not None:
        usage.cache_write_input_tokens = written
    if output is not None:
        usage.output_tokens = output
    if thinking is not None:
        usage.reasoning_output_tokens = thinking
    wire.keep(usage.extras, DIALECT)
    return usage


def encode_usage(usage: Usage) -> dict[str, Json]:
    """Write a `usage` object. A count that is not known is zero where Anthropic's clients need a number."""
    read = usage.cached_input_tokens
    # OpenRouter tells tokens that Gemini wrote to its cache and read there as both: here each has one place.
    written = min(usage.cache_write_input_tokens, max(usage.input_tokens - read, 0))
    wire: dict[str, Json] = {"input_tokens": max(usage.input_tokens - read - written, 0)}
    if usage.HasField("cache_write_input_tokens"):
        wire["cache_creation_input_tokens"] = written
    if usage.HasField("cached_input_tokens"):
        wire["cache_read_input_tokens"] = usage.cached_input_tokens
    wire["output_tokens"] = usage.output_tokens
    if usage.HasField("reasoning_output_tokens"):
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning_output_tokens}
    if usage.extras:
        restore(wire, usage.extras, DIALECT)
    return wire
