"""Where a call goes: its names resolved, those left out who may not answer, the others put in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import compress
from typing import overload

from trunkline.call import Call
from trunkline.core.plan import Candidate, Exclusion, Leg, Plan, R
from trunkline.errors import GatewayError, not_found
from trunkline.routing.affinity import Affinity, conversation_of, is_warm
from trunkline.routing.names import Meaning, Names
from trunkline.routing.needs import Needs, lacking, needs_of
from trunkline.routing.offer import Offer
from trunkline.routing.preferences import Check, check_routing, checks_of, for_others, in_asked_order, slow
from trunkline.routing.report import report_with_facts
from trunkline.routing.rules import Rules
from trunkline.routing.strategies import SORTS, Chance, Ranked, by_chance, strategies
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Plugin, Routing
from trunkline.v1.embeddings_pb2 import EmbedRequest
from trunkline.v1.routes_pb2 import RouteReport

_NO_ROUTING = Routing()


class Router:
    """Makes plans; see `Plans`. `chance` is a number from 0 up to 1 at each call, by which calls are spread."""

    def __init__(
        self, names: Names, affinity: Affinity, rules: Rules | None = None, chance: Chance = by_chance
    ) -> None:
        self._names = names
        self._affinity = affinity
        self._rules = Rules(()) if rules is None else rules
        self._chance = chance
        self._strategies = strategies(time.monotonic)

    async def chat(self, request: ChatRequest, call: Call) -> Plan[ChatRequest]:
        """See `Plans.chat`."""
        request, rule = self._rules.apply(request, call)
        if not request.HasField("routing") and not call.owner.restricted:
            meaning = self._names.known(request.model)
            if meaning is not None and len(meaning.offers) == 1 and meaning.plain:
                # What most calls are: one name, one target, and nothing to choose.
                offer = meaning.offers[0]
                candidate = Candidate(offer.target, request, "the only target", offer=offer)
                return Plan([Leg([candidate], meaning.policy)], meaning.mode, rule)
        routing = request.routing if request.HasField("routing") else _NO_ROUTING
        return await _Planning(routing, self, call).chat(request, rule)

    async def embed(self, request: EmbedRequest, call: Call) -> Plan[EmbedRequest]:
        """See `Plans.embed`."""
        return await _Planning(request.routing, self, call).embed(request)

    def done(self, plan: Plan[ChatRequest], candidate: Candidate[ChatRequest], call: Call) -> None:
        """See `Plans.done`."""
        if plan.conversation and is_warm(candidate.request, call.usage):
            self._affinity.note(plan.conversation, candidate.target.id)

    def report(self, plan: Plan[ChatRequest], call: Call) -> RouteReport:
        """See `Plans.report`."""
        return report_with_facts(plan, call)

    @property
    def names(self) -> Names:
        """What names mean."""
        return self._names

    def rank(self, offers: Sequence[Offer], strategy: str) -> list[Ranked]:
        """`offers` in order."""
        return self._strategies[strategy].rank(offers, self._chance)

    def spreads(self, strategy: str) -> bool:
        """Whether calls that are alike go to different targets by `strategy`."""
        return self._strategies[strategy].spreads

    def recall(self, conversation: bytes) -> str | None:
        """Where a conversation was answered last."""
        return self._affinity.recall(conversation)


class _Planning:
    """The making of one plan."""

    def __init__(self, routing: Routing, router: Router, call: Call) -> None:
        self._routing = routing
        self._wishes = routing is not _NO_ROUTING
        self._checks: list[tuple[str, Check]] = []
        self._sort = ""
        if self._wishes:
            check_routing(routing)
            self._checks = checks_of(routing, router.names.slugs)
            self._sort = routing.sort.by
        self._router = router
        self._call = call
        self._exclusions: list[Exclusion] = []
        self._conversation = b""
        self._now = time.monotonic()
        self._needs: Needs | None = None

    async def chat(self, request: ChatRequest, rule: str) -> Plan[ChatRequest]:
        meanings = await self._meanings(request.model)
        request = self._for_others(request, meanings)
        legs = [
            Leg(self._candidates(meaning, _as_meant(request, meaning), request), meaning.policy)
            for meaning in self._merged(meanings)
        ]
        return self._plan(legs, meanings[0], rule)

    async def embed(self, request: EmbedRequest) -> Plan[EmbedRequest]:
        meanings = await self._meanings(request.model)
        request = self._for_others(request, meanings)
        legs = [Leg(self._candidates(meaning, request, None), meaning.policy) for meaning in self._merged(meanings)]
        return self._plan(legs, meanings[0], "")

    async def _meanings(self, name: str) -> list[Meaning]:
        """What the names stand for. One that leads nowhere is passed over where another one leads somewhere."""
        meanings: list[Meaning] = []
        first: GatewayError | None = None
        for one in (name, *self._routing.fallback_models) if self._wishes else (name,):
            try:
                meaning = await self._router.names.resolve(one)
                meanings.append(self._permitted(one, meaning) if self._call.owner.restricted else meaning)
            except GatewayError as error:
                first = first or error
        if not meanings and first is not None:
            raise first
        return meanings

    def _for_others(self, request: R, meanings: Sequence[Meaning]) -> R:
        """The request with what is asked of those that choose among providers themselves, where it leads to any."""
        if not self._wishes or not any(offer.chooses for meaning in meanings for offer in meaning.offers):
            return request
        others = for_others(self._routing, self._router.names.slugs)
        if others is None:
            return request
        told = deepcopy(request)
        told.routing.CopyFrom(others)
        return told

    def _permitted(self, name: str, meaning: Meaning) -> Meaning:
        """What the caller's key allows of what `name` stands for. Raises `GatewayError` (PERMISSION_DENIED) where that
        is nothing."""
        owner = self._call.owner
        offers = self._without(
            meaning.offers,
            lambda offer: (
                None if owner.may_ask(name, offer.target.provider.name, offer.target.model) else "not for this key"
            ),
        )
        if not offers:
            raise GatewayError(
                errors_pb2.ERROR_REASON_PERMISSION_DENIED,
                f"The key may not ask for the model `{name[:128]}`. `GET /v1/models` lists what it may ask for.",
                param="model",
            )
        return replace(meaning, offers=offers)

    def _merged(self, meanings: Sequence[Meaning]) -> Sequence[Meaning]:
        """One meaning for all names where their targets are to be put in one order."""
        if len(meanings) == 1 or not self._routing.sort.across_models:
            return meanings
        offers = {offer.target.id: offer for meaning in meanings for offer in self._of_name(meaning)}
        return [replace(meanings[0], offers=list(offers.values()), free=False, features=frozenset())]

    def _plan(self, legs: Sequence[Leg[R]], meaning: Meaning, rule: str) -> Plan[R]:
        kept = [leg for leg in legs if leg.candidates]
        if not kept:
            raise self._nobody()
        return Plan(kept, self._sort or meaning.mode, rule, self._exclusions, self._conversation)

    def _candidates(self, meaning: Meaning, request: R, chat: ChatRequest | None) -> Sequence[Candidate[R]]:
        """The targets of one name, in the order to try them."""
        offers = self._allowed(meaning, chat)
        if not offers:
            return []
        routing = self._routing
        strategy = SORTS[self._sort] if self._sort else meaning.strategy
        ranked = self._router.rank(offers, strategy) if len(offers) > 1 else [Ranked(offers[0], None, "only target")]
        spreads = len(ranked) > 1 and self._router.spreads(strategy)
        if spreads and [one for one in ranked if one.offer.health.uneasy]:
            ranked = _last(ranked, lambda offer: "failed of late" if offer.health.suffers(self._now) else None)
        if self._wishes and (routing.HasField("preferred_min_throughput") or routing.HasField("preferred_max_latency")):
            ranked = _last(ranked, lambda offer: slow(offer, routing))
        ordered = self._wishes and bool(routing.provider_order)
        if spreads and chat is not None and not ordered:
            ranked = self._with_affinity(ranked, chat)
        if ordered or (self._wishes and routing.HasField("fallbacks")):
            ranked = in_asked_order(ranked, routing, self._router.names.slugs)
        return _InOrder(ranked, request)

    def _of_name(self, meaning: Meaning) -> list[Offer]:
        """Those that the name itself allows; why the others are not among them is noted."""
        offers: list[Offer] = list(meaning.offers)
        if meaning.free:
            offers = self._without(offers, lambda offer: None if _is_free(offer) else "not free")
        if meaning.features:
            offers = self._without(offers, lambda offer: min(meaning.features - offer.facts.features, default=None))
        return offers

    def _allowed(self, meaning: Meaning, chat: ChatRequest | None) -> list[Offer]:
        """Those that may answer; why the others may not is noted."""
        offers = self._of_name(meaning)
        for field, check in self._checks:
            may = check(offers)
            if not all(may):
                self._exclusions += [
                    Exclusion(offer.target, field) for offer, one in zip(offers, may, strict=True) if not one
                ]
                offers = list(compress(offers, may))
        if meaning.auto and chat is not None:
            needs = self._needs = self._needs or needs_of(chat)
            if not meaning.common.suffices(needs):
                offers = self._without(offers, lambda offer: lacking(offer, needs))
        elif len(offers) > 1 and chat is not None:
            # Those that can do all of it are asked alone, where there are any: others would leave something out.
            needs = self._needs = self._needs or needs_of(chat)
            if meaning.common.suffices(needs):
                return offers
            able = [offer for offer in offers if not offer.known or lacking(offer, needs) is None]
            if able and len(able) < len(offers):
                offers = self._without(offers, lambda offer: lacking(offer, needs) if offer.known else None)
        return offers

    def _without(self, offers: Sequence[Offer], reason: Callable[[Offer], str | None]) -> list[Offer]:
        kept: list[Offer] = []
        for offer in offers:
            why = reason(offer)
            if why is None:
                kept.append(offer)
            else:
                self._exclusions.append(Exclusion(offer.target, why))
        return kept

    def _with_affinity(self, ranked: list[Ranked], chat: ChatRequest) -> list[Ranked]:
        """The target that has the conversation in its cache first, unless it is in trouble."""
        self._conversation = conversation_of(chat, self._call.owner.account)
        last = self._router.recall(self._conversation)
        if last is None:
            return ranked
        for index, one in enumerate(ranked):
            if one.offer.id == last and not one.offer.health.suffers(self._now):
                kept = one._replace(reason="its prompt cache has the conversation")
                return [kept, *ranked[:index], *ranked[index + 1 :]]
        return ranked

    def _nobody(self) -> GatewayError:
        """The error where no target is left, with what left them out."""
        counts: dict[str, int] = {}
        for exclusion in self._exclusions:
            counts[exclusion.reason] = counts.get(exclusion.reason, 0) + 1
        reasons = ", ".join(f"{reason} ({count})" for reason, count in counts.items())
        error = not_found(f"No target is left that may answer. What left them out: {reasons}.", "routing")
        error.excluded_by = tuple(counts)
        return error


class _InOrder(Sequence[Candidate[R]]):
    """Candidates that are made when somebody looks at them: most calls look at the first alone."""

    def __init__(self, ranked: Sequence[Ranked], request: R) -> None:
        self._ranked = ranked
        self._request = request

    @overload
    def __getitem__(self, index: int) -> Candidate[R]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Candidate[R]]: ...

    def __getitem__(self, index: int | slice) -> Candidate[R] | Sequence[Candidate[R]]:
        if isinstance(index, slice):
            return _InOrder(self._ranked[index], self._request)
        offer, score, reason = self._ranked[index]
        return Candidate(offer.target, self._request, reason, score, offer)

    def __len__(self) -> int:
        return len(self._ranked)


def _as_meant(request: ChatRequest, meaning: Meaning) -> ChatRequest:
    """The request with what the name itself asks for."""
    if not (meaning.thinks or meaning.searches):
        return request
    meant = ChatRequest()
    meant.CopyFrom(request)
    if meaning.thinks and not request.HasField("reasoning"):
        meant.reasoning.enabled = True
    if meaning.searches and all(plugin.id != "web" for plugin in request.plugins):
        meant.plugins.append(Plugin(id="web"))
    return meant


def _is_free(offer: Offer) -> bool:
    price = offer.price
    return price is not None and price.free


def _last(ranked: Sequence[Ranked], reason: Callable[[Offer], str | None]) -> list[Ranked]:
    """Those behind the others for which there is a reason."""
    first: list[Ranked] = []
    last: list[Ranked] = []
    for one in ranked:
        why = reason(one.offer)
        if why is None:
            first.append(one)
        else:
            last.append(one._replace(reason=f"last: {why}"))
    return first + last
