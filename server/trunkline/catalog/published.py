"""The prices that the package `genai-prices` knows. It is never asked to fetch newer ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from math import inf
from typing import Final

from genai_prices import __version__
from genai_prices.data import providers
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from trunkline.catalog.price import NANO, Price
from trunkline.catalog.schedule import Period

SOURCES: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "nebius": "huggingface_nebius",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "sambanova": "huggingface_sambanova",
    "together": "together",
    "vertex": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "zai": "zai",
}
"""Our kind of provider -> theirs. Hugging Face tells the prices of the providers that it hands calls to, which
are their own. A kind that is not here has no list prices: a server of one's own, or a router that picks the provider
itself."""

_PASSED_ON: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "cohere": "cohere",
    "google": "google",
    "mistral": "mistral",
    "openai": "openai",
    "perplexity": "perplexity",
    "xai": "x-ai",
}
"""The authors whose models Vercel's gateway has from one provider, at that provider's price."""

_TOKENS: Final[Mapping[str, str]] = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
    "input_audio": "input_audio_mtok",
    "input_image": "input_image_mtok",
    "input_video": "input_video_mtok",
    "cached_audio": "cache_audio_read_mtok",
    "cached_image": "cache_image_read_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
    "output_video": "output_video_mtok",
}
"""Our class -> their price, in dollars per million tokens."""

_EACH: Final[Mapping[str, str]] = {"request": "requests_kcount", "search": "web_searches_kcount"}
"""Our unit -> their price, in dollars per thousand."""

_SUFFIXES: Final = frozenset({"nitro", "floor", "exacto", "online", "thinking"})
"""OpenRouter's variants that cost what the model costs."""

_BY_ID: Final = {provider.id: provider for provider in providers}


@lru_cache(maxsize=8192)
def published_model(kind: str, model: str) -> tuple[Provider, ModelInfo] | None:
    """Who serves `model` at a provider of the kind, and what is published of it."""
    name, source = model.lower().removeprefix("models/"), SOURCES.get(kind)
    if kind == "huggingface":
        name, _, served_by = name.rpartition(":")
        source = f"huggingface_{served_by}"
    elif kind == "vercel":
        author, _, name = name.partition("/")
        source = _PASSED_ON.get(author)
    provider = _BY_ID.get(source) if source else None
    if provider is None or not name:
        return None
    found = provider.find_model(name, all_providers=providers)
    while found is None and kind == "openrouter" and name.rpartition(":")[2] in _SUFFIXES:
        name = name.rpartition(":")[0]
        found = provider.find_model(name, all_providers=providers)
    return None if found is None else (provider, found)


def published_periods(kind: str, model: str, service_tier: str = "") -> list[Period]:
    """The price lists of `model`, and when each is in force; none where its price is not published."""
    found = published_model(kind, model)
    if found is None:
        return []
    provider, info = found
    conditions = info.prices if isinstance(info.prices, list) else [ConditionalPrice(prices=info.prices)]
    version = f"genai-prices {__version__} {provider.id}/{info.id}"
    periods: list[Period] = []
    for index, condition in enumerate(conditions):
        # The first one counts where no other does.
        since, hours = (-inf, None) if index == 0 else _when(condition.constraint)
        standard = _values(condition.prices)
        if (price := _price(version + _said(since, hours), standard, info.id)) is None:
            continue
        periods.append(Period(price, since, hours))
        for variant in reversed(info.price_variants or ()):
            if not service_tier or variant.when not in ({"service_tier": service_tier}, {"speed": service_tier}):
                continue
            start, daily = _when(variant.constraint)
            begin, within = max(since, start), hours if daily is None else daily
            values = {**standard, **_values(variant.prices)}
            price = _price(f"{version}{_said(begin, within)} {service_tier}", values, info.id)
            if price is not None and values != standard:
                periods.append(Period(price, begin, within))
    return periods


def _when(constraint: StartDateConstraint | TimeOfDateConstraint | None) -> tuple[float, tuple[int, int] | None]:
    if isinstance(constraint, StartDateConstraint):
        return _midnight(constraint.start_date), None
    if isinstance(constraint, TimeOfDateConstraint):
        return -inf, (_second(constraint.start_time), _second(constraint.end_time))
    return -inf, None


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _second(moment: time) -> int:
    ahead = moment.utcoffset()
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    return (seconds - (int(ahead.total_seconds()) if ahead is not None else 0)) % 86_400


def _said(since: float, hours: tuple[int, int] | None) -> str:
    text = "" if since == -inf else f" {datetime.fromtimestamp(since, UTC):%Y-%m-%d}"
    return text if hours is None else f"{text} {_clock(hours[0])}-{_clock(hours[1])}"


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second % 3600 // 60:02}"


def _values(prices: ModelPrice) -> dict[str, Decimal | TieredPrices]:
    return {name: value for name, value in vars(prices).items() if value is not None}


def _price(version: str, values: Mapping[str, Decimal | TieredPrices], model: str) -> Price | None:
    """The list; None where it tells no price of tokens, unless the model is named as free."""
    if "input_mtok" not in values:
        return Price(version, input=0, output=0) if not values and model.endswith(":free") else None
    starts = sorted(
        {tier.start for value in values.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    )
    whole = _list(version, values, 0)
    return replace(whole, tiers=tuple((start, _list(version, values, start)) for start in starts))


def _list(version: str, values: Mapping[str, Decimal | TieredPrices], above: int) -> Price:
    """The prices of calls with more than `above` input tokens."""
    rates: dict[str, int] = {}
    for names, per in ((_TOKENS, 1), (_EACH, 1000)):
        for ours, theirs in names.items():
            value = values.get(theirs)
            if isinstance(value, TieredPrices):
                value = next((tier.price for tier in reversed(value.tiers) if tier.start <= above), value.base)
            if value is not None:
                rates[ours] = int((value * NANO / per).to_integral_value(ROUND_HALF_UP))
    return Price(version=version, **rates)  # type: ignore[arg-type]  # no class is called `tiers`
