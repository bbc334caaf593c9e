"""What the configuration says of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trunkline.catalog.schedule import Period


@dataclass(frozen=True, slots=True)
class Override:
    """Facts by their name in `Facts`, and price lists with their dates, of the models that a key names."""

    facts: Mapping[str, object]
    periods: tuple[Period, ...] = ()


def matching(overrides: Mapping[str, Override], provider: str, model: str) -> list[Override]:
    """The overrides of a model, the more general ones first.

    A key is `model` or `provider/model`, `*` in it standing for anything. One without `*` counts more than one with,
    one with the provider more than one without, a longer one more than a shorter one.
    """
    whole = f"{provider}/{model}"
    found = [key for key in overrides if fnmatchcase(whole, key) or fnmatchcase(model, key)]
    found.sort(key=lambda key: ("*" not in key, fnmatchcase(whole, key), len(key), key))
    return [overrides[key] for key in found]
