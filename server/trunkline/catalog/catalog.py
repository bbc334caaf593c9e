"""The catalogue: what is known of each model at each kind of provider."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from trunkline.catalog.facts import Facts
from trunkline.catalog.families import family_facts
from trunkline.catalog.override import Override, matching
from trunkline.catalog.price import Price
from trunkline.catalog.published import published_model, published_periods
from trunkline.catalog.schedule import Period, Schedule

_KEPT: Final = 8192
"""The most answers that are kept of each sort."""
_LONGEST: Final = 256
"""The longest name that is looked up, in characters."""
_EMBEDDED: Final = "sim"
"""The kind that answers here and costs nothing."""
_HOSTS: Final = frozenset(
    {
        "bedrock",
        "cerebras",
        "fireworks",
        "groq",
        "huggingface",
        "nebius",
        "novita",
        "openrouter",
        "sambanova",
        "together",
    }
)
"""The kinds that serve others' models, with a context of their own choice."""
_FREE: Final = Period(Price("sim", input=0, output=0))


class Catalog:
    """Facts and prices of models. Pure: it reads nothing but the data that came with the gateway.

    A model is named as its provider names it. `kind` is the kind of the provider and `provider` its name in the
    configuration, by which `overrides` may speak of it.
    """

    def __init__(self, overrides: Mapping[str, Override] = {}) -> None:
        self._overrides = dict(overrides)
        self._known_facts = lru_cache(maxsize=_KEPT)(self._find_facts)
        self._schedule = lru_cache(maxsize=_KEPT)(self._make_schedule)
        self._served = lru_cache(maxsize=_KEPT)(self._find_served)

    def facts(self, kind: str, model: str, provider: str = "") -> Facts | None:
        """What is known of the model; None where nothing is."""
        return self._known_facts(kind, model, provider)

    def knows(self, kind: str, model: str) -> bool:
        """Whether a provider of that kind is known to serve a model of that name."""
        return self._served(kind, model)

    def price(
        self, kind: str, model: str, provider: str = "", at: datetime | None = None, service_tier: str = ""
    ) -> Price | None:
        """The price list in force at `at` (now, where it is None; UTC, where it has no zone).

        `service_tier` is the class of service that was asked for or that answered, such as `flex` or `priority`. None
        where the model is unpriced, which is never the same as free.
        """
        schedule = self._schedule(kind, model, provider, service_tier)
        if at is None:
            return schedule.at(time.time())
        return schedule.at((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())

    def _find_facts(self, kind: str, model: str, provider: str) -> Facts | None:
        if len(model) > _LONGEST:
            return None
        known = family_facts(kind, model)
        found = published_model(kind, model)
        said: dict[str, Any] = {}
        for override in matching(self._overrides, provider, model):
            said.update(override.facts)
        if known is None and found is None and not said:
            return None
        facts = known or Facts()
        if found is not None:
            own, hosted = facts.context, found[1].context_window
            context = hosted or own if kind in _HOSTS else own or hosted
            facts = replace(facts, context=context, name=facts.name or found[1].name or "")
        return replace(facts, **said) if said else facts

    def _find_served(self, kind: str, model: str) -> bool:
        if len(model) > _LONGEST:
            return False
        if kind == _EMBEDDED:
            return family_facts(kind, model) is not None
        return published_model(kind, model) is not None

    def _make_schedule(self, kind: str, model: str, provider: str, service_tier: str) -> Schedule:
        if len(model) > _LONGEST:
            return Schedule(())
        periods = [_FREE] if kind == _EMBEDDED else published_periods(kind, model, service_tier)
        for override in matching(self._overrides, provider, model):
            periods.extend(override.periods)
        return Schedule(tuple(periods))
