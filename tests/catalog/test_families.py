"""The families of models: whole, and found by every name that is in use."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from genai_prices.data import providers

from trunkline.catalog import families
from trunkline.catalog.catalog import Catalog
from trunkline.catalog.facts import FEATURES, MODALITIES
from trunkline.catalog.families import bare_name, family_facts
from trunkline.catalog.published import SOURCES
from trunkline.providers.sim.catalogue import MODELS as SIMULATED

WIRE = Path(__file__).parents[1] / "wire"
DATA: dict[str, Any] = tomllib.loads(Path(families.__file__).with_name("families.toml").read_text())
ROWS = [{**group, **row} for group in DATA["group"] for row in group["models"]]

KINDS = {"google": "gemini", "moonshotai": "moonshot", "vercel-gateway": "vercel"}
"""Folders of recordings whose provider has another kind."""

NOBODY = {
    "invalid-model", "invalid-model-id", "invalid-model-name", "mistralai", "non-existent", "nonexistent",
    "nonexistent-model:latest", "not-found-model", "openllmetry-testing", "text-embedding-4-ultra", "tgi",
    "there-is-no-such-model", "unused", "us.does-not-exist-model-v1",
}  # fmt: skip
"""Names in recordings that no model has."""

UNPRICED = {
    "azure": ["Cohere-embed-v3-english", "gpt-5.2_2025-12-11"],
    "bedrock": [
        "cohere.embed-english-v3", "cohere.embed-v4", "minimax.minimax-m2", "openai.gpt-oss-20b",
        "openai.gpt-oss-safeguard-20b", "us.cohere.embed-v4", "zai.glm-4.7-flash",
    ],
    "cerebras": ["llama3.3-70b", "qwen-3-coder-480b"],
    "cohere": [
        "command-a-plus-05-2026", "command-a-reasoning-08-2025", "command-a-vision-07-2025", "embed-english-light-v3.0",
    ],
    "fireworks": ["accounts/fireworks/models/deepseek-r1", "accounts/fireworks/models/qwen3-embedding-8b"],
    "groq": ["compound-beta"],
    "nebius": ["meta-llama/Meta-Llama-3.1-70B-Instruct"],
    "openrouter": ["gpt-4.1-mini", "minimax/minimax-m2:free", "muse-spark-1.1", "x-ai/grok-4.1-fast"],
    "sambanova": ["Meta-Llama-3.1-8B-Instruct"],
    "together": ["Qwen/Qwen2.5-72B-Instruct-Turbo", "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free"],
    "vertex": ["text-embedding-004"],
    "zai": ["glm-4.7-flash"],
}  # fmt: skip
"""Recorded models, by kind, whose prices are not published."""


def test_the_data_is_whole() -> None:
    """Each row has its author and its quality, and words that exist."""
    for row in ROWS:
        assert set(row) <= {
            "kind", "author", "match", "name", "created", "context", "max_output", "input", "output", "features",
            "quality", "models",
        }, row  # fmt: skip
        assert 0 <= row["quality"] <= 1
        assert isinstance(row["author"], str)
        assert {*row.get("input", ()), *row.get("output", ())} <= MODALITIES
        assert set(DATA["sets"]) | FEATURES >= set(row.get("features", ()))
    assert all(set(words) <= FEATURES for words in DATA["sets"].values())


def test_no_row_is_in_the_shadow_of_another() -> None:
    """Each pattern of a row has a name that finds that row."""
    for row in ROWS:
        for pattern in row["match"] if not row.get("kind") else ():
            plain = re.sub(r"\[(.)[^]]*\]", r"\1", pattern).replace("?", "x")
            found = [family_facts("", plain.replace("*", filler)) for filler in ("", ".9", "x")]
            wanted = (row["quality"], row.get("context"))
            assert wanted in [(facts.quality, facts.context) for facts in found if facts is not None], pattern


@pytest.mark.parametrize(
    ("model", "bare"),
    [
        ("gpt-4o", "gpt-4o"),
        ("openai/gpt-4o:nitro", "gpt-4o"),
        ("openai/gpt-4o:free:online", "gpt-4o"),
        ("gpt-oss:120b", "gpt-oss:120b"),
        ("us.anthropic.claude-opus-4-8", "claude-opus-4-8"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.meta.llama3-8b-instruct-v1:0", "llama3-8b-instruct-v1:0"),
        ("accounts/fireworks/models/Llama-v3p1-8b", "llama-v3p1-8b"),
        ("models/gemini-2.0-flash", "gemini-2.0-flash"),
        ("gpt-4.1", "gpt-4.1"),
    ],
)
def test_bare_names(model: str, bare: str) -> None:
    """What providers put around a name is taken off."""
    assert bare_name(model) == bare


def _recorded() -> set[tuple[str, str]]:
    found = set()
    for path in WIRE.rglob("*.json"):
        request = json.loads(path.read_text()).get("request") or {}
        body = request.get("body")
        model = body.get("model") if isinstance(body, dict) else None
        if not model:
            named = re.search(r"/(?:models?|deployments)/([^/:?]+)", unquote(request.get("path") or ""))
            model = named and named[1]
        if isinstance(model, str):
            folder = path.relative_to(WIRE).parts[0]
            found.add((KINDS.get(folder, folder), model))
    return found


def test_recorded_models_are_known() -> None:
    """Every model of the recordings is known by its facts, whoever serves it."""
    catalog, models = Catalog(), _recorded()
    assert len(models) > 150
    assert {model for kind, model in models if catalog.facts(kind, model) is None} <= NOBODY


def test_recorded_models_have_prices() -> None:
    """Every recorded model of a kind with published prices has one, but for those that are known to have none."""
    catalog = Catalog()
    asked = {(kind, model) for kind, model in _recorded() if kind in SOURCES}
    unpriced = {(kind, model) for kind, model in asked if catalog.price(kind, model) is None and model not in NOBODY}
    assert unpriced <= {(kind, model) for kind, models in UNPRICED.items() for model in models}


def test_models_on_sale_are_known() -> None:
    """Of what the great vendors sell to talk with, the families know four in five."""
    for source in ("anthropic", "cohere", "deepseek", "mistral", "moonshotai", "x-ai", "zai"):
        names = next(provider for provider in providers if provider.id == source).models
        known = [info.id for info in names if family_facts("", info.id) is not None]
        assert len(known) >= 0.8 * len(names), (source, {info.id for info in names} - set(known))


def test_the_simulator_is_known() -> None:
    """Each simulated model is known, at the simulator alone."""
    catalog = Catalog()
    for name in SIMULATED:
        facts, price = catalog.facts("sim", name), catalog.price("sim", name)
        assert facts is not None
        assert (facts.author, facts.output) == ("trunkline", frozenset({"embeddings" if name == "embed" else "text"}))
        assert price is not None
        assert price.free
    assert catalog.facts("openai", "echo") is None
