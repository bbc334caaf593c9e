"""Ids that are unique over all processes and sort by time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_RANDOM_BITS: Final = 80

_AHEAD: Final = 256
"""For how many ids random bytes are fetched at once: to ask the kernel for each costs as much as all else."""


def id_at(seconds: int) -> str:
    """The first id that can be made at a time in seconds since the epoch."""
    return _written(seconds * 1000 << _RANDOM_BITS)


class Ids:
    """Makes ULIDs (github.com/ulid/spec): each later than the one before, also within a millisecond. For one thread of
    one process: after a fork, both would make the same."""

    def __init__(self) -> None:
        self._last = 0
        self._random: Iterator[bytes] = iter(())

    def __call__(self) -> str:
        """A new id: 26 letters and digits."""
        made = (time.time_ns() // 1_000_000) << _RANDOM_BITS
        if made >> _RANDOM_BITS <= self._last >> _RANDOM_BITS:
            # The same millisecond, or a clock that was set back: what follows the last one.
            made = self._last + 1 + int.from_bytes(self._bytes()[:4])
        else:
            # The topmost bit is left free, so that counting up does not reach into the time.
            made |= int.from_bytes(self._bytes()) >> 1
        self._last = made
        return _written(made)

    def _bytes(self) -> bytes:
        """Ten random bytes that were not used before."""
        found = next(self._random, None)
        if found is None:
            size = _RANDOM_BITS // 8
            made = os.urandom(_AHEAD * size)
            self._random = iter([made[start : start + size] for start in range(0, len(made), size)])
            found = next(self._random)
        return found


def _written(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
