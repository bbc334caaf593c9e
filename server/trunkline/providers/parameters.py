"""What a kind of provider takes of a request, in OpenRouter's words for it."""

from __future__ import annotations

from functools import cache
from typing import Final

from trunkline.providers.compatibility import MODELS, PROBES, answer, provider_of

_WORDS: Final = {
    "`temperature`": ("temperature",),
    "`top_p`": ("top_p",),
    "`top_k`": ("top_k",),
    "`frequency_penalty`": ("frequency_penalty",),
    "`presence_penalty`": ("presence_penalty",),
    "`seed`": ("seed",),
    "`max_tokens`": ("max_tokens", "max_completion_tokens"),
    "`stop`": ("stop",),
    "`logprobs`": ("logprobs", "top_logprobs"),
    "`logit_bias`": ("logit_bias",),
    "tools": ("tools",),
    "forced tool": ("tool_choice",),
    "one tool call at a time": ("parallel_tool_calls",),
    "JSON object": ("response_format",),
    "JSON Schema": ("structured_outputs",),
    "reasoning effort": ("reasoning", "reasoning_effort", "include_reasoning"),
}
"""What is asked of an encoder (compatibility.PROBES) -> what it means that it is taken.

https://openrouter.ai/docs/guides/overview/models has the words."""

_TAKEN: Final = frozenset({"yes", "approximated", "emulated", "parallel"})


@cache
def parameters_of(kind: str) -> frozenset[str]:
    """The parameters that become something at a provider of the kind, found by asking its encoder."""
    provider, model = provider_of(kind), MODELS.get(kind, "model")
    return frozenset(
        word for probe, words in _WORDS.items() if answer(provider, model, PROBES[probe]) in _TAKEN for word in words
    )
