"""The catalogue with what a configuration says on top."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.configured import overrides
from trunkline.catalog.facts import FEATURES, MODALITIES
from trunkline.catalog.price import NANO
from trunkline.config.catalog import Feature, Modality
from trunkline.config.model import Config


def catalog(said: dict[str, Any]) -> Catalog:
    """A catalogue with the `catalog` section of a configuration."""
    return Catalog(overrides(Config.model_validate({"catalog": said}).catalog))


def test_facts_are_overridden_one_by_one() -> None:
    """What is said replaces that one fact; what is not said stays."""
    known = Catalog().facts("openai", "gpt-4o", "openai")
    told = catalog({"gpt-4o": {"context": 64000, "features": ["tools"], "created": "2026-01-02", "quality": 1}}).facts(
        "openai", "gpt-4o", "openai"
    )
    assert known is not None
    assert told is not None
    assert (told.context, told.features, told.quality) == (64000, frozenset({"tools"}), 1)
    assert told.created == datetime(2026, 1, 2, tzinfo=UTC).timestamp()
    assert (told.max_output, told.author, told.input) == (known.max_output, known.author, known.input)


def test_the_nearer_name_counts() -> None:
    """One without `*` goes before one with, one with the provider before one without, the longer before the shorter."""
    said = {
        "*": {"context": 1},
        "house/*": {"context": 2},
        "house/llama*": {"context": 3},
        "llama-x": {"context": 4},
        "house/llama-x": {"context": 5},
    }
    made = catalog(said)
    asked = [
        ("vllm", "qwen", "other"),
        ("vllm", "qwen", "house"),
        ("vllm", "llama-y", "house"),
        ("vllm", "llama-x", "other"),
    ]
    found = [made.facts(*one) for one in [*asked, ("vllm", "llama-x", "house")]]
    assert [facts.context for facts in found if facts is not None] == [1, 2, 3, 4, 5]


def test_prices_of_a_server_of_ones_own() -> None:
    """A local model is unpriced until the configuration tells its price, which may be zero."""
    assert Catalog().price("ollama", "llama3.1", "local") is None
    price = catalog({"local/*": {"prices": [{"input": 0, "output": 0}]}}).price("ollama", "llama3.1", "local")
    assert price is not None
    assert price.free


def test_prices_are_exact() -> None:
    """Dollars become integers without an error, whether written as a number or as text."""
    said = {"m": {"prices": [{"input": 0.1, "output": "0.000000007", "request": "0.000000001", "cached_input": 1e-3}]}}
    price = catalog(said).price("vllm", "m")
    assert price is not None
    assert (price.input, price.output, price.request, price.cached_input) == (100_000_000, 7, 1, 1_000_000)


def test_prices_have_dates_and_tiers() -> None:
    """A list holds from its day on; before that, what the gateway knows."""
    said = {
        "openai/gpt-4o": {
            "prices": [
                {"since": "2027-01-01", "input": 1, "output": 2, "tiers": [{"above": 1000, "input": 3, "output": 4}]}
            ]
        }
    }
    made = catalog(said)
    before = made.price("openai", "gpt-4o", "openai", at=datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    after = made.price("openai", "gpt-4o", "openai", at=datetime(2027, 1, 1, tzinfo=UTC))
    assert before is not None
    assert after is not None
    assert (before.version.split()[0], after.version.split()[0]) == ("genai-prices", "config")
    assert [(above, tier.input) for above, tier in after.tiers] == [(1000, 3_000_000_000)]
    assert made.price("azure", "gpt-4o", "other", at=datetime(2027, 1, 1, tzinfo=UTC)) != after


def test_equal_prices_have_one_name() -> None:
    """The name of a list depends on its prices alone."""
    lists = [{"input": 1, "output": 2}, {"input": "1", "output": 2}, {"input": 1, "output": 3}]
    names = [
        price.version for one in lists if (price := catalog({"m": {"prices": [one]}}).price("vllm", "m")) is not None
    ]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    "price",
    [
        {"input": 1},
        {"input": -1, "output": 1},
        {"input": "a", "output": 1},
        {"input": True, "output": 1},
        {"input": float("nan"), "output": 1},
        {"input": "1e999999999", "output": 1},
        {"input": "0.0000000001", "output": 1},
        {"input": 1, "output": 1, "since": 2026},
        {"input": 1, "output": 1, "outputs": 1},
    ],
)
def test_bad_prices_are_refused(price: dict[str, Any]) -> None:
    """What is no price is no configuration."""
    with pytest.raises(ValidationError):
        Config.model_validate({"catalog": {"m": {"prices": [price]}}})


def test_the_vocabulary_is_one() -> None:
    """The configuration has the words of the catalogue."""
    assert (set(get_args(Feature)), set(get_args(Modality))) == (FEATURES, MODALITIES)


def test_the_example_of_the_page() -> None:
    """What docs/models.md shows is a configuration that does what the page says."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    said = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    made = Catalog(overrides(Config.model_validate(said).catalog))
    local, later = made.price("ollama", "x", "ollama"), datetime(2027, 1, 1, tzinfo=UTC)
    price, facts = made.price("openai", "gpt-4o", "openai", at=later), made.facts("vllm", "llama-3.1-8b", "house")
    assert local is not None
    assert price is not None
    assert facts is not None
    assert (local.free, price.input, facts.context) == (True, 2 * NANO, 32768)


def test_what_a_kind_serves() -> None:
    """A bare name is known at the kinds that serve it."""
    made = Catalog()
    assert made.knows("openai", "gpt-4o")
    assert made.knows("anthropic", "claude-opus-4-6")
    assert not made.knows("anthropic", "gpt-4o")
    assert not made.knows("ollama", "llama3")
    assert not made.knows("openai", "g" * 1000)


def test_hostile_names() -> None:
    """Names of any length and any characters are unknown, not an error."""
    made = Catalog()
    for name in ("", "/", ":", "[", "*", "\0", "a" * 100_000, "🦙", "../..", "models/"):
        assert made.facts("openai", name) is None
        assert made.price("openrouter", name) is None
