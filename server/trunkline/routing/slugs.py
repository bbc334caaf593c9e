"""The names by which callers mean a provider."""

from __future__ import annotations

from typing import Final

CHOOSES: Final = "openrouter"
"""The kind that chooses among providers itself: names that are none of ours are meant for it."""

_ALSO: Final = {
    "google-vertex": "vertex",
    "google vertex": "vertex",
    "google-ai-studio": "gemini",
    "google ai studio": "gemini",
    "google": "gemini",
    "amazon-bedrock": "bedrock",
    "amazon bedrock": "bedrock",
    "x-ai": "xai",
    "z-ai": "zai",
    "moonshotai": "moonshot",
}
"""OpenRouter's names of providers, and our kinds."""


def slugs_of(provider: str, kind: str, key: str = "") -> frozenset[str]:
    """The name of a provider, its kind, OpenRouter's names of that, and each with the key behind a slash, all in lower
    case."""
    bases = {provider.casefold(), kind, *(slug for slug, meant in _ALSO.items() if meant == kind)}
    return frozenset(bases | {f"{base}/{key.casefold()}" for base in bases} if key else bases)
