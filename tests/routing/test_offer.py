"""A target with what is known of it."""

from __future__ import annotations

import math

import pytest
from routing.fleet import known, offer_of

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.override import Override
from trunkline.catalog.price import Price
from trunkline.catalog.schedule import Period


def test_what_is_known() -> None:
    """Facts and the price that blends what is read, three times, with what is written."""
    offer = offer_of(said=known(1.0, 5.0, context=1000))
    assert offer.known
    assert offer.facts.context == 1000
    assert offer.blended == 2e9
    assert offer.price is not None
    assert offer.target.prefills


def test_what_is_not_known() -> None:
    """An unpriced model is infinitely dear, and nothing is taken for granted."""
    offer = offer_of()
    assert not offer.known
    assert offer.price is None
    assert offer.blended == math.inf
    assert not offer.target.prefills
    assert offer.target.id == "a/m"
    assert offer_of(key="k").target.id == "a#k/m"


def test_a_price_changes_while_the_gateway_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked up anew after half a minute."""
    periods = (Period(Price("old", 1000, 1000)), Period(Price("new", 8000, 8000), since=5_000_000_000.0))
    offer = offer_of(said=Override({}, periods))
    assert isinstance(offer._catalog, Catalog)
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    assert offer.blended == 1000
    monkeypatch.setattr("time.time", lambda: 5_000_000_001.0)
    assert offer.blended == 1000
    now += 31
    assert offer.blended == 8000
