"""Puts together what the chunks of a stream tell piece by piece."""

from __future__ import annotations

from trunkline.dialects.wire import Json

_PIECES = ("text", "summary", "data")
"""The keys of a reasoning detail whose text goes on in the next chunk."""


def merge_rest(into: dict[str, Json], more: dict[str, Json]) -> None:
    """Add what a later chunk tells: arrays go on, objects merge, the rest is replaced."""
    for key, value in more.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            merge_rest(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            present.extend(item for item in value if item not in present)
        else:
            into[key] = value


def merge_details(into: list[Json], more: list[Json]) -> None:
    """Add `reasoning_details` of a later chunk: items of the same `index` and `type` are one item, in pieces."""
    for item in more:
        last = into[-1] if into else None
        if (
            isinstance(item, dict)
            and isinstance(last, dict)
            and item.get("type") == last.get("type")
            and item.get("index") == last.get("index")
            and item.get("id") in (None, last.get("id"))
        ):
            for key, value in item.items():
                piece = isinstance(value, str) and isinstance(last.get(key), str)
                last[key] = last[key] + value if key in _PIECES and piece else value
        else:
            into.append(item)


def merge_pieces(into: dict[str, Json], more: dict[str, Json]) -> None:
    """Add a later piece of a tool call: the texts inside it go on, the rest is replaced."""
    for key, value in more.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            for name, text in value.items():
                before = present.get(name)
                present[name] = before + text if isinstance(before, str) and isinstance(text, str) else text
        elif value is not None and key != "index":
            into[key] = value
