"""A target with all that is known of it."""

from __future__ import annotations

import math
import time
from datetime import datetime
from typing import Final

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.facts import Facts
from trunkline.catalog.price import Price
from trunkline.core.provider import Provider
from trunkline.core.target import Target
from trunkline.routing.health import Health
from trunkline.routing.slugs import CHOOSES, slugs_of

_FRESH: Final = 30.0
"""Seconds for which a price is not looked up anew."""

_READ_FOR_EACH_WRITTEN: Final = 3
"""Tokens that are read for each that is written, where two prices are made one."""

_NOTHING_KNOWN: Final = Facts()


class Offer:
    """A target, the kind of its provider, its health, its facts and its price. `weight` is its share of the calls,
    `slugs` are the names by which callers may mean it, and `chooses` tells whether its provider is one that chooses
    among providers itself, by what it is told of the caller's wishes."""

    def __init__(
        self, provider: Provider, model: str, key: str, kind: str, catalog: Catalog, health: Health, weight: float = 1.0
    ) -> None:
        facts = catalog.facts(kind, model, provider.name)
        self.kind = kind
        self.known = facts is not None
        self.facts = facts or _NOTHING_KNOWN
        self.health = health
        self.weight = weight
        self.target = Target(provider, model, key, health, "prefill" in self.facts.features)
        self.id = self.target.id
        self.slugs = slugs_of(provider.name, kind, key)
        self.chooses = kind == CHOOSES
        self._catalog = catalog
        self.last_price: Price | None = None
        """What `price` is, until `until`."""
        self.last_blended = math.inf
        """What `blended` is, until `until`."""
        self.until = -math.inf

    @property
    def price(self) -> Price | None:
        """The price list in force; None where the model is unpriced there."""
        if time.monotonic() >= self.until:
            self._look()
        return self.last_price

    def price_at(self, at: datetime, service_tier: str = "") -> Price | None:
        """The price list in force at `at` for a class of service; None where the model is unpriced there."""
        target = self.target
        return self._catalog.price(self.kind, target.model, target.provider.name, at, service_tier)

    @property
    def blended(self) -> float:
        """Nano-dollars for a million tokens of which three are read for each that is written; infinite where the model
        is unpriced."""
        if time.monotonic() >= self.until:
            self._look()
        return self.last_blended

    def _look(self) -> None:
        self.until = time.monotonic() + _FRESH
        price = self.last_price = self._catalog.price(self.kind, self.target.model, self.target.provider.name)
        if price is None:
            self.last_blended = math.inf
        else:
            written = price.output or 0
            self.last_blended = (price.input * _READ_FOR_EACH_WRITTEN + written) / (_READ_FOR_EACH_WRITTEN + 1)
