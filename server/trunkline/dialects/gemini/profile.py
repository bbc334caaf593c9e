"""What a Gemini model takes and what it does not: data by the model's name, not code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from trunkline.call import Loss, LossKind


@dataclass(frozen=True, slots=True)
class Profile:
    """How one model differs.

    `thinking` is how it is told to reason: by a `level`, by a `budget` of tokens between `least_budget` and
    `most_budget` (0 turns it off where `thinking_stops`), or not at all (None). `media_results` tells whether the
    result of a function may hold media. `signed_calls` tells whether the model refuses an earlier function call without
    its `thoughtSignature`.
    """

    thinking: Literal["level", "budget"] | None = "budget"
    least_budget: int = 1
    most_budget: int = 2**31 - 1
    thinking_stops: bool = True
    media_results: bool = False
    signed_calls: bool = False


NATIVE = Profile(thinking="level", media_results=True)
"""Writes back whatever a caller of Gemini can say."""

_PROFILES: Final = (
    (re.compile(r"gemini-2\.5-.*(image|tts|audio|live)"), Profile(thinking=None)),
    (re.compile(r"gemini-2\.5-pro"), Profile(least_budget=128, most_budget=32768, thinking_stops=False)),
    (re.compile(r"gemini-2\.5-flash-lite"), Profile(least_budget=512, most_budget=24576)),
    (re.compile(r"gemini-2\.5"), Profile(most_budget=24576)),
    (re.compile(r"gemini-(?:1|2)(?:\.|-|$)"), Profile(thinking=None)),
    (
        re.compile(r"gemini-\d"),
        Profile(thinking="level", thinking_stops=False, media_results=True, signed_calls=True),
    ),
    (re.compile(r"gemini"), Profile()),
)
"""The first pattern that the name begins with. A Gemini without a number may be any: all take a budget."""

_OTHER: Final = Profile(thinking=None)
"""Open models such as Gemma."""


@lru_cache(maxsize=256)
def profile_of(model: str) -> Profile:
    """What is known of `model`, by its name without its folders."""
    name = model.rpartition("/")[2]
    return next((profile for pattern, profile in _PROFILES if pattern.match(name)), _OTHER)


@dataclass(frozen=True, slots=True)
class Writing:
    """One request on its way to a model: what the model takes, and what it could not."""

    profile: Profile
    losses: list[Loss] = field(default_factory=list)

    def lose(self, name: str, kind: LossKind = LossKind.DROPPED) -> None:
        """Note that the field `name` was not written as it was."""
        loss = Loss(name, kind)
        if loss not in self.losses:
            self.losses.append(loss)
