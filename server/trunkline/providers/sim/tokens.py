"""The tokens of the simulated models: every four characters are one, and so is what is left at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

SIZE: Final = 4
"""Characters in a token."""

_WORD = re.compile(r"\S+\s*|\s+")


def count(text: str) -> int:
    """How many tokens `text` is."""
    return (len(text) + SIZE - 1) // SIZE


def tokens(text: str) -> Iterator[str]:
    """The tokens of `text`."""
    return (text[start : start + SIZE] for start in range(0, len(text), SIZE))


def words(text: str) -> Iterator[str]:
    """The words of `text`, each with the space after it: the deltas of a stream."""
    return (match[0] for match in _WORD.finditer(text))
