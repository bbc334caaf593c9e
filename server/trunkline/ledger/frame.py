"""How records stand in a segment, and how they are found again whatever became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final
from zlib import crc32

_MARK: Final = b"\xf1TL"
_HEAD: Final = Struct("<3sBIII")  # mark, kind, length of the payload, synced, checksum of the payload
_CHECK: Final = Struct("<I")  # checksum of the head

OVERHEAD: Final = _HEAD.size + _CHECK.size
"""Bytes of a record beside its payload."""

MOST: Final = 1 << 20
"""The most bytes of a payload."""


class Kind(IntEnum):
    """What a record says. Its payload is a `trunkline.v1.LedgerEntry`, or empty."""

    OPENED = 1
    """A call was let in: what is known of it so far. A later one of the same id replaces it."""

    CLOSED = 2
    """An entry."""

    END = 3
    """Nothing follows in this segment."""

    PROBE = 4
    """Nothing: written to see whether the disk takes it."""


_KINDS: Final = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was read, and where the next one begins."""

    kind: Kind
    payload: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes from `start` to `end` that are no record."""

    start: int
    end: int


def seed(name: str) -> int:
    """What the checksums of a segment begin with: a record of another segment, left on a block of the disk that was
    used before, is none in this one."""
    return crc32(name.encode())


def frame(kind: Kind, payload: bytes, synced: int, start: int) -> bytes:
    """A record of a segment whose seed is `start`, of which the first `synced` bytes are on the disk itself."""
    head = _HEAD.pack(_MARK, kind, len(payload), synced, crc32(payload, start))
    return b"".join((head, _CHECK.pack(crc32(head, start)), payload))


class Reader:
    """Reads the records of a segment, `data` from `offset` on, and goes on after what is damaged.

    When it is through, `synced` is how many bytes are known to have been on the disk itself: damage before that lost
    what had been promised, damage after it did not. `end` is where the last record ended.
    """

    def __init__(self, data: bytes, start: int, offset: int = 0) -> None:
        self._data = data
        self._seed = start
        self.synced = 0
        self.end = offset

    def __iter__(self) -> Iterator[Record | Damage]:
        used = len(self._data.rstrip(b"\0"))
        while self.end < len(self._data):
            found = self._at(self.end)
            if isinstance(found, Record):
                self.end = found.end
                if found.kind is Kind.END:
                    return
                yield found
                continue
            if self.end >= used:
                return
            start = self.end
            self.end = self._next(start + 1 if found is None else found)
            yield Damage(start, min(self.end, max(used, start + 1)))

    def _next(self, offset: int) -> int:
        """Where the next head that is whole begins, from `offset` on; where the data end if there is none."""
        while (offset := self._data.find(_MARK, offset)) >= 0:
            if self._at(offset) is not None:
                return offset
            offset += 1
        return len(self._data)

    def _at(self, offset: int) -> Record | int | None:
        """The record at `offset`; where the next one begins if only its payload is damaged, None if its head is."""
        body = offset + OVERHEAD
        head = self._data[offset : offset + _HEAD.size]
        if body > len(self._data) or not head.startswith(_MARK):
            return None
        (check,) = _CHECK.unpack_from(self._data, offset + _HEAD.size)
        if crc32(head, self._seed) != check:
            return None
        kind: int
        length: int
        _, kind, length, synced, checksum = _HEAD.unpack(head)
        self.synced = max(self.synced, synced)
        payload = self._data[body : body + length]
        if len(payload) != length or crc32(payload, self._seed) != checksum or kind not in _KINDS:
            return min(body + length, len(self._data))
        return Record(Kind(kind), payload, body + length)
