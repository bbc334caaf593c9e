"""Below which paths OpenAI's language is served, and in whose manner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Mounts = Mapping[str, str]
"""A path -> the name of a skin."""

USUAL: Final[Mounts] = {"/v1": "openai", "/api/v1": "openrouter"}
"""Where clients of OpenAI and of OpenRouter ask."""


def mounts_of(configured: Mounts) -> Mounts:
    """The usual paths, and those that are configured in addition to them or in their place."""
    return {**USUAL, **configured}
