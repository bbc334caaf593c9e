"""What callers are told of a limit that refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest

from trunkline.access.limits.model import CALENDAR_MONTH, HELD, TOTAL, Limit, Refused, Unit, rolling
from trunkline.access.limits.refusal import refusal

DOLLAR = 1_000_000_000
MINUTE, HOUR, DAYS = rolling(60), rolling(3_600), rolling(30 * 86_400)


def refused(limit: Limit, amount: int, left: int, wait: float | None = None) -> Refused:
    """A refusal, without what is told in headers."""
    return Refused(limit, amount, left, wait, ())


SAID = {
    "The key's limit of 100 requests a minute is reached: 0 left. Try again in 5 seconds.": refused(
        Limit("", Unit.REQUESTS, 100, MINUTE), 1, 0, 4.2
    ),
    "The team's limit of 10,000 tokens an hour for gpt-4o is reached: 120 left, and this call may need 4,000. "
    "Try again in 3 minutes.": refused(Limit("", Unit.TOKENS, 10_000, HOUR, "team", "gpt-4o"), 4_000, 120, 121.0),
    "The key's limit of 1 token a minute is too low for this call, which may need 4,000. "
    "Ask for less, or raise the limit.": refused(Limit("", Unit.TOKENS, 1, MINUTE), 4_000, 1),
    "The user's limit of 10 calls at once is reached: 0 left. Try again when one has ended.": refused(
        Limit("", Unit.CALLS, 10, HELD, "user"), 1, 0
    ),
    "The organisation's limit of $1,000.00 a month (UTC) is reached: $0.120000001 left, and this call may need $0.50. "
    "Try again in 3 days.": refused(
        Limit("", Unit.MONEY, 1_000 * DOLLAR, CALENDAR_MONTH, "organisation"), DOLLAR // 2, 120_000_001, 172_801.0
    ),
    "The key's limit of $5.00 in all is reached: $0.00 left, and this call may need $1.00. "
    "Raise the limit to go on.": refused(Limit("", Unit.MONEY, 5 * DOLLAR, TOTAL), DOLLAR, 0),
    "The key's limit of $5.00 in 30 days is reached: $0.00 left, and this call may need $1.00. "
    "Try again in 24 hours.": refused(Limit("", Unit.MONEY, 5 * DOLLAR, DAYS), DOLLAR, 0, 86_400.0),
}


@pytest.mark.parametrize(("message", "refused"), SAID.items())
def test_the_message_names_limit_rest_and_remedy(message: str, refused: Refused) -> None:
    """Whose limit it is, of what and for how long; what is left, and what to do."""
    error = refusal(refused)
    assert error.message == message
    assert error.name == ("QUOTA_EXCEEDED" if refused.limit.unit is Unit.MONEY else "RATE_LIMITED")


def test_how_long_to_wait_is_told_exactly() -> None:
    """The message rounds up, the header's value is told as it is."""
    limit = Limit("", Unit.REQUESTS, 100, MINUTE)
    assert refusal(refused(limit, 1, 0, 4.2)).retry_after == timedelta(seconds=4.2)
    assert refusal(refused(limit, 1, 0)).retry_after is None
