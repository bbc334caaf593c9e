"""What `families.toml` tells of models, by patterns of their names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import translate
from functools import cache
from pathlib import Path
from typing import Any, Final

from trunkline.catalog.facts import Facts

_DATA: Final = Path(__file__).with_name("families.toml")

_AUTHORS: Final = (
    "ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen|zai"
)
_DECORATION: Final = re.compile(
    rf"""
    ^(?:arn:.*/)?                                          # an ARN of Amazon's
    (?:(?:us|eu|apac|jp|au|ca|global|us-gov)\.)?           # a group of regions of Amazon's
    (?:(?:{_AUTHORS})\.)?                                  # the author, as Bedrock names it
    (?:.*/)?                                               # the author, or the path of a resource
    (?P<name>.*?)
    (?::(?:free|nitro|floor|exacto|online|thinking))*$     # OpenRouter's variants
    """,
    re.VERBOSE,
)


def bare_name(model: str) -> str:
    """The name of a model without what providers put around it: paths, authors, regions and variants."""
    found = _DECORATION.match(model.lower())
    return found["name"] if found is not None else model.lower()


def family_facts(kind: str, model: str) -> Facts | None:
    """What is known of a model by its name; None where nothing is. Families of a kind serve at that kind alone."""
    name = bare_name(model)
    for pattern, only, facts in _families():
        if only == (kind if kind == "sim" else "") and pattern.match(name):
            return facts
    return None


def family_names() -> Iterable[str]:
    """The names of all families, in the order of the data."""
    return [facts.name for _, _, facts in _families()]


@cache
def _families() -> Sequence[tuple[re.Pattern[str], str, Facts]]:
    data = tomllib.loads(_DATA.read_text())
    sets: Mapping[str, list[str]] = data["sets"]
    return [
        (re.compile("|".join(map(translate, entry["match"]))), entry.get("kind", ""), _facts(entry, sets))
        for entry in data["family"]
    ]


def _facts(entry: Mapping[str, Any], sets: Mapping[str, list[str]]) -> Facts:
    features = {feature for name in entry.get("features", ()) for feature in sets.get(name, (name,))}
    created = entry.get("created")
    return Facts(
        context=entry.get("context"),
        max_output=entry.get("max_output"),
        input=frozenset(entry.get("input", ("text",))),
        output=frozenset(entry.get("output", ("text",))),
        features=frozenset(features),
        quality=entry["quality"],
        name=entry["name"],
        created=0
        if created is None
        else int(datetime(created.year, created.month, created.day, tzinfo=UTC).timestamp()),
        author=entry["author"],
    )
