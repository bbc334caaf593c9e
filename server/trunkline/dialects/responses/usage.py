"""What an answer used."""

from __future__ import annotations

from trunkline.dialects.responses.extras import DIALECT
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1.chat_pb2 import Usage


def decode_usage(wire: Object) -> Usage:
    """Read a `usage` object."""
    usage = Usage()
    read = wire.take_int("input_tokens", 0)
    if read is not None:
        usage.input_tokens = read
    written = wire.take_int("output_tokens", 0)
    if written is not None:
        usage.output_tokens = written
    total = wire.take_int("total_tokens", 0)
    inputs = wire.take_object("input_tokens_details")
    if inputs is not None:
        cached = inputs.take_int("cached_tokens", 0)
        if cached is not None:
            usage.cached_input_tokens = cached
        cache_write = inputs.take_int("cache_write_tokens", 0)
        if cache_write is not None:
            usage.cache_write_input_tokens = cache_write
    outputs = wire.take_object("output_tokens_details")
    if outputs is not None:
        reasoning = outputs.take_int("reasoning_tokens", 0)
        if reasoning is not None:
            usage.reasoning_output_tokens = reasoning
            if reasoning and total == (read or 0) + (written or 0) + reasoning:
                # Counted beside `output_tokens`, as xAI does in Chat Completions.
                usage.output_tokens += reasoning
    wire.keep(usage.extras, DIALECT)
    return usage


def encode_usage(usage: Usage) -> dict[str, Json]:
    """Write a `usage` object; a count that is not known is zero, as clients need numbers."""
    wire: dict[str, Json] = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_input_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.extras:
        restore(wire, usage.extras, DIALECT)
    return wire
