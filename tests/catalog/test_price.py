"""Costs: exact, whole, and never above their bound."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.price import Cost, Price
from trunkline.v1.chat_pb2 import Usage

MOST = 2_000_000
rates = st.integers(0, 200_000_000_000) | st.integers(0, 3)
maybe = st.none() | rates


@st.composite
def lists(draw: st.DrawFn, *, tiers: bool = True) -> Price:
    """A price list with any of its classes."""
    classes = {
        name: draw(maybe)
        for name in (
            "output", "cached_input", "cache_write", "cache_write_1h", "reasoning", "input_audio", "input_image",
            "cached_audio", "output_audio", "output_image",
        )
    }  # fmt: skip
    starts = sorted(draw(st.sets(st.integers(1, MOST), max_size=2))) if tiers else []
    return Price(
        "test",
        input=draw(rates),
        request=draw(st.integers(0, 10**9)),
        search=draw(st.integers(0, 10**8)),
        tiers=tuple((start, draw(lists(tiers=False))) for start in starts),
        **classes,
    )


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """What a provider may tell, sensible or not: parts may exceed their whole."""
    counts = st.none() | st.integers(0, MOST)
    usage = Usage(
        input_tokens=draw(counts),
        output_tokens=draw(counts),
        cached_input_tokens=draw(counts),
        cache_write_input_tokens=draw(counts),
        reasoning_output_tokens=draw(counts),
    )
    number = st.integers(0, MOST)
    said = draw(
        st.sampled_from(
            (
                {},
                {"anthropic": {"cache_creation": {"ephemeral_1h_input_tokens": draw(number)}}},
                {
                    "openai": {
                        "prompt_tokens_details": {"audio_tokens": draw(number)},
                        "completion_tokens_details": {"audio_tokens": draw(number), "image_tokens": draw(number)},
                    }
                },
                {
                    "gemini": {
                        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": draw(number)}],
                        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": draw(number)}],
                    }
                },
            )
        )
    )
    for dialect, wire in said.items():
        usage.extras[dialect] = json.dumps(wire)
    return usage


@given(lists(), usages())
def test_the_classes_add_up(price: Price, usage: Usage) -> None:
    """The classes are whole, never negative, and add up to the total."""
    cost = price.cost(usage)
    assert sum(cost[:-1]) == cost.total
    assert all(type(part) is int and part >= 0 for part in cost)


@given(lists(), usages(), st.integers(0, 1000), st.integers(0, 1000))
def test_no_cost_is_above_its_bound(price: Price, usage: Usage, more_input: int, more_output: int) -> None:
    """However the tokens are of this class or that, the estimate before the call is never below what it cost."""
    bound = price.upper_bound(usage.input_tokens + more_input, usage.output_tokens + more_output)
    assert bound >= price.cost(usage).total


@given(lists(), st.integers(0, MOST), st.integers(0, MOST), st.integers(0, MOST), st.integers(0, MOST))
def test_the_bound_grows_with_the_tokens(price: Price, read: int, wrote: int, more: int, longer: int) -> None:
    """More tokens never have a lower bound."""
    assert price.upper_bound(read, wrote) <= price.upper_bound(read + more, wrote + longer)


@given(rates, rates, rates, st.integers(0, MOST), st.integers(0, MOST), st.integers(0, MOST))
def test_exact_against_decimal(read: int, cached: int, wrote: int, inputs: int, hits: int, outputs: int) -> None:
    """The total is that of exact decimal arithmetic, rounded once, halves up."""
    hits = min(hits, inputs)
    price = Price("test", input=read, cached_input=cached, output=wrote)
    total = price.cost(Usage(input_tokens=inputs, cached_input_tokens=hits, output_tokens=outputs)).total
    exact = (Decimal(read) * (inputs - hits) + Decimal(cached) * hits + Decimal(wrote) * outputs) / 1_000_000
    assert total == int(exact.to_integral_value(ROUND_HALF_UP))


def test_a_known_call() -> None:
    """GPT-4o at $2.50, $1.25 cached and $10: 1000 tokens read, 400 of them cached, and 100 written."""
    price = Price("test", input=2_500_000_000, cached_input=1_250_000_000, output=10_000_000_000)
    usage = Usage(input_tokens=1000, cached_input_tokens=400, output_tokens=100, reasoning_output_tokens=30)
    assert price.cost(usage) == Cost(
        input=1_500_000, cached_input=500_000, output=700_000, reasoning=300_000, total=3_000_000
    )


def test_tiers_hold_for_all_tokens() -> None:
    """Above its threshold a tier prices every token of the call; at the threshold it does not hold yet."""
    price = Price(
        "test", input=1_000_000, output=2_000_000, tiers=((200, Price("test", input=3_000_000, output=5_000_000)),)
    )
    assert price.cost(Usage(input_tokens=200, output_tokens=10)).total == 220
    assert price.cost(Usage(input_tokens=201, output_tokens=10)).total == 653


def test_an_hour_in_the_cache() -> None:
    """What Anthropic says was cached for an hour costs what that costs; the rest costs the usual write."""
    price = Price("test", input=3_000_000, output=0, cache_write=3_750_000, cache_write_1h=6_000_000, search=7)
    usage = Usage(input_tokens=1000, cache_write_input_tokens=400)
    usage.extras["anthropic"] = json.dumps(
        {"cache_creation": {"ephemeral_1h_input_tokens": 100}, "server_tool_use": {"web_search_requests": 2}}
    )
    cost = price.cost(usage)
    assert (cost.input, cost.cache_write, cost.request) == (1800, 300 * 3.75 + 600, 14)
    assert cost.total <= price.upper_bound(1000, 0, searches=2)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[",
        "[]",
        "null",
        '{"cache_creation":7}',
        '{"cache_creation":{"ephemeral_1h_input_tokens":-1}}',
        '{"cache_creation":{"ephemeral_1h_input_tokens":true}}',
    ],
)
def test_odd_words_cost_nothing_more(said: str) -> None:
    """What cannot be read of a provider's words is passed over."""
    price = Price("test", input=1_000_000, output=0, cache_write=2_000_000, cache_write_1h=9_000_000)
    usage = Usage(input_tokens=10, cache_write_input_tokens=10, extras={"anthropic": said})
    assert price.cost(usage).total == 20


def test_free() -> None:
    """Free is where every price is zero, tiers included."""
    assert Price("test", input=0, output=0).free
    assert not Price("test", input=0, output=0, request=1).free
    assert not Price("test", input=0, output=0, tiers=((1, Price("test", input=1)),)).free
