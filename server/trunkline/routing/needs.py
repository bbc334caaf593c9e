"""What a request asks of a model, and who lacks it."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.core.estimate import estimate_tokens
from trunkline.routing.offer import Offer
from trunkline.v1.chat_pb2 import ChatRequest


class Needs(NamedTuple):
    """The abilities that a request asks for, the sorts of media that it holds, and the tokens that must fit."""

    features: frozenset[str]
    media: frozenset[str]
    tokens: int
    written: int


def needs_of(request: ChatRequest) -> Needs:
    """What `request` asks of a model."""
    features: set[str] = set()
    if request.tools:
        features.add("tools")
    form = request.response_format.WhichOneof("kind")
    if form is not None:
        features.add(form)
    reasoning = request.reasoning
    if reasoning.enabled or reasoning.budget_tokens or reasoning.effort not in ("", "none"):
        features.add("reasoning")
    if request.HasField("top_logprobs"):
        features.add("logprobs")
    media: set[str] = set()
    for message in request.messages:
        for part in message.parts:
            kind = part.WhichOneof("kind")
            if kind == "media":
                media.add(_sort(part.media.media_type))
            elif kind == "tool_result":
                for inner in part.tool_result.parts:
                    if inner.WhichOneof("kind") == "media":
                        media.add(_sort(inner.media.media_type))
    return Needs(frozenset(features), frozenset(media), estimate_tokens(request), request.max_output_tokens)


def lacking(offer: Offer, needs: Needs) -> str | None:
    """What the model lacks of `needs`; None where it has all."""
    facts = offer.facts
    missing = needs.features - facts.features
    if missing:
        return min(missing)
    missing = needs.media - facts.input
    if missing:
        return f"{min(missing)} input"
    if facts.context is not None and needs.tokens + needs.written > facts.context:
        return f"a context of {needs.tokens + needs.written} tokens"
    if facts.max_output is not None and needs.written > facts.max_output:
        return f"an answer of {needs.written} tokens"
    return None


def _sort(media_type: str) -> str:
    sort = media_type.partition("/")[0]
    return sort if sort in ("image", "audio", "video") else "file"
