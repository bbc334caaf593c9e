"""How OpenRouter writes the names of providers, and of generations."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from trunkline.call import Call

_SHOWN: Final = {
    "anthropic": "Anthropic",
    "azure": "Azure",
    "bedrock": "Amazon Bedrock",
    "cerebras": "Cerebras",
    "cohere": "Cohere",
    "deepinfra": "DeepInfra",
    "deepseek": "DeepSeek",
    "fireworks": "Fireworks",
    "gemini": "Google AI Studio",
    "groq": "Groq",
    "mistral": "Mistral",
    "moonshot": "Moonshot AI",
    "nvidia": "NVIDIA",
    "openai": "OpenAI",
    "openrouter": "OpenRouter",
    "perplexity": "Perplexity",
    "sambanova": "SambaNova",
    "together": "Together",
    "vertex": "Google",
    "xai": "xAI",
    "zai": "Z.AI",
}
"""The usual names of providers in a configuration -> how OpenRouter shows them."""


_GENERATION: Final = re.compile(r"gen-([0-9]{1,11})-[0-9a-f]{20}")


def display_name(provider: str) -> str:
    """The name of a provider for people to read; as the configuration has it where OpenRouter has none."""
    return _SHOWN.get(provider, provider)


def generation_id(call: Call) -> str:
    """The id of what a call made, as `gen-<seconds>-<20 characters>`: always the same for the same call."""
    return generation_name(call.id, call.start_time)


def generation_name(call_id: str, start_time: float) -> str:
    """The id of what the call made that began at `start_time`, in seconds since the epoch."""
    digest = blake2b(f"{call_id}\0{start_time!r}".encode(), digest_size=10).hexdigest()
    return f"gen-{int(start_time)}-{digest}"


def second_of(name: str) -> int | None:
    """The second in which the call began whose generation has that id; None where it is no such id."""
    found = _GENERATION.fullmatch(name)
    return None if found is None else int(found[1])
