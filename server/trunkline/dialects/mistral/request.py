"""The request: what OpenAI would get, in Mistral's words and without what Mistral refuses."""

from __future__ import annotations

import re
from typing import Final

from trunkline.call import Loss, LossKind
from trunkline.dialects import openai
from trunkline.dialects.mistral.conversation import adapt
from trunkline.dialects.openai.profile import FOREIGN, EmbeddingForm, Profile, Writing
from trunkline.dialects.wire import Json
from trunkline.v1.chat_pb2 import ChatRequest

PROFILE: Final = Profile(
    reasoning="thinking",
    effort="reasoning_effort",
    cache_control=False,
    stream_options=False,
    fetches=frozenset({"image", "document"}),
    embeddings=EmbeddingForm(dimensions="output_dimension", tokens=False, user=False),
    unsupported=FOREIGN
    | {
        "audio",
        "function_call",
        "functions",
        "logit_bias",
        "modalities",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream_options",
        "user",
        "verbosity",
        "web_search_options",
    },
)
"""Mistral refuses every field that it does not know; these are the ones that callers of OpenAI and routers send."""

_PROMPTED: Final = re.compile(r"magistral-")
"""The names of the models that reason by a prompt of Mistral's own (`prompt_mode`), not by effort."""

_MOST_TEMPERATURE: Final = 1.5

_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}

_NO_PARAMETERS: Final[dict[str, Json]] = {"type": "object", "properties": {}}


def encode_request(request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
    """Write a request to `model`; what Mistral cannot take is added to `losses`.

    Raises `GatewayError` as `openai.encode_request`, and UNSUPPORTED for a video.
    """
    wire = openai.encode_request(request, PROFILE, losses)
    to = Writing(PROFILE, losses)
    wire["messages"] = adapt(wire["messages"], to)
    _encode_tools(wire)
    _encode_seed(wire, to)
    _encode_tier(wire, to)
    if wire.get("temperature", 0) > _MOST_TEMPERATURE:
        wire["temperature"] = _MOST_TEMPERATURE
        to.lose("temperature", LossKind.APPROXIMATED)
    if "reasoning_effort" in wire and _PROMPTED.match(model) is not None:
        off = wire.pop("reasoning_effort") == "none"
        wire.setdefault("prompt_mode", None if off else "reasoning")
        to.lose("reasoning_effort", LossKind.APPROXIMATED)
    return wire


def _encode_tools(wire: dict[str, Json]) -> None:
    for tool in wire.get("tools", ()):
        # One that is text already has parameters.
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict):
            function.setdefault("parameters", _NO_PARAMETERS)
    if wire.get("tool_choice") == "required":
        wire["tool_choice"] = "any"


def _encode_seed(wire: dict[str, Json], to: Writing) -> None:
    seed = wire.pop("seed", None)
    if seed is None:
        return
    if seed < 0:
        to.lose("seed")
    else:
        wire.setdefault("random_seed", seed)


def _encode_tier(wire: dict[str, Json], to: Writing) -> None:
    """Write the tier of service. Mistral knows two of them."""
    if "service_tier" in wire:
        tier = _TIERS.get(wire.pop("service_tier"))
        if tier is None:
            to.lose("service_tier")
        else:
            wire["service_tier"] = tier
