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
