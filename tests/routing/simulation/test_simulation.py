"""What comes of thousands of calls, as docs/routing.md tells it."""

from __future__ import annotations

import pytest
from routing.simulation import scenarios
from routing.simulation.page import PAGE, with_tables
from routing.simulation.provider import Behaviour
from routing.simulation.scenarios import OUTAGE, UNLIKE, by_strategy, cached, hedged, limited, outage, retried
from routing.simulation.traffic import simulate

from trunkline.core.plan import Policy
from trunkline.routing.strategies import strategies


@pytest.mark.parametrize(
    ("strategy", "winner"),
    [
        ("order", "budget"),
        ("price", "budget"),
        ("cost", "budget"),
        ("inverse_price", "budget"),
        ("latency", "quick"),
        ("throughput", "quick"),
        ("fast", "quick"),
        ("least_busy", "quick"),
        ("quality", "fine"),
        ("balance", "steady"),
    ],
)
def test_each_strategy_chooses_what_it_is_for(strategy: str, winner: str) -> None:
    """Of five targets that are unlike."""
    shares = by_strategy(strategy).shares
    assert max(shares, key=lambda name: shares[name]) == winner


@pytest.mark.parametrize("strategy", sorted(strategies(lambda: 0.0)))
def test_no_call_fails_where_others_answer(strategy: str) -> None:
    """Though one of five fails every fifth time."""
    assert by_strategy(strategy).failed == 0


def test_prices_are_spread_by_their_inverse_square() -> None:
    """What would go to a target that failed of late goes to the cheapest one."""
    shares = by_strategy("inverse_price").shares
    squares = {name: one.dollars**-2 for name, one in UNLIKE.items()}
    total = sum(squares.values())
    for name in ("quick", "fine", "steady"):
        assert shares[name] == pytest.approx(squares[name] / total, abs=0.03)
    assert shares["budget"] > squares["budget"] / total


@pytest.mark.parametrize("strategy", ["order", "weighted", "balance"])
def test_an_outage_costs_little(strategy: str) -> None:
    """One of three targets refuses every call for three minutes: no call fails, at most ten attempts are in vain, and
    the target is used again within half of the time that it was out."""
    one = outage(strategy)
    meanwhile = one.between(*OUTAGE)
    assert len(meanwhile.calls) > 800
    assert one.failed == 0
    assert sum(call.attempts - 1 for call in meanwhile.calls) <= 10
    back = scenarios.recovery(one, "a", OUTAGE[1])
    assert back is not None
    assert back <= 90


def test_the_breaker_is_what_spares_the_attempts() -> None:
    """Without it every call of the outage is tried in vain."""
    meanwhile = outage("order", breaker=False).between(*OUTAGE)
    assert sum(call.attempts - 1 for call in meanwhile.calls) >= len(meanwhile.calls)


def test_a_target_that_does_not_answer() -> None:
    """Those wait who came before the breaker opened, and a few that probe; no call fails."""
    one = outage("order", hangs=True)
    meanwhile = one.between(*OUTAGE)
    waited = [call for call in meanwhile.calls if call.took > 10]
    assert one.failed == 0
    assert len(waited) <= 80
    assert meanwhile.first(0.5) < 1


@pytest.mark.parametrize("errors", [0.05, 0.2, 0.4])
@pytest.mark.parametrize("retries", [0, 1, 2, 3])
def test_retries_multiply(errors: float, retries: int) -> None:
    """What fails with a probability of p fails with one of p to the power of the attempts."""
    assert retried(errors, retries).failed / 1000 == pytest.approx(errors ** (retries + 1), abs=0.035)


def test_rate_limits_are_learned() -> None:
    """A key that said 429 is left alone until its reset: of hundreds of calls too many a few are told so. A second key
    doubles what goes through, and another target takes the rest."""
    assert limited(1, 1.5).failed == 0
    over = limited(1, 3)
    assert over.providers["a"].counted.limited <= 20
    assert len(over.answered) >= 120 * 8
    both = limited(2, 3)
    assert both.failed == 0
    assert both.providers["a"].counted.limited <= 5
    spared = limited(1, 3, spare=True)
    assert spared.failed == 0
    assert spared.first(0.95) < 1.5


def test_hedging_cuts_the_tail() -> None:
    """Of targets that are slow three times in a hundred, with 5 % of the calls made twice."""
    off, on = hedged(None), hedged(0.05)
    twice = sum(call.attempts > 1 for call in on.calls) / len(on.calls)
    assert twice <= 0.055
    assert on.first(0.99) < 0.65 * off.first(0.99)
    assert on.first(0.5) == pytest.approx(off.first(0.5), rel=0.1)


def test_conversations_stay_where_their_prompt_is() -> None:
    """Nearly every prompt but the first is read from a cache."""
    for strategy in ("inverse_price", "weighted"):
        with_it, without = (
            sum(provider.counted.cached for provider in cached(strategy, affinity=affinity).providers.values())
            for affinity in (True, False)
        )
        assert with_it >= 890
        assert without <= 750


@pytest.mark.parametrize("strategy", ["latency", "fast", "balance"])
def test_a_target_that_was_slow_is_found_again(strategy: str) -> None:
    """It is left while it is slow, and tried again some minutes after it was asked last."""
    one = scenarios.slow_for_a_while(strategy)
    assert one.between(130, 180).shares["other"] > 0.9
    assert one.between(450, 700).shares["quick"] > 0.9


def test_deadlines_are_kept() -> None:
    """Whatever targets do: each call ends at its deadline, answered or not."""
    behaviours = {
        "a": Behaviour(outages=[(20, 60)], after=3600.0, errors=0.2, tail=0.2),
        "b": Behaviour(errors=0.3, first=2.0, limit=60),
    }
    one = simulate(behaviours, strategy="weighted", policy=Policy(5), deadline=4.0, calls=600)
    assert all(call.took <= 4.001 for call in one.calls)
    assert 0 < one.failed < 600


def test_the_same_comes_each_time() -> None:
    """The numbers do not depend on the machine."""
    behaviours = {"a": Behaviour(errors=0.3, tail=0.1), "b": Behaviour(limit=30)}
    first, second = (simulate(behaviours, strategy="balance", calls=300) for _ in range(2))
    assert first.calls == second.calls


def test_the_page_tells_these_numbers() -> None:
    """`PYTHONPATH=tests python -m routing.simulation` writes them anew."""
    text = PAGE.read_text()
    assert with_tables(text) == text
