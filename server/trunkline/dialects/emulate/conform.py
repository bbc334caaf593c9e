"""Whether a JSON value matches a JSON Schema: the keywords that models are held to, without those that cost too much.

`pattern`, `format` and references to other documents are passed over: a caller's regular expression could take any
time, and nothing is fetched here.
"""

from __future__ import annotations

from typing import Any, Final

from trunkline.dialects.wire import Json

_MOST_STEPS: Final = 200_000
"""The most schemas that are looked at; what is left then counts as matching."""

_NONE: Final[frozenset[str]] = frozenset()

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
    "integer": (int, float),
}


def mismatch(value: Json, schema: Json) -> str | None:
    """Where and how `value` breaks `schema`, such as "`$.items[2].name` is required"; None where it does not."""
    try:
        return _Check(schema).mismatch(value, schema, "$", _NONE)
    except RecursionError:
        # Deeper than anyone nests: it counts as matching, as what is left of a long check does.
        return None


class _Check:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._steps = 0

    def mismatch(self, value: Json, schema: Json, path: str, followed: frozenset[str]) -> str | None:
        self._steps += 1
        if schema is False:
            return f"`{path}` must not be there"
        if not isinstance(schema, dict) or self._steps > _MOST_STEPS:
            return None
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in followed:
            found = self._find(reference)
            problem = self.mismatch(value, found, path, followed | {reference})
            if problem is not None:
                return problem
        return (
            _wrong_type(value, schema, path)
            or _wrong_value(value, schema, path)
            or self._combined(value, schema, path, followed)
            or self._inside(value, schema, path)
        )

    def _find(self, reference: str) -> Json:
        """What a reference within the schema names; True, which everything matches, where it names nothing."""
        if not reference.startswith("#"):
            return True
        node = self._root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or key not in node:
                return True
            node = node[key]
        return node

    def _combined(self, value: Json, schema: dict[str, Any], path: str, followed: frozenset[str]) -> str | None:
        for each in _list(schema, "allOf"):
            problem = self.mismatch(value, each, path, followed)
            if problem is not None:
                return problem
        for keyword in ("anyOf", "oneOf"):
            options = _list(schema, keyword)
            if options and all(self.mismatch(value, option, path, followed) is not None for option in options):
                return f"`{path}` matches no schema of `{keyword}`"
        return None

    def _inside(self, value: Json, schema: dict[str, Any], path: str) -> str | None:
        if isinstance(value, dict):
            return self._members(value, schema, path)
        if isinstance(value, list):
            first = _list(schema, "prefixItems")
            rest = schema.get("items")
            for index, item in enumerate(value):
                problem = self.mismatch(item, first[index] if index < len(first) else rest, f"{path}[{index}]", _NONE)
                if problem is not None:
                    return problem
        return None

    def _members(self, value: dict[str, Any], schema: dict[str, Any], path: str) -> str | None:
        for key in _list(schema, "required"):
            if key not in value:
                return f"`{path}.{key}` is required"
        known = schema.get("properties")
        known = known if isinstance(known, dict) else {}
        # With patterns for names, which are passed over, nothing can be said of the others.
        others = True if "patternProperties" in schema else schema.get("additionalProperties", True)
        for key, item in value.items():
            problem = self.mismatch(item, known.get(key, others), f"{path}.{key}", _NONE)
            if problem is not None:
                return problem
        return None


def _list(schema: dict[str, Any], keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else []


def _wrong_type(value: Json, schema: dict[str, Any], path: str) -> str | None:
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    known = [name for name in names if isinstance(name, str) and name in _TYPES]
    if not known or any(_is(value, name) for name in known):
        return None
    return f"`{path}` must be of type {' or '.join(known)}"


def _is(value: Json, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _wrong_value(value: Json, schema: dict[str, Any], path: str) -> str | None:
    if "const" in schema and not _same(value, schema["const"]):
        return f"`{path}` must be the constant of the schema"
    options = schema.get("enum")
    if isinstance(options, list) and not any(_same(value, option) for option in options):
        return f"`{path}` must be one of the values of the schema"
    if isinstance(value, str):
        return _out_of_bounds(len(value), schema, path, "minLength", "maxLength")
    if isinstance(value, list):
        return _out_of_bounds(len(value), schema, path, "minItems", "maxItems")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _out_of_bounds(value, schema, path, "minimum", "maximum")
    return None


def _same(one: Json, other: Json) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _out_of_bounds(size: float, schema: dict[str, Any], path: str, least: str, most: str) -> str | None:
    low, high = schema.get(least), schema.get(most)
    if isinstance(low, int | float) and size < low:
        return f"`{path}` is below `{least}`"
    if isinstance(high, int | float) and size > high:
        return f"`{path}` is above `{most}`"
    return None
