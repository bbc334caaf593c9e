"""What is known of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MODALITIES: Final = frozenset({"text", "image", "audio", "video", "file", "embeddings"})
"""What a model reads or writes."""

FEATURES: Final = frozenset(
    {
        "tools",
        "parallel_tools",
        "json_object",
        "json_schema",
        "reasoning",
        "reasoning_off",
        "sampling",
        "stop",
        "logprobs",
        "prefill",
        "web_search",
        "cache",
    }
)
"""What a model can be asked for: `reasoning_off` where its reasoning can be turned off, `sampling` where temperature
and the like are taken, `prefill` where it goes on with the beginning of an answer, `cache` where its provider caches
prompts."""

_TEXT: Final = frozenset({"text"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model; what is not known is None or empty.

    `context` and `max_output` are tokens. `quality` is our judgement, from 0 to 1. `created` is in seconds since the
    epoch, 0 where unknown. `author` is who made the model, as OpenRouter calls them.
    """

    context: int | None = None
    max_output: int | None = None
    input: frozenset[str] = _TEXT
    output: frozenset[str] = _TEXT
    features: frozenset[str] = frozenset()
    quality: float = 0.5
    quantization: str = ""
    retains_data: bool | None = None
    zero_data_retention: bool | None = None
    distillable: bool | None = None
    name: str = ""
    created: int = 0
    author: str = ""
