"""How OpenRouter writes the names of providers, and of generations."""

from __future__ import annotations

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


def display_name(provider: str) -> str:
    """The name of a provider for people to read; as the configuration has it where OpenRouter has none."""
    return _SHOWN.get(provider, provider)


def generation_id(call: Call) -> str:
    """The id of what a call made, as `gen-<seconds>-<20 characters>`: always the same for the same call."""
    digest = blake2b(f"{call.id}\0{call.start_time!r}".encode(), digest_size=10).hexdigest()
    return f"gen-{int(call.start_time)}-{digest}"
