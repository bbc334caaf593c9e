"""The key `extra_content`, in which what other dialects need back reaches a client of this one and returns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.v1.content_pb2 import Opaque, Part

FOREIGN: Final = frozenset({"anthropic", "gemini", "responses", "bedrock"})
"""The dialects that use it. Any other name in it is the server's own affair."""

_GATEWAY: Final = "trunkline"
"""Not a dialect: what the gateway itself notes of an answer, which nobody needs back."""

_KEY: Final = "extra_content"
_BLOCKS: Final = "blocks"
"""Beside a dialect's extras: the blocks that it alone can read."""
_BLOCK: Final = "block"
_PLACE: Final = "place"


def take_foreign(wire: Object, extras: MutableMapping[str, str]) -> None:
    """Read the extras of other dialects."""
    foreign = wire.fields.get(_KEY)
    if not isinstance(foreign, dict):
        return
    foreign.pop(_GATEWAY, None)
    for dialect in [name for name, value in foreign.items() if name in FOREIGN and isinstance(value, dict)]:
        extras[dialect] = text_of(foreign.pop(dialect))
    if not foreign:
        del wire.fields[_KEY]


def take_blocks(wire: Object) -> list[tuple[int | None, Part]]:
    """Take the blocks of other dialects, each with its place among the parts of its message, where that is told."""
    blocks: list[tuple[int | None, Part]] = []
    foreign = wire.fields.get(_KEY)
    if not isinstance(foreign, dict):
        return blocks
    for dialect in [name for name in foreign if name in FOREIGN]:
        extras = foreign[dialect]
        items = extras.get(_BLOCKS) if isinstance(extras, dict) else None
        if isinstance(items, list):
            for item in items:
                if isinstance(item, dict) and _BLOCK in item:
                    place = item.get(_PLACE)
                    part = Part(opaque=Opaque(dialect=dialect, json=text_of(item[_BLOCK])))
                    blocks.append((place if type(place) is int else None, part))
            del extras[_BLOCKS]
            if not extras:
                del foreign[dialect]
    return blocks


def put_back(blocks: Iterable[tuple[int | None, Part]], parts: Any) -> None:
    """Put blocks back to where they stood among `parts`, a repeated field; at its end where nobody knows."""
    for place, part in sorted(blocks, key=_order):
        parts.insert(len(parts) if place is None else max(0, min(place, len(parts))), part)


def _order(block: tuple[int | None, Part]) -> float:
    return math.inf if block[0] is None else block[0]


def put_foreign(wire: dict[str, Json], extras: Mapping[str, str]) -> None:
    """Write the extras of other dialects, and what the gateway noted. For clients alone: no server is sent them."""
    for dialect, text in extras.items():
        if dialect in FOREIGN or dialect == _GATEWAY:
            wire.setdefault(_KEY, {}).setdefault(dialect, {}).update(loads(text))


def put_block(wire: dict[str, Json], opaque: Opaque, place: int, index: int | None = None) -> None:
    """Write a block of another dialect, which stands at `place` among the parts of its message. For clients alone.

    `index` is its place among the blocks of its dialect, by which clients put the chunks of a stream together; it is
    that in `wire` where it is not given.
    """
    blocks = wire.setdefault(_KEY, {}).setdefault(opaque.dialect, {}).setdefault(_BLOCKS, [])
    blocks.append({"index": len(blocks) if index is None else index, _PLACE: place, _BLOCK: loads(opaque.json)})
