"""A target with all that is known of it."""

from __future__ import annotations

import math
import time
from datetime import datetime
from typing import Final, NamedTuple

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.facts import Facts
from trunkline.catalog.price import Price
from trunkline.core.estimate import IMAGE_TOKENS
from trunkline.core.provider import Provider
from trunkline.core.target import Target
from trunkline.routing.health import Health
from trunkline.routing.slugs import CHOOSES, slugs_of

_FRESH: Final = 30.0
"""Seconds for which a price is not looked up anew."""

_MILLION: Final = 1e6
_READ_FOR_EACH_WRITTEN: Final = 3
"""Tokens that are read for each that is written, where two prices are made one."""


class Rates(NamedTuple):
    """What a target costs, as callers bound it: nano-dollars for a million tokens that are read, written and heard, for
    a request, and for an image."""

    prompt: float
    completion: float
    request: float
    image: float
    audio: float


_UNPRICED: Final = Rates(*[math.inf] * 5)
_LEFT_TO_IT: Final = Rates(*[0] * 5)
"""Of one that is told the caller's bounds and keeps to them."""

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
        self._price: Price | None = None
        self.last_rates = _LEFT_TO_IT if self.chooses else _UNPRICED
        """What `rates` are, until `until`."""
        self.last_blended = math.inf
        """What `blended` is, until `until`."""
        self.last_share = 0.0
        """One over the square of it: zero where the model is unpriced, infinite where it is free."""
        self.until = -math.inf

    @property
    def price(self) -> Price | None:
        """The price list in force; None where the model is unpriced there."""
        if time.monotonic() >= self.until:
            self._look()
        return self._price

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

    @property
    def rates(self) -> Rates:
        """What it costs, as callers bound it; infinite where the model is unpriced, unless its provider sees to it."""
        if time.monotonic() >= self.until:
            self._look()
        return self.last_rates

    @property
    def share(self) -> float:
        """One over the square of `blended`, by which calls are spread."""
        if time.monotonic() >= self.until:
            self._look()
        return self.last_share

    def _look(self) -> None:
        self.until = time.monotonic() + _FRESH
        price = self._price = self._catalog.price(self.kind, self.target.model, self.target.provider.name)
        blended = math.inf
        if price is not None:
            written = price.output or 0
            blended = (price.input * _READ_FOR_EACH_WRITTEN + written) / (_READ_FOR_EACH_WRITTEN + 1)
            self.last_rates = self._rates_of(price)
        else:
            self.last_rates = _LEFT_TO_IT if self.chooses else _UNPRICED
        self.last_blended = blended
        self.last_share = blended**-2 if blended else math.inf

    def _rates_of(self, price: Price) -> Rates:
        """By a price list. An image is as many tokens as it is taken for where nobody counted them."""
        image = price.input if price.input_image is None else price.input_image
        sees = not self.known or "image" in self.facts.input
        return Rates(
            price.input,
            price.output or 0,
            price.request,
            image * IMAGE_TOKENS / _MILLION if sees else 0,
            price.input_audio or 0,
        )
