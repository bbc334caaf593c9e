"""Two JSON Schemas that must both hold, as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final


def merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """A schema that holds where both do. Where a keyword cannot be merged, that of `second` stays."""
    merged = {**first, **second}
    for key in first.keys() & second.keys():
        if key in _MERGERS:
            merged[key] = _MERGERS[key](first[key], second[key])
    return merged


def _higher(first: Any, second: Any) -> Any:
    return max(first, second) if _numbers(first, second) else second


def _lower(first: Any, second: Any) -> Any:
    return min(first, second) if _numbers(first, second) else second


def _numbers(first: object, second: object) -> bool:
    return isinstance(first, int | float) and isinstance(second, int | float)


def _both(first: Any, second: Any) -> Any:
    return {"allOf": [first, second]}


def _each(first: Any, second: Any) -> Any:
    if not isinstance(first, dict) or not isinstance(second, dict):
        return second
    shared = {key: _both(first[key], second[key]) for key in first.keys() & second.keys()}
    return {**first, **second, **shared}


def _union(first: Any, second: Any) -> Any:
    if not isinstance(first, list) or not isinstance(second, list):
        return second
    return first + [key for key in second if key not in first]


def _common(first: Any, second: Any) -> Any:
    if not isinstance(first, list) or not isinstance(second, list):
        return second
    return [value for value in first if value in second]


def _kinds(first: Any, second: Any) -> Any:
    left = first if isinstance(first, list) else [first]
    right = second if isinstance(second, list) else [second]
    narrow = [kind for kind in left if kind in right or (kind == "integer" and "number" in right)]
    if "number" in left and "integer" in right and "integer" not in narrow:
        narrow.append("integer")
    return narrow


def _all(first: Any, second: Any) -> Any:
    return (first if isinstance(first, list) else []) + (second if isinstance(second, list) else [])


_MERGERS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "type": _kinds,
    "enum": _common,
    "properties": _each,
    "$defs": _each,
    "required": _union,
    "items": _both,
    "additionalProperties": _both,
    "allOf": _all,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), _higher),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), _lower),
}
