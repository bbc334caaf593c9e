"""The name of a model to what answers to it."""

from __future__ import annotations

import asyncio
import difflib
import math
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from heapq import nsmallest
from typing import Final, Protocol, TypeVar

from trunkline.catalog.catalog import Catalog
from trunkline.core.plan import Policy
from trunkline.errors import GatewayError, not_found
from trunkline.routing.health import Board
from trunkline.routing.needs import Common, common_of
from trunkline.routing.offer import Offer
from trunkline.routing.slugs import CHOOSES, slugs_of
from trunkline.routing.spec import BUILT_IN, PoolSpec, Spec
from trunkline.routing.strategies import MODES
from trunkline.v1.models_pb2 import Model

_DEEPEST: Final = 8
"""The most aliases that lead to one another."""
_KEPT: Final = 4096
"""The most names whose meaning is kept."""
_LONGEST: Final = 256
"""The longest name, in characters."""
_COMPARED: Final = 500
"""The most names with which an unknown one is compared: those of about its length."""
_FRESH: Final = 60.0
"""Seconds for which the models that providers list are not looked at anew."""

_OWN: Final = frozenset({"anthropic", "cohere", "deepseek", "gemini", "mistral", "openai", "vertex", "voyage", "xai"})
"""The kinds whose models are asked for by a bare name though nobody listed them: those that make them."""

_EMBEDDED: Final = "sim"

_VARIANTS: Final = frozenset({"nitro", "floor", "exacto", "free", "online", "thinking"})
"""OpenRouter's variants that any model has here; they can be stacked."""

_VARIANT_SORTS: Final = {"nitro": "throughput", "floor": "price", "exacto": "quality"}


_HEAD: Final = re.compile("[/:]")
"""What stands between a provider and its name for a model."""

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name stands for.

    `auto` tells that the gateway chooses the model, and then only among those that can do what is asked; `free` that
    only what costs nothing may answer; `thinks` and `searches` that the model is to reason, and to be told what a
    search of the web finds.
    """

    offers: Sequence[Offer]
    strategy: str
    policy: Policy
    mode: str = ""
    auto: bool = False
    free: bool = False
    thinks: bool = False
    searches: bool = False
    features: frozenset[str] = frozenset()
    common: Common = field(init=False, repr=False, compare=False)
    """What all offers have."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "common", common_of(self.offers))

    @property
    def plain(self) -> bool:
        """Whether the name asks for nothing but the model."""
        return not (self.auto or self.free or self.thinks or self.searches or self.features)


class Models(Protocol):
    """What providers say they serve."""

    async def list(self) -> Sequence[Model]:
        """Every model; those of a provider are `provider/model`."""
        ...


class Names:
    """Resolves names, in this order: a configured name or its alias; what a provider lists; `route/`, `auto` and
    `openrouter/`; a variant or a mode behind a colon; `provider/model` and `provider:model`; the bare name of a model
    whose maker is a provider."""

    def __init__(self, spec: Spec, catalog: Catalog, board: Board, models: Models) -> None:
        self._spec = spec
        self._catalog = catalog
        self._board = board
        self._models = models
        self._offers: dict[tuple[str, float], list[Offer]] = {}
        self._known: dict[str, Meaning] = {}
        self._chosen: dict[str, Meaning] = {}
        self._listed: dict[str, list[str]] = {}
        self._listed_at = -math.inf
        self._looking = asyncio.Lock()
        self._all: list[Offer] | None = None
        self.slugs = frozenset[str]().union(
            *(slugs_of(name, one.kind, one.key) for name, members in spec.members.items() for one in members)
        )
        """Every name by which callers may mean a configured provider."""
        for provider, names in spec.models.items():
            for name in names:
                self._list(provider, name)
        self._configured = {name: list(targets) for name, targets in self._listed.items()}

    def known(self, name: str) -> Meaning | None:
        """What `name` stands for, where that was found before and cannot have changed."""
        return self._known.get(name)

    async def resolve(self, name: str) -> Meaning:
        """What `name` stands for. Raises `GatewayError` (NOT_FOUND), with the names that are like it."""
        meaning = self._known.get(name)
        if meaning is not None:
            return meaning
        meaning = self._find(name) if len(name) <= _LONGEST and name not in self._chosen else None
        if meaning is None or meaning.auto:
            # What providers list may tell more, and it changes: what depends on it is kept only until the next look.
            await self._look()
            meaning = self._chosen.get(name)
            if meaning is None and len(name) <= _LONGEST:
                meaning = self._find(name)
                if meaning is not None:
                    _keep(self._chosen, name, meaning)
        else:
            _keep(self._known, name, meaning)
        if meaning is None or not meaning.offers:
            raise self._unknown(name)
        return meaning

    def _find(self, name: str, depth: int = 0) -> Meaning | None:
        route = self._spec.routes.get(name)
        if route is not None:
            offers = [offer for target, weight in route.targets for offer in self._direct(target, weight)]
            return Meaning(offers, route.strategy, route.policy, route.strategy)
        alias = self._alias(name)
        if alias is not None and depth < _DEEPEST:
            return self._find(alias, depth + 1)
        if name in self._listed:
            return self._fixed([offer for target in self._listed[name] for offer in self._direct(target)])
        reserved = self._reserved(name, depth)
        if reserved is not None:
            return reserved
        if self._kind(_HEAD.split(name, maxsplit=1)[0]) != CHOOSES:  # which reads them itself
            base, colon, word = name.rpartition(":")
            if colon and (word in _VARIANTS or word in MODES):
                meaning = self._find(base, depth + 1) if depth < _DEEPEST else None
                return None if meaning is None else _varied(meaning, word)
        offers = self._direct(name)
        if offers:
            return self._fixed(offers)
        return self._fixed(self._of_makers(name))

    def _fixed(self, offers: list[Offer]) -> Meaning | None:
        """One model, at every provider that serves it."""
        if not offers:
            return None
        single = len(offers) == 1
        return Meaning(offers, "inverse_price", self._spec.policy, "direct" if single else "price")

    def _reserved(self, name: str, depth: int) -> Meaning | None:
        head, slash, rest = name.partition("/")
        if slash and head == "route" and depth < _DEEPEST:
            return self._find(rest, depth + 1)
        if slash and head == "auto":
            pool = self._spec.pools.get(rest) or BUILT_IN.get(rest)
            return None if pool is None else self._pool(pool, rest)
        if name in ("auto", "openrouter/auto") and self._kind(head) is None:
            return self._pool(PoolSpec(), "balance")
        if name == "openrouter/free" and self._kind(head) is None:
            return replace(self._pool(PoolSpec(strategy="weighted"), "free"), free=True)
        head, colon, rest = name.partition(":")
        if colon and head == "auto" and rest in MODES:
            return self._pool(PoolSpec(strategy=MODES[rest]), rest)
        return None

    def _pool(self, pool: PoolSpec, mode: str) -> Meaning:
        if pool.models:
            found = [self._find(name, 1) for pattern in pool.models for name in self._matching(pattern)]
            offers = _distinct(offer for meaning in found if meaning is not None for offer in meaning.offers)
        else:
            offers = self._everything()
        policy = pool.policy or self._spec.policy
        return Meaning(offers, pool.strategy, policy, mode, auto=True, features=pool.features)

    def _everything(self) -> list[Offer]:
        """Every configured model, or where there is none every listed one whose price and abilities are known; the
        embedded provider's only where there is nothing else."""
        if self._all is None:
            if self._spec.routes:
                targets = [target for route in self._spec.routes.values() for target, _ in route.targets]
            else:
                targets = [target for targets in self._listed.values() for target in targets]
            offers = _distinct(offer for target in targets for offer in self._direct(target))
            able = [offer for offer in offers if offer.known and "text" in offer.facts.output]
            real = [offer for offer in able if offer.kind != _EMBEDDED]
            self._all = real or able
        return self._all

    def _matching(self, pattern: str) -> Iterable[str]:
        if "*" not in pattern:
            return [pattern]
        return [name for name in (*self._spec.routes, *self._listed) if fnmatchcase(name, pattern)]

    def _alias(self, name: str) -> str | None:
        aliases = self._spec.aliases
        found = aliases.get(name)
        if found is None:
            found = next((to for alias, to in aliases.items() if "*" in alias and fnmatchcase(name, alias)), None)
        return found if found != name else None

    def _direct(self, name: str, weight: float = 1.0) -> list[Offer]:
        """What `provider/model` or `provider:model` names, once for each of the provider's keys."""
        known = self._offers.get((name, weight))
        if known is not None:
            return known
        offers: list[Offer] = []
        for separator in "/:":
            head, found, model = name.partition(separator)
            if found and model and head in self._spec.members:
                for member in self._spec.members[head]:
                    health = self._board.health(head, member.key, model)
                    offers.append(Offer(member.provider, model, member.key, member.kind, self._catalog, health, weight))
                break
        if offers:
            _keep(self._offers, (name, weight), offers)
        return offers

    def _of_makers(self, name: str) -> list[Offer]:
        return [
            offer
            for provider, members in self._spec.members.items()
            if members[0].kind in _OWN and self._catalog.knows(members[0].kind, name)
            for offer in self._direct(f"{provider}/{name}")
        ]

    def _kind(self, provider: str) -> str | None:
        members = self._spec.members.get(provider)
        return members[0].kind if members else None

    async def _look(self) -> None:
        """See what providers list, where that was not seen for a while."""
        if time.monotonic() - self._listed_at < _FRESH:
            return
        async with self._looking:  # those who come meanwhile wait for what the first one finds
            if time.monotonic() - self._listed_at < _FRESH:
                return
            self._learn(await self._models.list())
            self._listed_at = time.monotonic()

    def _learn(self, listed: Sequence[Model]) -> None:
        self._listed = {name: list(targets) for name, targets in self._configured.items()}
        for model in listed:
            provider, slash, name = model.id.partition("/")
            if slash and provider in self._spec.members and model.id not in self._spec.routes:
                self._list(provider, name)
        self._all = None
        self._chosen.clear()

    def _list(self, provider: str, model: str) -> None:
        target = f"{provider}/{model}"
        for name in (model, target):
            targets = self._listed.setdefault(name, [])
            if target not in targets:
                targets.append(target)

    def _unknown(self, name: str) -> GatewayError:
        shown = name[:128]
        known = [*self._spec.routes, *self._spec.aliases, *self._listed, *(f"{one}/" for one in self._spec.members)]
        known += [*(f"auto:{mode}" for mode in MODES), *(f"auto/{pool}" for pool in {**BUILT_IN, **self._spec.pools})]
        # To compare two names takes some ten microseconds, and every call waits meanwhile.
        alike = nsmallest(_COMPARED, known, key=lambda one: abs(len(one) - len(shown)))
        near = difflib.get_close_matches(shown, alike, n=3)
        base = shown.rpartition(":")[0]
        if not near and base and self._find(base) is not None:
            near = [base]
        hint = f" Did you mean {' or '.join(f'`{match}`' for match in near)}?" if near else ""
        return not_found(f"The model `{shown}` does not exist.{hint} `GET /v1/models` lists the models.", "model")


def _varied(meaning: Meaning, word: str) -> Meaning:
    """The meaning of a name with a variant or a mode behind it."""
    match word:
        case "free":
            return replace(meaning, free=True)
        case "online":
            return replace(meaning, searches=True)
        case "thinking":
            return replace(meaning, thinks=True)
    strategy = _VARIANT_SORTS.get(word) or MODES[word]
    return replace(meaning, strategy=strategy, mode=word)


def _keep(cache: dict[_K, _V], key: _K, value: _V) -> None:
    """Keep `value`, and what was kept the longest no more: names come from callers, who may think of any number."""
    if len(cache) >= _KEPT:
        del cache[next(iter(cache))]
    cache[key] = value


def _distinct(offers: Iterable[Offer]) -> list[Offer]:
    return list({offer.target.id: offer for offer in offers}.values())
