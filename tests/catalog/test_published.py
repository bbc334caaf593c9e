"""The published prices, as they are taken over: exact, dated, and by the right provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import genai_prices
import pytest
from genai_prices.data import providers
from genai_prices.types import Usage as PublishedUsage

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.price import NANO, Price
from trunkline.catalog.published import SOURCES, published_model, published_periods
from trunkline.catalog.schedule import Schedule
from trunkline.providers.build import KINDS
from trunkline.v1.chat_pb2 import Usage

KINDS_BY_SOURCE = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "google": "gemini",
    "openai": "openai",
    "x-ai": "xai",
}
MOMENTS = [
    datetime(year, month, 15, hour, 45, tzinfo=UTC)
    for year in (2024, 2026)
    for month in (2, 9, 12)
    for hour in (2, 8, 20)
]


def _published(source: str, model: str, read: int, cached: int, wrote: int, at: datetime, tier: str) -> int:
    """What the package itself says that a call costs, in nano-dollars."""
    calculated = genai_prices.calc_price(
        PublishedUsage(input_tokens=read, cache_read_tokens=cached, output_tokens=wrote),
        model,
        provider_id=source,
        genai_request_timestamp=at,
        price_context={"service_tier": tier} if tier else None,
    )
    return round(calculated.total_price * NANO)


@pytest.mark.parametrize("source", KINDS_BY_SOURCE)
@pytest.mark.parametrize("tier", ["", "priority"])
def test_as_the_package_calculates(source: str, tier: str) -> None:
    """At any time, in any tier of input, calls cost what the package calculates for them."""
    catalog = Catalog()
    compared = 0
    for info in next(provider for provider in providers if provider.id == source).models:
        found = published_model(KINDS_BY_SOURCE[source], info.id)
        for at in MOMENTS if found is not None and found[1] is info else []:
            price = catalog.price(KINDS_BY_SOURCE[source], info.id, at=at, service_tier=tier)
            if price is None or price.output is None or price.request or price.input_audio is not None:
                continue
            for read, cached, wrote in ((1_000, 200, 70), (450_000, 0, 1_000)):
                usage = Usage(input_tokens=read, cached_input_tokens=cached, output_tokens=wrote)
                assert price.cost(usage).total == _published(source, info.id, read, cached, wrote, at, tier), info.id
                compared += 1
    assert compared > 100


def test_dates() -> None:
    """A list holds from its day on, at midnight UTC, and the one before until then."""
    catalog = Catalog()
    day = datetime(2026, 3, 13, tzinfo=UTC)
    before = catalog.price("anthropic", "claude-opus-4-6", at=day - timedelta(seconds=1))
    after = catalog.price("anthropic", "claude-opus-4-6", at=day)
    assert before is not None
    assert after is not None
    assert [above for above, _ in before.tiers] == [200_000]
    assert (after.tiers, after.version.endswith("2026-03-13")) == ((), True)
    # Without a zone a moment is one of UTC.
    assert catalog.price("anthropic", "claude-opus-4-6", at=datetime(2026, 3, 13)) is after


def test_hours() -> None:
    """A list for hours of the day holds within them alone."""
    at = datetime(2026, 11, 2, 3, 59, 59, tzinfo=UTC)
    catalog = Catalog()
    peak = catalog.price("deepseek", "deepseek-v4-pro", at=at)
    calm = catalog.price("deepseek", "deepseek-v4-pro", at=at + timedelta(seconds=1))
    assert peak is not None
    assert calm is not None
    assert peak.input == 2 * calm.input


def test_names_differ_with_the_prices() -> None:
    """Two lists of one model that differ have different names."""
    for provider in providers:
        for info in provider.models:
            for kind in KINDS_BY_SOURCE.values():
                lists: dict[str, Price] = {}
                for period in published_periods(kind, info.id):
                    assert lists.setdefault(period.price.version, period.price) == period.price
    assert Schedule(()).at(0) is None


@pytest.mark.parametrize(
    ("kind", "model", "input_price"),
    [
        ("openai", "gpt-4o", "2.5"),
        ("openai", "gpt-4o-2024-08-06", "2.5"),
        ("azure", "gpt-4o-mini", "0.15"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3"),
        ("bedrock", "global.anthropic.claude-opus-4-8", "5"),
        ("vertex", "claude-3-7-sonnet@20250219", "3"),
        ("gemini", "models/gemini-2.5-flash", "0.3"),
        ("openrouter", "openai/gpt-4o:nitro", "2.5"),
        ("openrouter", "meta-llama/llama-3.2-3b-instruct:free", "0"),
        ("huggingface", "openai/gpt-oss-120b:groq", "0.15"),
        ("vercel", "anthropic/claude-sonnet-4", "3"),
        ("sim", "echo", "0"),
    ],
)
def test_names_of_models(kind: str, model: str, input_price: str) -> None:
    """A model is found by what its provider calls it."""
    price = Catalog().price(kind, model)
    assert price is not None
    assert price.input == Decimal(input_price) * NANO


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("openai", "gpt-99"),
        ("openai", "whisper-1"),
        ("ollama", "llama3.1"),
        ("vllm", "Qwen/Qwen3-0.6B"),
        ("openai-compatible", "gpt-4o"),
        ("huggingface", "deepseek-ai/DeepSeek-R1"),
        ("vercel", "meta/llama-3.3-70b"),
        ("nonsense", "gpt-4o"),
        ("openai", ""),
        ("openai", "gpt-4o" * 100),
    ],
)
def test_unpriced(kind: str, model: str) -> None:
    """Where no price is published there is none, which is not a price of zero."""
    assert Catalog().price(kind, model) is None


def test_service_tiers() -> None:
    """A class of service has its own prices, where there are some."""
    catalog, at = Catalog(), datetime(2026, 11, 1, tzinfo=UTC)
    usual, flex = (catalog.price("openai", "gpt-5", at=at, service_tier=tier) for tier in ("", "flex"))
    assert usual is not None
    assert flex is not None
    assert flex.input * 2 == usual.input
    assert flex.version.endswith(" flex")
    assert catalog.price("openai", "gpt-5", at=at, service_tier="default") == usual


def test_kinds_exist() -> None:
    """Every kind that has published prices is one of ours, and names a provider of the package."""
    assert set(SOURCES) <= KINDS
    assert set(SOURCES.values()) <= {provider.id for provider in providers}
