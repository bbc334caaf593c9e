"""What a request asks of a model, and who lacks it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple

from trunkline.core.estimate import estimate_tokens
from trunkline.routing.offer import Offer
from trunkline.v1.chat_pb2 import ChatRequest, ReasoningConfig

_AROUND: Final = 1_000
"""Tokens that are surely more than what is put around a request."""


class Needs:
    """The abilities that a request asks for, the sorts of media that it holds, and the tokens that it wants written."""

    def __init__(self, request: ChatRequest, features: frozenset[str], media: frozenset[str]) -> None:
        self.features = features
        self.media = media
        self.written = request.max_output_tokens
        self._request = request

    @cached_property
    def tokens(self) -> int:
        """What the model would read."""
        return estimate_tokens(self._request)

    def fits(self, context: float) -> bool:
        """Whether all tokens fit in `context`."""
        if not self.media and self._request.ByteSize() + self.written + _AROUND <= context:
            return True  # no text has more tokens than bytes
        return self.tokens + self.written <= context


class Common(NamedTuple):
    """What all of some offers have: abilities, media that they read, and how much fits."""

    features: frozenset[str]
    input: frozenset[str]
    context: float
    max_output: float

    def suffices(self, needs: Needs) -> bool:
        """Whether none of them lacks anything of `needs`."""
        return (
            needs.features <= self.features
            and needs.media <= self.input
            and needs.fits(self.context)
            and needs.written <= self.max_output
        )


def common_of(offers: Sequence[Offer]) -> Common:
    """What all of `offers` have."""
    facts = [offer.facts for offer in offers]
    return Common(
        frozenset.intersection(*(one.features for one in facts)) if facts else frozenset(),
        frozenset.intersection(*(one.input for one in facts)) if facts else frozenset(),
        min((one.context for one in facts if one.context is not None), default=math.inf),
        min((one.max_output for one in facts if one.max_output is not None), default=math.inf),
    )


def needs_of(request: ChatRequest) -> Needs:
    """What `request` asks of a model."""
    features: set[str] = set()
    if request.tools:
        features.add("tools")
    if request.HasField("response_format") and (form := request.response_format.WhichOneof("kind")) is not None:
        features.add(form)
    if request.HasField("reasoning") and _reasons(request.reasoning):
        features.add("reasoning")
    if request.HasField("top_logprobs"):
        features.add("logprobs")
    media: set[str] = set()
    for message in request.messages:
        parts = message.parts[:]
        if len(parts) == 1 and parts[0].text:
            continue  # as most are
        for part in parts:
            kind = part.WhichOneof("kind")
            if kind == "media":
                media.add(_sort(part.media.media_type))
            elif kind == "tool_result":
                for inner in part.tool_result.parts:
                    if inner.WhichOneof("kind") == "media":
                        media.add(_sort(inner.media.media_type))
    return Needs(request, frozenset(features), frozenset(media))


def _reasons(reasoning: ReasoningConfig) -> bool:
    return bool(reasoning.enabled or reasoning.budget_tokens or reasoning.effort not in ("", "none"))


def lacking(offer: Offer, needs: Needs) -> str | None:
    """What the model lacks of `needs`; None where it has all."""
    facts = offer.facts
    missing = needs.features - facts.features
    if missing:
        return min(missing)
    missing = needs.media - facts.input
    if missing:
        return f"{min(missing)} input"
    if facts.context is not None and not needs.fits(facts.context):
        return f"a context of {needs.tokens + needs.written} tokens"
    if facts.max_output is not None and needs.written > facts.max_output:
        return f"an answer of {needs.written} tokens"
    return None


def _sort(media_type: str) -> str:
    sort = media_type.partition("/")[0]
    return sort if sort in ("image", "audio", "video") else "file"
