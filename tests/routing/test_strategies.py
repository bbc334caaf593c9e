"""The orders that targets are put in, by formula and by what comes of thousands of calls."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from fakes.scripted_provider import failure
from hypothesis import given
from hypothesis import strategies as st
from routing.fleet import attempted, known, offer_of

from trunkline.routing.health import Board, Breaker
from trunkline.routing.offer import Offer
from trunkline.routing.strategies import MODES, SORTS, Ranked, by_chance, strategies
from trunkline.v1 import errors_pb2

NOW = 50_000.0


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: NOW)


def ranked(name: str, offers: Sequence[Offer], chance: float = 0.5) -> list[Ranked]:
    """`offers` in the order of a strategy."""
    return strategies(lambda: NOW)[name].rank(offers, lambda: chance)


def order(name: str, offers: Sequence[Offer], chance: float = 0.5) -> str:
    """The names of the providers in order."""
    return "".join(one.offer.target.provider.name for one in ranked(name, offers, chance))


def firsts(name: str, offers: Sequence[Offer], calls: int = 4000) -> dict[str, float]:
    """Which share of the calls goes to each first."""
    source = random.Random(7)  # noqa: S311 - the same each time
    strategy = strategies(lambda: NOW)[name]
    counts = Counter(strategy.rank(offers, source.random)[0].offer.target.id for _ in range(calls))
    return {offer.target.id: counts[offer.target.id] / calls for offer in offers}


def answered(offer: Offer, first: float, took: float = 2.0, tokens: int = 0, times: int = 3) -> Offer:
    """The offer after some answers."""
    for _ in range(times):
        attempt = attempted(at=NOW - took, first=first, took=took, tokens=tokens)
        offer.health.began(attempt)
        offer.health.ended(attempt)
    return offer


def busy(offer: Offer, calls: int) -> Offer:
    """The offer while calls run there."""
    for _ in range(calls):
        offer.health.began(attempted())
    return offer


def test_the_configured_order() -> None:
    """Stays as it is, whatever the offers cost."""
    offers = [offer_of("b", said=known(9)), offer_of("a", said=known(1))]
    assert order("order", offers) == "ba"


def test_the_keys_of_a_provider_share_its_calls() -> None:
    """Also in a fixed order: the key with the fewest calls is first, equal ones by chance."""
    board = Board()
    keys = [offer_of("a", board, key="1"), offer_of("a", board, key="2")]
    offers = [*keys, offer_of("b", board)]
    assert all(share == pytest.approx(0.5, abs=0.05) for share in list(firsts("order", offers).values())[:2])
    busy(keys[0], 1)
    assert firsts("order", offers)["a#2/m"] == 1
    assert order("order", offers).endswith("b")


def test_weights() -> None:
    """One to three; the greater one is the first to fall back on."""
    offers = [offer_of("a", weight=1), offer_of("b", weight=3), offer_of("c", weight=2)]
    shares = firsts("weighted", offers)
    assert shares == {
        "a/m": pytest.approx(1 / 6, abs=0.03),
        "b/m": pytest.approx(0.5, abs=0.03),
        "c/m": pytest.approx(1 / 3, abs=0.03),
    }
    assert order("weighted", offers, 0.0) == "abc"


@pytest.mark.parametrize(
    ("prices", "shares"),
    [
        ([1, 2, 3], [36 / 49, 9 / 49, 4 / 49]),
        ([1, 1], [0.5, 0.5]),
        ([1, None], [1, 0]),
        ([None, None], [0.5, 0.5]),
        ([0, 1], [1, 0]),
        ([0, 0], [0.5, 0.5]),
    ],
)
def test_the_inverse_square_of_the_price(prices: list[float | None], shares: list[float]) -> None:
    """As OpenRouter tells: one at a dollar is nine times as likely as one at three. Unpriced ones are last, and where
    none is priced every one is as likely."""
    offers = [offer_of("abc"[index], said=known(price, price or 0)) for index, price in enumerate(prices)]
    found = firsts("inverse_price", offers)
    assert list(found.values()) == [pytest.approx(share, abs=0.03) for share in shares]


def test_the_price_alone() -> None:
    """The cheapest first, unpriced ones last."""
    offers = [offer_of("a"), offer_of("b", said=known(3)), offer_of("c", said=known(1, 2))]
    assert order("price", offers) == "cba"
    assert ranked("price", offers)[-1].score is None


def test_latency_and_throughput() -> None:
    """What is not known yet is tried first, so that it becomes known; then the best."""
    board = Board()
    offers = [
        answered(offer_of("a", board), first=1.0, tokens=20),
        answered(offer_of("b", board), first=0.1, tokens=40),
        offer_of("c", board),
    ]
    assert order("latency", offers) == "cba"
    assert order("throughput", offers) == "cba"


def test_the_least_busy() -> None:
    """By calls in flight for each share."""
    board = Board()
    offers = [busy(offer_of("a", board, weight=4), 3), busy(offer_of("b", board), 1), offer_of("c", board)]
    assert order("least_busy", offers) == "cab"


@pytest.mark.parametrize(
    ("mode", "weights"),
    [("balance", (40, 40, 20)), ("cost", (80, 10, 10)), ("quality", (10, 80, 10)), ("fast", (10, 10, 80))],
)
def test_modes_weigh_cost_quality_and_latency(mode: str, weights: tuple[float, float, float]) -> None:
    """The scores are by the formula. One of unknown latency counts as twice as quick as the quickest."""
    board = Board()
    offers = [
        answered(offer_of("a", board, known(1, 1, quality=0.4)), first=2.0),
        answered(offer_of("b", board, known(4, 4, quality=0.8)), first=1.0),
        offer_of("c", board, known(None, quality=0.6)),
    ]
    scores = {one.offer.target.provider.name: one.score for one in ranked(mode, offers)}
    cost, quality, latency = weights
    assert scores == {
        "a": pytest.approx(cost * 1 + quality * 0.5 + latency * 0.25, rel=0.05),
        "b": pytest.approx(cost * 0.25 + quality * 1 + latency * 0.5, rel=0.05),
        "c": pytest.approx(cost * 0 + quality * 0.75 + latency * 1, rel=0.05),
    }


@pytest.mark.parametrize("name", ["latency", "throughput", "fast"])
def test_what_is_not_known_is_found_out_by_one_call(name: str) -> None:
    """It is first, and while that call runs it is last; it may never answer."""
    board = Board()
    offers = [answered(offer_of("a", board, known()), first=1.0, tokens=20), offer_of("b", board, known())]
    assert order(name, offers) == "ba"
    busy(offers[1], 1)
    assert order(name, offers) == "ab"


@pytest.mark.parametrize("mode", ["balance", "cost", "quality", "fast"])
def test_modes_where_nothing_is_priced(mode: str) -> None:
    """Scores are numbers all the same."""
    offers = [offer_of("a", said=known(None, quality=0.2)), offer_of("b", said=known(None, quality=0.9))]
    found = ranked(mode, offers)
    assert all(one.score is not None and math.isfinite(one.score) for one in found)
    assert order(mode, offers) == "ba"


def test_failures_count() -> None:
    """One that fails every other time scores half."""
    board = Board(Breaker(failures=100))
    offers = [offer_of("a", board, known(1, 1)), offer_of("b", board, known(1.2, 1.2))]
    error = failure(errors_pb2.ERROR_REASON_PROVIDER_FAILED)
    for outcome in (None, error, None, error):
        attempt = attempted(at=NOW, took=0.0, error=outcome)
        offers[0].health.began(attempt)
        offers[0].health.ended(attempt)
    assert order("balance", offers) == "ba"


def test_every_word_has_a_strategy() -> None:
    """Modes and sorts."""
    names = set(strategies(lambda: NOW))
    assert set(MODES.values()) | set(SORTS.values()) <= names
    assert 0 <= by_chance() < 1


_OFFERS = st.lists(
    st.tuples(
        st.sampled_from([None, 0.0, 0.5, 10.0]),
        st.floats(0, 1),
        st.sampled_from([None, 0.1, 5.0]),
        st.integers(0, 3),
        st.floats(0.01, 100),
    ),
    min_size=1,
    max_size=8,
)


@given(facts=_OFFERS, chance=st.floats(0, 1, exclude_max=True))
def test_everybody_has_a_place(
    facts: list[tuple[float | None, float, float | None, int, float]], chance: float
) -> None:
    """Every strategy keeps every offer, once, and tells scores that are numbers, greater ones first."""
    board = Board()
    offers = []
    for index, (price, quality, latency, calls, weight) in enumerate(facts):
        said = known(price, price or 0.0, quality=quality)
        offer = busy(offer_of(f"p{index}", board, said, weight=weight), calls)
        offers.append(offer if latency is None else answered(offer, first=latency, took=latency + 1, tokens=10))
    for name, strategy in strategies(lambda: NOW).items():
        found = strategy.rank(offers, lambda: chance)
        assert sorted(one.offer.target.id for one in found) == sorted(offer.target.id for offer in offers)
        scores = [one.score for one in found if one.score is not None]
        assert all(math.isfinite(score) for score in scores)
        if name not in ("weighted", "inverse_price"):
            assert scores == sorted(scores, reverse=True)
        assert all(one.reason for one in found)
