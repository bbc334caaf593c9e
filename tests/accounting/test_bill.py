"""What calls may cost, and what their attempts did cost."""

from __future__ import annotations

from typing import Any

import pytest
from accounting.conftest import DOLLAR, USUAL, calling, plan, priced
from fakes.scripted_provider import asking
from hypothesis import given
from hypothesis import strategies as st

from trunkline.access.limits.model import MOST
from trunkline.accounting.bill import Bill, estimate
from trunkline.call import Attempt
from trunkline.catalog.price import Price
from trunkline.catalog.schedule import Period, Schedule
from trunkline.core.estimate import estimate_tokens
from trunkline.core.hedge import Hedge
from trunkline.core.plan import Leg, Plan, Policy
from trunkline.routing.offer import Offer
from trunkline.v1.chat_pb2 import ChatRequest, Usage
from trunkline.v1.embeddings_pb2 import EmbedRequest

DEAR = Price("dear", 10 * DOLLAR, 20 * DOLLAR)


def embedding(*texts: str) -> EmbedRequest:
    """A request to embed texts."""
    request = EmbedRequest(model="m")
    for text in texts:
        request.inputs.add(text=text)
    return request


def attempt(**fields: Any) -> Attempt:
    """An attempt at the model `m` of `a`, which had begun to answer."""
    return Attempt(calling(), "a", "m", **{"first_event": 1.0, "ended": 2.0, **fields})


def test_the_estimate_is_that_of_the_dearest_candidate() -> None:
    """Whichever of them answers, whether it stands first or in a later leg."""
    asked = asking(max_output_tokens=100)
    cheap, dear = priced("a", request=asked), priced("b", request=asked, price=DEAR)
    alone = estimate(plan(dear))
    assert estimate(plan(cheap, dear)) == estimate(Plan([Leg([cheap], Policy()), Leg([dear], Policy())], "x")) == alone
    assert estimate(plan(cheap)).nanos == -(-(alone.nanos or 0) // 10)
    assert alone.written == 100 * 20_000


@pytest.mark.parametrize(
    ("fields", "facts", "tokens"),
    [
        ({"max_output_tokens": 100}, {"max_output": 500}, 100),
        ({}, {"max_output": 500}, 500),
        ({}, {}, 65_536),
        ({"max_output_tokens": 100, "choice_count": 3}, {}, 300),
    ],
)
def test_what_bounds_an_answer(fields: dict[str, int], facts: dict[str, int], tokens: int) -> None:
    """What was asked for, what is known of the model, or more than any model writes; for each choice."""
    assert estimate(plan(priced(request=asking(**fields), **facts))).written == tokens * 2_000


def test_each_choice_may_be_a_call_of_its_own() -> None:
    """A provider that gives one answer is asked as often, and reads the request each time."""
    one, four = (estimate(plan(priced(request=asking("x" * 400, max_output_tokens=9, choice_count=n)))) for n in (1, 4))
    assert four.nanos == 4 * (one.nanos or 0)
    assert four.tokens == one.tokens


def test_each_prompt_may_be_a_call_of_its_own() -> None:
    """A model that knows conversations alone is asked once for each, and what stands around each counts."""
    asked = ChatRequest(model="m", max_output_tokens=9, completion={"prompts": [{"text": "a"}] * 3})
    alone = ChatRequest(model="m", max_output_tokens=9, messages=[{"parts": [{"text": "a"}]}])
    three, one = (estimate(plan(priced(request=request))) for request in (asked, alone))
    assert (three.nanos or 0) >= 3 * (one.nanos or 0)


def test_a_class_of_service_that_costs_more() -> None:
    """The one that is asked for is reserved for."""
    made = plan(priced(request=asking(max_output_tokens=100, service_tier="priority")))
    offer = made.legs[0].candidates[0].offer
    assert isinstance(offer, Offer)
    usual, dear = Period(USUAL), Period(DEAR)
    offer._catalog._schedule = lambda kind, model, provider, tier: Schedule((dear if tier else usual,))  # type: ignore[assignment]
    assert estimate(made) == estimate(plan(priced(request=asking(max_output_tokens=100), price=DEAR)))


def test_a_hedged_call_may_be_paid_for_twice() -> None:
    """Two targets may answer it."""
    asked = asking(max_output_tokens=100)
    once = estimate(plan(priced(request=asked)))
    twice = estimate(plan(priced(request=asked), hedge=Hedge(delay=1)))
    assert (twice.nanos, twice.written) == (2 * (once.nanos or 0), 2 * once.written)


def test_an_unpriced_candidate_makes_the_estimate_unknown() -> None:
    """Even where others have a price."""
    assert estimate(plan(priced("a"), priced("b", price=None))).nanos is None


def test_no_estimate_is_more_than_a_counter_holds() -> None:
    """However much is asked for."""
    asked = asking(max_output_tokens=2**31 - 1, choice_count=128)
    assert estimate(plan(priced(request=asked, price=Price("v", 1, 10**6 * DOLLAR)))).nanos == MOST


def test_what_embeddings_may_cost() -> None:
    """They are read, and nothing is written."""
    found = estimate(plan(priced(request=embedding("some words " * 40, "more"), price=Price("e", 10**9))))
    assert found.tokens > 80
    assert (found.nanos or 0) >= found.tokens * 1_000
    assert found.written == 0


@given(st.integers(0, 400), st.integers(0, 1000), st.integers(1, 1000))
def test_a_bill_within_the_tokens_is_within_the_estimate(read: int, written: int, asked: int) -> None:
    """The estimate is an upper bound for every usage within what was asked for and what the request can hold."""
    request = asking("x" * 400, max_output_tokens=asked)
    made = plan(priced(request=request, price=Price("v", 3 * DOLLAR, 7 * DOLLAR, reasoning=9 * DOLLAR, request=5)))
    usage = Usage(input_tokens=read, output_tokens=min(written, asked), reasoning_output_tokens=min(written, asked))
    cost = Bill(calling(), made).cost(attempt(), usage)
    assert cost is not None
    assert cost.total_nanos <= (estimate(made).nanos or 0)


def test_what_the_provider_told_is_billed() -> None:
    """To the token, by the price of its own model."""
    bill = Bill(calling(), plan(priced("a"), priced("b", price=DEAR)))
    one = attempt(usage=Usage(input_tokens=7, output_tokens=5), whole=True)
    usage = bill.usage(one)
    assert usage == Usage(input_tokens=7, output_tokens=5)
    cost = bill.cost(one, usage)
    assert cost is not None
    assert (cost.input_nanos, cost.output_nanos, cost.total_nanos) == (7_000, 10_000, 17_000)
    other = bill.cost(Attempt(calling(), "b", "m"), usage)
    assert other is not None
    assert other.total_nanos == 170_000
    assert bill.versions == ["v1", "dear"]
    assert not one.estimated


def test_a_failure_before_any_answer_costs_nothing() -> None:
    """Nobody was asked to pay for it."""
    assert Bill(calling(), plan(priced())).usage(attempt(first_event=None)) is None


@pytest.mark.parametrize(
    ("told", "characters", "whole", "written", "estimated"),
    [
        (None, 41, False, 11, True),
        (None, 41, True, 11, True),
        ({}, 8, True, 2, True),
        ({"input_tokens": 3, "output_tokens": 1}, 400, False, 100, True),
        ({"input_tokens": 3, "output_tokens": 90}, 400, False, 90, False),
        ({"input_tokens": 3, "output_tokens": 1}, 400, True, 1, False),
        ({"input_tokens": 3, "output_tokens": 0}, 0, True, 0, False),
    ],
)
def test_what_was_not_told_is_estimated(
    told: dict[str, int] | None, characters: int, whole: bool, written: int, estimated: bool
) -> None:
    """From what came, and marked so; also where a stream broke off after its provider had told of its beginning."""
    made = plan(priced(request=asking("some words")))
    given_usage = None if told is None else Usage(**told)
    one = attempt(usage=given_usage, characters=characters, whole=whole)
    usage = Bill(calling(), made).usage(one)
    assert usage is not None
    assert usage.output_tokens == written
    assert usage.input_tokens == (told or {}).get("input_tokens", estimate_tokens(asking("some words")))
    assert one.estimated is estimated
    if given_usage is not None:
        assert given_usage == Usage(**(told or {})), "the caller was told this"


def test_embeddings_without_usage_are_estimated() -> None:
    """By their inputs; they write nothing."""
    made = plan(priced(request=embedding("some words " * 40), price=Price("e", DOLLAR)))
    one = attempt(whole=True)
    usage = Bill(calling("embed"), made).usage(one)
    assert usage is not None
    assert usage.input_tokens == estimate(made).tokens
    assert not usage.HasField("output_tokens")
    assert one.estimated


def test_what_has_no_price_is_told_as_such() -> None:
    """It is not free."""
    bill = Bill(calling(), plan(priced(price=None)))
    assert bill.cost(attempt(), Usage(input_tokens=5)) is None
    assert bill.unpriced
    assert bill.versions == []
