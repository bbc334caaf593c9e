"""What the configuration says of models, as the catalogue takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from math import inf
from typing import Final

from trunkline.catalog.facts import Facts
from trunkline.catalog.override import Override
from trunkline.catalog.price import NANO, Price
from trunkline.catalog.schedule import Period
from trunkline.config.catalog import CatalogModelConfig, PriceListConfig, RatesConfig

_FACTS: Final = frozenset(field.name for field in fields(Facts))
_SETS: Final = frozenset({"input", "output", "features"})
_RATES: Final = tuple(RatesConfig.model_fields)


def overrides(catalog: Mapping[str, CatalogModelConfig]) -> dict[str, Override]:
    """The overrides of a configuration, by the names that they are for."""
    return {name: Override(_facts(said), tuple(map(_period, said.prices))) for name, said in catalog.items()}


def _facts(said: CatalogModelConfig) -> dict[str, object]:
    facts: dict[str, object] = {}
    for name in _FACTS:
        value = getattr(said, name)
        if isinstance(value, date):
            facts[name] = int(_midnight(value))
        elif value is not None:
            facts[name] = frozenset(value) if name in _SETS else value
    return facts


def _period(said: PriceListConfig) -> Period:
    # Equal lists have equal names, whatever file they stand in.
    version = f"config {sha256(said.model_dump_json().encode()).hexdigest()[:12]}"
    tiers = tuple((tier.above, _price(version, tier)) for tier in sorted(said.tiers, key=lambda tier: tier.above))
    price = replace(_price(version, said), tiers=tiers)
    return Period(price, -inf if said.since is None else _midnight(said.since))


def _price(version: str, said: RatesConfig) -> Price:
    rates: dict[str, int] = {}
    for name in _RATES:
        dollars: Decimal | None = getattr(said, name)
        if dollars is not None:
            rates[name] = int(dollars * NANO)
    return Price(version=version, **rates)  # type: ignore[arg-type]  # no rate is called `tiers`


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
