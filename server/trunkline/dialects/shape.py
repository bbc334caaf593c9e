"""A common shape of the items of an array, read straight from text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

Shaped = TypeVar("Shaped", bound=msgspec.Struct)


class Shape(Generic[Shaped]):
    """What most items are like: a struct that forbids all else, whose fields are told without a look at each key."""

    def __init__(self, struct: type[Shaped]) -> None:
        self._one = msgspec.json.Decoder(struct).decode
        self._all = msgspec.json.Decoder(list[struct]).decode  # type: ignore[valid-type]

    def read(self, text: msgspec.Raw) -> Shaped | None:
        """The item in a text; None where that is of another shape, or no JSON."""
        try:
            return self._one(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None

    def read_all(self, text: msgspec.Raw) -> Sequence[Shaped | None] | None:
        """The items of the array in a text, all of the shape; None where one is not."""
        try:
            return self._all(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
