"""What `families.toml` tells of models, by patterns of their names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
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
    """What is known of a model by its name; None where nothing is."""
    name = bare_name(model)
    for pattern, served_by, facts in _families():
        if (not served_by or served_by == kind) and pattern.match(name):
            return facts
    return None


@cache
def _families() -> Sequence[tuple[re.Pattern[str], str, Facts]]:
    """Patterns of names, the kind that alone serves what they name (or none), and the facts."""
    data = tomllib.loads(_DATA.read_text())
    rows = [(group, {**group, **row}) for group in data["group"] for row in group["models"]]
    return [
        (re.compile("|".join(map(translate, row["match"]))), group.get("kind", ""), _facts(row, data["sets"]))
        for group, row in rows
    ]


def _facts(row: Mapping[str, Any], sets: Mapping[str, list[str]]) -> Facts:
    features = {feature for name in row.get("features", ()) for feature in sets.get(name, (name,))}
    created = row.get("created")
    return Facts(
        context=row.get("context"),
        max_output=row.get("max_output"),
        input=frozenset(row.get("input", ("text",))),
        output=frozenset(row.get("output", ("text",))),
        features=frozenset(features),
        quality=row["quality"],
        name=row.get("name", ""),
        created=0
        if created is None
        else int(datetime(created.year, created.month, created.day, tzinfo=UTC).timestamp()),
        author=row["author"],
    )
