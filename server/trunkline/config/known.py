"""Where the providers that need no configuration are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EMBEDDED: Final = "sim"
"""The provider that ships with the gateway: its name and its kind."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A provider that is there where its key is in the environment; `name` is also its kind.

    `base_url` is the variable by which the vendor's own SDK moves its address, empty where it has none.
    """

    name: str
    api_key: str
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Local:
    """A server that is there where it answers on its usual port of this machine; `name` is also its kind."""

    name: str
    port: int


HOSTED: Final = (
    Hosted("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    Hosted("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    Hosted("gemini", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    Hosted("mistral", "MISTRAL_API_KEY"),
    Hosted("deepseek", "DEEPSEEK_API_KEY"),
)

LOCAL: Final = (
    Local("ollama", 11434),
    Local("vllm", 8000),
    Local("lmstudio", 1234),
)

DISCOVERABLE: Final = frozenset(entry.name for entry in (*HOSTED, *LOCAL))
"""The names that discovery may give to a provider."""
