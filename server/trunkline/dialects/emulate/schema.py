"""What can be told of a JSON Schema before there is an answer: whether it is one, and what it asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from trunkline.dialects.emulate.conform import TYPES, has_lone_references, look_up
from trunkline.dialects.wire import Json

_MOST_CHECKED: Final = 20_000
"""The most schemas within one that are checked."""
_MOST_STEPS: Final = 1000
"""The most that are looked at for the sort of the answer."""
_DEEPEST: Final = 16
_MOST_NAME: Final = 64

_ONE: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
"""Keywords with a schema."""
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
"""Keywords with a list of schemas."""
_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords with schemas by name."""
_NUMBERS: Final = ("minimum", "maximum", "multipleOf")
_COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")

_SORTS: Final = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}


_Way: TypeAlias = "tuple[_Way, str] | None"
"""How a schema is come to: put together where it is told, which mostly it is not."""


def flaw(schema: Json) -> str | None:
    """Where and how `schema` is none, such as "`$.properties.age.type` must be a type of JSON"; None where it is one.

    What a schema may hold beside the keywords of JSON Schema, and what only older versions of it allow, passes; so does
    what comes after so much that nobody holds a model to it.
    """
    waiting: deque[tuple[Json, _Way]] = deque([(schema, None)])
    for _ in range(_MOST_CHECKED):
        if not waiting:
            break
        node, way = waiting.popleft()
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict):
            return f"`{_told(way)}` must be a schema: an object, or true or false"
        wrong = _wrong_keyword(node)
        if wrong is not None:
            return f"`{_told(way)}.{wrong}"
        waiting.extend(_inside(node, way))
    return None


def _told(way: _Way) -> str:
    steps: list[str] = []
    while way is not None:
        way, step = way
        steps.append(step if step.startswith("[") else f".{step[:_MOST_NAME]}")
    return "$" + "".join(reversed(steps))


def _inside(node: dict[str, Any], way: _Way) -> Iterator[tuple[Json, _Way]]:
    """The schemas in a schema."""
    for keyword in _ONE:
        # A list of items is how older versions write `prefixItems`.
        if keyword in node and not (keyword == "items" and isinstance(node[keyword], list)):
            yield node[keyword], (way, keyword)
    for keyword in (*_LISTS, "items"):
        found = node.get(keyword)
        if isinstance(found, list):
            here: _Way = (way, keyword)
            for index, item in enumerate(found):
                yield item, (here, f"[{index}]")
    for keyword in _MAPS:
        here = (way, keyword)
        for name, item in node.get(keyword, {}).items():
            yield item, (here, name)


def _wrong_keyword(node: dict[str, Any]) -> str | None:
    kind = node.get("type", [])
    names = kind if isinstance(kind, list) else [kind]
    if not all(isinstance(name, str) and name in TYPES for name in names):
        return f"type` must be one of {', '.join(sorted(TYPES))}, or a list of them"
    for keyword in _LISTS:
        if not isinstance(node.get(keyword, []), list):
            return f"{keyword}` must be a list of schemas"
    for keyword in _MAPS:
        if not isinstance(node.get(keyword, {}), dict):
            return f"{keyword}` must be an object of schemas"
    if not isinstance(node.get("enum", []), list):
        return "enum` must be a list"
    required = node.get("required", [])
    # Older versions write true or false, in the property itself.
    if not isinstance(required, bool) and not (
        isinstance(required, list) and all(type(key) is str for key in required)
    ):
        return "required` must be a list of names"
    for keyword in (*_NUMBERS, *_COUNTS):
        if isinstance(node.get(keyword, 0), bool) or not isinstance(node.get(keyword, 0), int | float):
            return f"{keyword}` must be a number"
    if not isinstance(node.get("$ref", ""), str):
        return "$ref` must be a string"
    return None


_ALL: Final = frozenset(TYPES - {"integer"})


def sorts_of(schema: Json) -> frozenset[str]:
    """The types that an answer to `schema` can be of, of `object`, `array`, `string`, `number`, `boolean` and `null`.

    All of them where that cannot be told.
    """
    return _Sorts(schema).of(schema, 0)


class _Sorts:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._lone = has_lone_references(root)
        self._left = _MOST_STEPS

    def of(self, schema: Json, depth: int) -> frozenset[str]:
        self._left -= 1
        if not isinstance(schema, dict) or depth > _DEEPEST or self._left < 0:
            return _ALL
        sorts = _ALL
        reference = schema.get("$ref")
        if isinstance(reference, str):
            found = self.of(look_up(self._root, reference), depth + 1)
            if self._lone:
                return found
            sorts &= found
        names = _listed(schema.get("type"))
        if names:
            sorts &= {"number" if name == "integer" else name for name in names if isinstance(name, str)}
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(values, list):
            sorts &= {_SORTS.get(type(value), "number") for value in values}
        for keyword in ("allOf", "anyOf", "oneOf"):
            each = [self.of(item, depth + 1) for item in _listed(schema.get(keyword))]
            if each:
                sorts &= frozenset.intersection(*each) if keyword == "allOf" else frozenset.union(*each)
        return sorts


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]
