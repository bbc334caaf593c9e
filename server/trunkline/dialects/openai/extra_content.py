"""The key `extra_content`, in which what other dialects need back reaches a client of this one and returns."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from trunkline.dialects.wire import Json, Object, loads, text_of

FOREIGN: Final = frozenset({"anthropic", "gemini", "responses", "bedrock"})
"""The dialects that use it. Any other name in it is the server's own affair."""

_KEY: Final = "extra_content"
_BLOCKS: Final = "blocks"
"""Beside a dialect's extras: the blocks that it alone can read."""


def take_foreign(wire: Object, extras: MutableMapping[str, str]) -> None:
    """Read the extras of other dialects."""
    foreign = wire.fields.get(_KEY)
    if not isinstance(foreign, dict):
        return
    for dialect in [name for name, value in foreign.items() if name in FOREIGN and isinstance(value, dict)]:
        extras[dialect] = text_of(foreign.pop(dialect))
    if not foreign:
        del wire.fields[_KEY]


def take_blocks(wire: Object, parts: Any) -> None:
    """Read the blocks of other dialects into `parts`, a repeated field."""
    foreign = wire.fields.get(_KEY)
    if not isinstance(foreign, dict):
        return
    for dialect in [name for name in foreign if name in FOREIGN]:
        extras = foreign[dialect]
        blocks = extras.get(_BLOCKS) if isinstance(extras, dict) else None
        if isinstance(blocks, list):
            for block in blocks:
                opaque = parts.add().opaque
                opaque.dialect, opaque.json = dialect, text_of(block)
            del extras[_BLOCKS]
            if not extras:
                del foreign[dialect]


def put_foreign(wire: dict[str, Json], extras: Mapping[str, str]) -> None:
    """Write the extras of other dialects. For clients alone: no server is sent them."""
    for dialect, text in extras.items():
        if dialect in FOREIGN:
            wire.setdefault(_KEY, {}).setdefault(dialect, {}).update(loads(text))


def put_block(wire: dict[str, Json], dialect: str, text: str) -> None:
    """Write a block of another dialect. For clients alone."""
    wire.setdefault(_KEY, {}).setdefault(dialect, {}).setdefault(_BLOCKS, []).append(loads(text))
