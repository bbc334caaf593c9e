"""The ids in an answer."""

from __future__ import annotations

import secrets
from hashlib import blake2b

_BYTES = 12


class Ids:
    """Makes the ids of one answer: random, or the same again for the same seed."""

    __slots__ = ("_made", "_seed")

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._made = 0

    def new(self, prefix: str) -> str:
        """The next id, such as `call_9f…`."""
        if self._seed is None:
            return prefix + secrets.token_hex(_BYTES)
        self._made += 1
        return prefix + blake2b(f"{self._seed} {self._made}".encode(), digest_size=_BYTES).hexdigest()
