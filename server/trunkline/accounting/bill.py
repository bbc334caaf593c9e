"""What a call may cost, and what it did cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from trunkline.access.limits.model import MOST
from trunkline.call import Attempt, Call
from trunkline.catalog.price import Price
from trunkline.core.estimate import estimate as estimate_chat
from trunkline.core.estimate import estimate_text, estimate_tokens
from trunkline.core.plan import Candidate, Plan
from trunkline.routing.offer import Offer
from trunkline.v1.chat_pb2 import ChatRequest, Usage
from trunkline.v1.embeddings_pb2 import EmbedRequest
from trunkline.v1.ledger_pb2 import Cost

_UNBOUNDED: Final = 65_536
"""Tokens of an answer that nothing bounds: neither its caller nor what is known of the model."""

_UNREADABLE: Final = 4
"""How much more than the estimate a request may be that only its provider can read."""

_CHARACTERS_PER_TOKEN: Final = 4

_BEGUN: Final = 2
"""So many times fewer tokens than came are not the count of all of them."""

_MEDIUM: Final = 1_000
"""Tokens of an image or another medium that is embedded."""


class Estimate(NamedTuple):
    """What a call may use: the tokens that it is likely to read, and the most nano-dollars that it can cost, None where
    a price is not known; `written` of these are for what it writes."""

    tokens: int
    nanos: int | None
    written: int = 0


def estimate(plan: Plan[Any]) -> Estimate:
    """What the call may use, at the candidate where that is the most."""
    request = plan.legs[0].candidates[0].request
    tier = ""
    if isinstance(request, ChatRequest):
        likely, most = estimate_chat(request)
        count = max(request.choice_count, 1)
        # A provider that gives one answer reads the request for each.
        read = (likely * _UNREADABLE if most is None else most) * count
        if request.HasField("completion"):
            count *= max(len(request.completion.prompts), 1)
        asked, tier = request.max_output_tokens, request.service_tier
        writes = True
    else:
        likely = _tokens_of(request)
        read, count, asked, writes = likely * _UNREADABLE, 0, 0, False
    nanos, written = 0, 0
    for leg in plan.legs:
        # A hedged call may be answered twice.
        answers = 1 if leg.policy.hedge is None else 2
        for candidate in leg.candidates:
            offer = candidate.offer
            price = offer.price if isinstance(offer, Offer) else None
            if price is None or not isinstance(offer, Offer):
                return Estimate(likely, None)
            most_written = (asked or offer.facts.max_output or _UNBOUNDED) * count if writes else 0
            whole = price.upper_bound(read, most_written) * answers
            if tier and (other := offer.price_at(datetime.now(UTC), tier)) is not None:
                # Which class answers is for the provider to say.
                dearer = other.upper_bound(read, most_written) * answers
                if dearer > whole:
                    whole, price = dearer, other
            if whole > nanos:
                nanos, written = whole, whole - price.upper_bound(read, 0) * answers
    return Estimate(likely, min(nanos, MOST), min(written, MOST))


class Bill:
    """What the attempts of one call cost, at the prices in force when it came.

    `versions` are the price lists that it is reckoned by; `unpriced` tells that something was used that has no price.
    """

    def __init__(self, call: Call, plan: Plan[Any]) -> None:
        self.versions: list[str] = []
        self.unpriced = False
        self._at = datetime.fromtimestamp(call.start_time, UTC)
        self._tier = call.service_tier
        self._legs = plan.legs
        self._attempt: Attempt | None = None
        self._found: Candidate[Any] | None = None

    def usage(self, attempt: Attempt) -> Usage | None:
        """What an attempt used: as its provider told, else estimated and noted as such, where it had begun to answer;
        None where it had not."""
        told = attempt.usage
        if attempt.first_event is None:
            return told
        if told is not None and attempt.whole and told.HasField("input_tokens") and told.HasField("output_tokens"):
            return told
        candidate = self._candidate(attempt)
        request = None if candidate is None else candidate.request
        written = -(-attempt.characters // _CHARACTERS_PER_TOKEN)
        # What the caller is told must not change with it.
        usage = Usage()
        if told is not None:
            usage.CopyFrom(told)
        if request is not None and not usage.HasField("input_tokens"):
            usage.input_tokens = estimate_tokens(request) if isinstance(request, ChatRequest) else _tokens_of(request)
            attempt.estimated = True
        # Some tell at the beginning of a stream what had been written by then.
        begun = not attempt.whole and usage.output_tokens * _BEGUN < written
        if not isinstance(request, EmbedRequest) and (begun or not usage.HasField("output_tokens")):
            usage.output_tokens = written
            attempt.estimated = True
        attempt.usage = usage
        return usage

    def cost(self, attempt: Attempt, usage: Usage) -> Cost | None:
        """What an attempt cost; None where it has no price."""
        candidate = self._candidate(attempt)
        offer = None if candidate is None else candidate.offer
        price: Price | None = offer.price_at(self._at, self._tier) if isinstance(offer, Offer) else None
        if price is None:
            self.unpriced = True
            return None
        if price.version not in self.versions:
            self.versions.append(price.version)
        return rated(price, usage)

    def _candidate(self, attempt: Attempt) -> Candidate[Any] | None:
        if self._attempt is not attempt:
            self._attempt, self._found = attempt, self._find(attempt)
        return self._found

    def _find(self, attempt: Attempt) -> Candidate[Any] | None:
        model, key, provider = attempt.model, attempt.key, attempt.provider
        for leg in reversed(self._legs):
            candidate: Candidate[Any]
            for candidate in reversed(leg.candidates):
                target = candidate.target
                if target.model == model and target.key == key and target.provider.name == provider:
                    return candidate
        return None


def rated(price: Price, usage: Usage) -> Cost:
    """What `usage` costs by a price list, as the ledger has it."""
    cost = price.cost(usage)
    # Filled in place, and with what there is alone: half of what it takes by keywords.
    made = Cost()
    if cost.input:
        made.input_nanos = cost.input
    if cost.cached_input:
        made.cached_input_nanos = cost.cached_input
    if cost.cache_write:
        made.cache_write_input_nanos = cost.cache_write
    if cost.output:
        made.output_nanos = cost.output
    if cost.reasoning:
        made.reasoning_output_nanos = cost.reasoning
    if cost.request:
        made.request_nanos = cost.request
    made.total_nanos = cost.total
    return made


def _tokens_of(request: EmbedRequest) -> int:
    total = 0
    for one in request.inputs:
        match one.WhichOneof("kind"):
            case "text":
                total += estimate_text(one.text)
            case "tokens":
                total += len(one.tokens.ids)
            case "content":
                total += sum(
                    estimate_text(part.text) if part.WhichOneof("kind") == "text" else _MEDIUM
                    for part in one.content.parts
                )
    return total
