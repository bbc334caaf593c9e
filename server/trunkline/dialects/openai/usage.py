"""What an answer used."""

from __future__ import annotations

from trunkline.dialects.openai.content import DIALECT
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1.chat_pb2 import Usage

_MOST = 2**31 - 1

_HIT, _MISSED = "prompt_cache_hit_tokens", "prompt_cache_miss_tokens"
"""What DeepSeek calls the tokens that were read from its cache, and the others."""

_CACHED = (_HIT, "cached_tokens", "num_cached_tokens", "cache_read_input_tokens")
"""What DeepSeek, Moonshot, Mistral and proxies in front of Claude call the cached tokens. They stay in the object, for
who looks for them there."""

_WRITTEN = "cache_creation_input_tokens"
"""What proxies in front of Claude call the tokens that were written to the cache. It stays, too."""


def decode_usage(wire: Object) -> Usage:
    """Read a `usage` object."""
    usage = Usage()
    prompt = wire.take_int("prompt_tokens", 0, _MOST)
    completion = wire.take_int("completion_tokens", 0, _MOST)
    total = wire.take_int("total_tokens", 0, _MOST)
    inputs = wire.take_object("prompt_tokens_details")
    outputs = wire.take_object("completion_tokens_details")
    cached = inputs.take_int("cached_tokens", 0, _MOST) if inputs is not None else None
    reasoning = outputs.take_int("reasoning_tokens", 0, _MOST) if outputs is not None else None
    written = inputs.take_int("cache_write_tokens", 0, _MOST) if inputs is not None else None
    for name in _CACHED if cached is None else ():
        count = wire.fields.get(name)
        if type(count) is int and 0 <= count <= (prompt or 0):
            cached = count
    if written is None:
        count = wire.fields.get(_WRITTEN)
        if type(count) is int and 0 <= count <= (prompt or 0):
            written = count
    read, wrote, thought = prompt or 0, completion or 0, reasoning or 0
    beside = total == read + wrote + thought or (wrote < thought and (total != read + wrote or "cost" in wire.fields))
    if thought and beside and wrote + thought <= _MOST:
        # xAI, and Gemini behind Vercel's gateway, count reasoning beside `completion_tokens`; every other within it.
        # Vercel's total leaves it out, its cost does not.
        completion = wrote + thought
    elif total is not None and total != read + wrote:
        # Gemini and Mistral count what they tell nowhere else.
        wire.fields["total_tokens"] = total
    if cached is not None and wire.fields.get(_HIT) == cached and wire.fields.get(_MISSED) in (None, read - cached):
        del wire.fields[_HIT]
        wire.fields.pop(_MISSED, None)
    if prompt is not None and cached is not None and prompt < cached <= _MOST - prompt:
        # Grok at Azure counts the cached tokens beside `prompt_tokens`; every other within it.
        prompt += cached
    if prompt is not None:
        usage.input_tokens = prompt
    if completion is not None:
        usage.output_tokens = completion
    if cached is not None:
        usage.cached_input_tokens = cached
    if written is not None:
        usage.cache_write_input_tokens = written
    if reasoning is not None:
        # Doubleword estimates it, and at times beyond what it counted in all.
        usage.reasoning_output_tokens = reasoning if completion is None else min(reasoning, completion)
    wire.keep(usage.extras, DIALECT)
    return usage


def encode_usage(usage: Usage) -> dict[str, Json]:
    """Write a `usage` object. A count that is not known is zero where OpenAI's clients need a number. What was
    read from a cache is told in OpenAI's words and in DeepSeek's."""
    wire: dict[str, Json] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
    }
    inputs: dict[str, Json] = {}
    if usage.HasField("cached_input_tokens"):
        inputs["cached_tokens"] = usage.cached_input_tokens
    if usage.HasField("cache_write_input_tokens"):
        inputs["cache_write_tokens"] = usage.cache_write_input_tokens
    if inputs:
        wire["prompt_tokens_details"] = inputs
    if usage.HasField("cached_input_tokens") and usage.cached_input_tokens <= usage.input_tokens:
        wire[_HIT] = usage.cached_input_tokens
        wire[_MISSED] = usage.input_tokens - usage.cached_input_tokens
    if usage.HasField("reasoning_output_tokens"):
        wire["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_output_tokens}
    restore(wire, usage.extras, DIALECT)
    wire.setdefault("total_tokens", usage.input_tokens + usage.output_tokens)
    return wire
