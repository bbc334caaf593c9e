"""What a call claims, and how limits are told in headers."""

from __future__ import annotations

from typing import Any

import pytest
from accounting.conftest import calling, plan, priced

from trunkline.access.limits.model import CALENDAR_DAY, HELD, MOST, Limit, Standing, Unit, rolling
from trunkline.accounting.bill import Estimate
from trunkline.accounting.claims import claims_of, limit_headers

MINUTE = rolling(60)
EVERY = [
    Limit("requests", Unit.REQUESTS, 10, MINUTE),
    Limit("tokens", Unit.TOKENS, 10_000, MINUTE),
    Limit("calls", Unit.CALLS, 2, HELD),
    Limit("streams", Unit.STREAMS, 1, HELD),
    Limit("money", Unit.MONEY, 10**12, CALENDAR_DAY),
]


@pytest.mark.parametrize(
    ("operation", "claimed"),
    [
        ("chat", {"requests": 1, "tokens": 40, "calls": 1, "money": 7}),
        ("embed", {"requests": 1, "tokens": 40, "calls": 1, "money": 7}),
        ("stream_chat", {"requests": 1, "tokens": 40, "calls": 1, "streams": 1, "money": 7}),
        ("count_tokens", {"requests": 1, "calls": 1}),
    ],
)
def test_units(operation: Any, claimed: dict[str, int]) -> None:
    """A stream holds a slot more than other calls; who has tokens counted uses none and pays nothing."""
    claims = claims_of(EVERY, calling(operation), plan(priced()), Estimate(40, 7))
    assert {claim.limit.id: claim.amount for claim in claims} == claimed


@pytest.mark.parametrize(
    ("scope", "counts"),
    [("asked", True), ("ask*", True), ("m", True), ("b/m", True), ("a/*", True), ("c/m", False), ("other", False)],
)
def test_a_limit_for_a_model(scope: str, counts: bool) -> None:
    """It counts where its name is the one that was asked for, or that of any target that may answer."""
    limit = Limit("one", Unit.REQUESTS, 10, MINUTE, scope=scope)
    claims = claims_of([limit], calling(model="asked"), plan(priced("a"), priced("b")), Estimate(1, 1))
    assert len(claims) == counts


def test_an_unpriced_call_asks_whether_there_is_money_left() -> None:
    """It claims nothing of it."""
    (claim,) = claims_of(EVERY[-1:], calling(), plan(priced()), Estimate(1, None))
    assert claim.amount == 0


@pytest.mark.parametrize(
    ("reset", "told"),
    [(None, "0ms"), (0.0, "0ms"), (0.12, "120ms"), (1.2, "1s"), (59.6, "1m0s"), (360, "6m0s"), (86_399, "23h59m59s")],
)
def test_times_are_told_as_openai_does(reset: float | None, told: str) -> None:
    """Milliseconds below a second, hours, minutes and seconds above."""
    headers = limit_headers([Standing(EVERY[0], 4, reset)])
    assert headers == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "6",
        "x-ratelimit-reset-requests": told,
    }


def test_the_tightest_limit_of_a_unit_is_told() -> None:
    """Of two that count the same, the one of which the smaller part is left; money is nobody's business on the wire."""
    hour = Limit("hour", Unit.REQUESTS, 100, rolling(3600))
    headers = limit_headers([Standing(EVERY[0], 4, 1.0), Standing(hour, 95, 60.0), Standing(EVERY[4], 5, 1.0)])
    assert headers["x-ratelimit-remaining-requests"] == "5"
    assert set(headers) == {f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset")}


def test_a_limit_of_nothing() -> None:
    """It can be told, too, and so can one that was passed."""
    assert (
        limit_headers([Standing(Limit("none", Unit.TOKENS, 0, MINUTE), 5, 1.0)])["x-ratelimit-remaining-tokens"] == "0"
    )


def test_the_largest_claim_can_be_made() -> None:
    """No estimate is more than a counter holds."""
    (claim,) = claims_of(EVERY[-1:], calling(), plan(priced()), Estimate(1, MOST))
    assert claim.amount == MOST
