"""Names of tool calls, of which Mistral takes those of nine letters and digits alone."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Iterable
from typing import Final

_LEGAL: Final = re.compile(r"[a-zA-Z0-9]{9}")
_LETTERS: Final = string.digits + string.ascii_letters
_LENGTH: Final = 9


class CallIds:
    """Gives each id that Mistral refuses one that it takes: the same for the same id, also in the next request.

    `used` are the ids of the request, so that none is given to two calls.
    """

    def __init__(self, used: Iterable[str]) -> None:
        self._given = {name: name for name in used if _LEGAL.fullmatch(name)}
        self._taken = set(self._given)

    def of(self, name: str) -> str:
        """The id that Mistral gets for `name`."""
        given = self._given.get(name)
        if given is None:
            given = _short(name)
            while given in self._taken:
                given = _short(f"{given}/{name}")
            self._given[name] = given
            self._taken.add(given)
        return given


def _short(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    letters = []
    for _ in range(_LENGTH):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)
