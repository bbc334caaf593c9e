"""Puts together what the chunks of a stream tell piece by piece."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Json

_DETAIL: Final = ("text", "summary", "data")
"""The keys of a reasoning detail whose text goes on in the next chunk."""

_AUDIO: Final = ("data", "transcript")
"""The same of a spoken answer."""


def merge_rest(into: dict[str, Json], more: dict[str, Json]) -> None:
    """Add what a later chunk tells: arrays go on, objects merge, the rest is replaced."""
    for key, value in more.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            merge_rest(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            # Perplexity tells the whole list so far in each chunk, others what is new.
            shared = min(len(present), len(value))
            present.extend(value[shared:] if present[:shared] == value[:shared] else value)
        else:
            into[key] = value


class Pieces:
    """An object whose texts come in pieces: those of the keys `long` go on, the rest is replaced."""

    __slots__ = ("_long", "_rest", "_texts")

    def __init__(self, long: tuple[str, ...]) -> None:
        self._long = long
        self._rest: dict[str, Json] = {}
        self._texts: dict[str, list[str]] = {}

    def add(self, more: dict[str, Json]) -> None:
        """Take the next piece."""
        for key, value in more.items():
            if key in self._long and isinstance(value, str):
                self._texts.setdefault(key, []).append(value)
                self._rest[key] = None  # holds the key's place
            elif value is not None or key not in self._rest:
                self._rest[key] = value

    def get(self, key: str) -> Json:
        """What is known of a key that does not come in pieces."""
        return self._rest.get(key)

    def whole(self) -> dict[str, Json]:
        """The object, as far as it is known."""
        return {key: "".join(self._texts[key]) if key in self._texts else value for key, value in self._rest.items()}


def audio() -> Pieces:
    """A spoken answer: `audio` of a message."""
    return Pieces(_AUDIO)


class Details:
    """The items of `reasoning_details`: those of the same `index` and `type` in a row are one item, in pieces."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[Pieces | Json] = []

    def add(self, more: list[Json]) -> None:
        """Take what a chunk tells."""
        for item in more:
            if not isinstance(item, dict):
                self._items.append(item)
                continue
            last = self._items[-1] if self._items else None
            if not isinstance(last, Pieces) or not _goes_on(last, item):
                last = Pieces(_DETAIL)
                self._items.append(last)
            last.add(item)

    def whole(self) -> list[Json]:
        """The items so far."""
        return [item.whole() if isinstance(item, Pieces) else item for item in self._items]


def _goes_on(last: Pieces, item: dict[str, Json]) -> bool:
    return (
        item.get("type") == last.get("type")
        and item.get("index") == last.get("index")
        and item.get("id") in (None, last.get("id"))
    )


class Block:
    """A call of another type than `function`: the texts inside its objects go on, the rest is replaced."""

    __slots__ = ("_inner", "_rest")

    def __init__(self) -> None:
        self._rest: dict[str, Json] = {}
        self._inner: dict[str, dict[str, list[Json]]] = {}

    def add(self, more: dict[str, Json]) -> None:
        """Take the next piece."""
        for key, value in more.items():
            if isinstance(value, dict):
                self._rest.setdefault(key, None)
                inner = self._inner.setdefault(key, {})
                for name, piece in value.items():
                    inner.setdefault(name, []).append(piece)
            elif value is not None and key != "index":
                self._inner.pop(key, None)
                self._rest[key] = value

    def whole(self) -> dict[str, Json]:
        """The block, as far as it is known."""
        return {
            key: {name: _joined(pieces) for name, pieces in self._inner[key].items()} if key in self._inner else value
            for key, value in self._rest.items()
        }


def _joined(pieces: list[Json]) -> Json:
    return "".join(pieces) if all(isinstance(piece, str) for piece in pieces) else pieces[-1]
