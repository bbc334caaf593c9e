"""What is wrong with a configuration, said so that it can be put right."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

Path = tuple[str | int, ...]
"""The way to a setting from the top, such as `("models", "fast", "targets", 1)`."""

_PLAIN = re.compile(r"[\w-]+")
_LONGEST = 80
_WIDEST = 10**_LONGEST


class ConfigError(Exception):
    """The configuration cannot be used. `problems` are all that were found, one line each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: at `path`, `message`, then the value found (if it is `shown`), then a remedy."""

    path: Path
    message: str
    value: object = None
    shown: bool = False
    hint: str = ""

    def text(self, *, secret: bool = False) -> str:
        """The sentence, without the value if that is `secret`."""
        found = f", not {_quote(self.value)}" if self.shown and not secret else ""
        return f"{self.message}{found}{self.hint}"


def dotted(path: Path) -> str:
    """`path` as people write it: `models.fast.targets[1]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step)}]"
    return text


def near_miss(given: object, known: Collection[str]) -> str:
    """`; did you mean ...?`, or nothing where no known name is close."""
    close = get_close_matches(str(given), known, n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def _quote(value: object) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "nothing"
        case int() if abs(value) > _WIDEST:
            return "a number that long"
        case bool() | int() | float():
            text = json.dumps(value)
        case _:
            text = json.dumps(str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
