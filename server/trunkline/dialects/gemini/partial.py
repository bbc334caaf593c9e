"""Arguments of a function call that Vertex AI streams piece by piece, each with its path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from trunkline.dialects.gemini.names import camel
from trunkline.dialects.wire import Json

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\[(?:'([^']*)'|"([^"]*)")\]""")
_DEEPEST: Final = 64


def patched(pieces: Iterable[Json]) -> dict[str, Json]:
    """The arguments that `pieces` make."""
    patch = Patch()
    patch.feed(pieces)
    return patch.args


class Patch:
    """The arguments of one call so far. A piece that makes no sense is passed over."""

    def __init__(self) -> None:
        self.args: dict[str, Json] = {}
        self._going_on = ""

    def feed(self, pieces: Iterable[Json]) -> None:
        """Take the next pieces. A string whose piece said `willContinue` goes on in the next piece of its path."""
        for piece in pieces:
            if not isinstance(piece, dict):
                continue
            camel(piece)
            path = piece.get("jsonPath")
            if not isinstance(path, str) or not path.startswith("$"):
                continue
            steps = _steps(path)
            known, value = _value(piece)
            if steps and known:
                _set(self.args, steps, value, goes_on=path == self._going_on)
            self._going_on = path if piece.get("willContinue") is True else ""


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    end = 1
    while end < len(path) and len(steps) < _DEEPEST:
        match = _STEP.match(path, end)
        if match is None:
            return []
        name, index, single, double = match.groups()
        steps.append(
            int(index) if index is not None else next(text for text in (name, single, double) if text is not None)
        )
        end = match.end()
    return steps if end == len(path) else []


def _value(piece: dict[str, Json]) -> tuple[bool, Json]:
    """Whether the piece holds a value, and which."""
    text, number, boolean = piece.get("stringValue"), piece.get("numberValue"), piece.get("boolValue")
    if isinstance(text, str):
        return True, text
    if type(number) is float or type(number) is int:
        return True, int(number) if number == int(number) else number
    if isinstance(boolean, bool):
        return True, boolean
    return "nullValue" in piece, None


def _set(root: dict[str, Json], steps: list[str | int], value: Json, *, goes_on: bool) -> None:
    """Put `value` at `steps`, making what is on the way. An array grows by one element at a time."""
    node: Json = root
    last = len(steps) - 1
    for place, step in enumerate(steps):
        if not _fits(node, step):
            return
        present = _get(node, step)
        if place == last:
            new = present + value if goes_on and isinstance(present, str) and isinstance(value, str) else value
        else:
            wanted = list if isinstance(steps[place + 1], int) else dict
            new = present if isinstance(present, wanted) else wanted()
        if isinstance(node, list) and step == len(node):
            node.append(new)
        else:
            node[step] = new
        node = new


def _fits(node: Json, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(node, list) and step <= len(node)
    return isinstance(node, dict)


def _get(node: Json, step: str | int) -> Json:
    """What stands at `step`, which fits; None where nothing does."""
    if isinstance(step, int):
        return node[step] if step < len(node) else None
    return node.get(step)
