"""What the dialect keeps in `extras`.

Beside the keys that nobody models there is one of its own, `item`: what an item tells of itself, its `id`, `status` and
the like. A part that begins an item holds it; null says that the part belongs to the item before.
Only the server that wrote an item has a use for it, so leaving it out elsewhere is no loss.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Final

from trunkline.dialects.wire import Json, Object, loads, restore, text_of

DIALECT: Final = "responses"

ITEM: Final = "item"
"""The key of what an item tells of itself."""

_ITEM_KEYS: Final = frozenset({"id", "status", "phase", "namespace", "caller", "created_by", "agent"})
"""What an item may tell of itself."""


def take_item(wire: Object) -> dict[str, Json]:
    """Take out of an item what it tells of itself."""
    fields = wire.fields
    item: dict[str, Json] = {}
    if _ITEM_KEYS.isdisjoint(fields):
        return item
    for key in [key for key in fields if key in _ITEM_KEYS]:
        value = fields.pop(key)
        if value is not None:
            item[key] = value
    return item


def keep(wire: Object, extras: MutableMapping[str, str], item: Json = ...) -> None:
    """Put what nobody took out of `wire` into `extras`, and `item` where it is given; what is null counts as absent."""
    if item is ... and not wire.fields:
        return
    rest = wire.rest()
    kept = {key: value for key, value in rest.items() if value is not None} if rest else {}
    if item is not ...:
        kept[ITEM] = item
    if kept:
        extras[DIALECT] = text_of(kept)


def own(extras: Mapping[str, str]) -> dict[str, Json]:
    """What this dialect keeps in `extras`; empty where it is nothing, or no object."""
    text = extras.get(DIALECT)
    if text is None:
        return {}
    value = loads(text)
    return value if isinstance(value, dict) else {}


def restore_item(wire: dict[str, Json], extras: Mapping[str, str]) -> dict[str, Json]:
    """Write back into `wire` what the dialect keeps in `extras`, less what an item tells of itself, which is given."""
    kept = own(extras)
    item = kept.pop(ITEM, None)
    if kept:
        restore(wire, extras, DIALECT)
        wire.pop(ITEM, None)
    return item if isinstance(item, dict) else {}
