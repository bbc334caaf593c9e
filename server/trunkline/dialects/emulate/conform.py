"""Whether a JSON value matches a JSON Schema: our own check, as it must end soon whatever the schema says.

No library bounds the time that a hostile schema takes: a caller's regular expression can take for ever, and so can
nested `anyOf` and references. This one looks at a bounded number of places, and refuses only what is surely wrong:
what it passes over (`pattern`, `format`, `not`, `if`, `contains`, `dependent*`, `unevaluated*`, references to other
documents, the second match of `oneOf`) counts as matching, and so does what is left when the bound is reached.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from trunkline.dialects.wire import Json, text_of

_MOST_STEPS: Final = 50_000
"""The most places that are looked at: about a tenth of a second."""
_MOST_FOLLOWED: Final = 16
"""The most references that are followed one from the other."""
_MOST_NAME: Final = 64
"""The most characters of a name that an error tells."""

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
TYPES: Final = frozenset(_TYPES)
"""The words that `type` may hold."""

_INDEX: Final = re.compile("[0-9]{1,9}")

_OLD: Final = ("draft-03", "draft-04", "draft-06", "draft-07")


@dataclass(slots=True)
class _Problem:
    """What is wrong, and the way to it, innermost first: put together where it is told, which mostly it is not."""

    text: str
    way: list[str | int] = field(default_factory=list)

    def told(self) -> str:
        steps = (f"[{step}]" if isinstance(step, int) else f".{step[:_MOST_NAME]}" for step in reversed(self.way))
        return f"`${''.join(steps)}` {self.text}"


class _EnoughError(Exception):
    """The bound is reached."""


def mismatch(value: Json, schema: Json) -> str | None:
    """Where and how `value` breaks `schema`, such as "`$.items[2].name` is required"; None where it does not."""
    try:
        problem = _Check(schema).mismatch(value, schema, _NONE)
    except (_EnoughError, RecursionError):
        return None
    return None if problem is None else problem.told()


def has_lone_references(root: Json) -> bool:
    """Whether `root` is of a version of JSON Schema in which nothing counts that stands beside `$ref`."""
    version = root.get("$schema") if isinstance(root, dict) else None
    return isinstance(version, str) and any(name in version for name in _OLD)


def look_up(root: Json, reference: str) -> Json:
    """What a reference within the schema names; True, which everything matches, where it names nothing."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return True
    node = root
    for step in unquote(reference[2:]).split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and _INDEX.fullmatch(key) and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, dict) and key in node and (node is root or "$id" not in node):
            node = node[key]
        else:
            return True
    return node


class _Check:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._left = _MOST_STEPS
        self._found: dict[str, Json] = {}
        self._options: dict[int, frozenset[str]] = {}
        self._lone = has_lone_references(root)

    def mismatch(self, value: Json, schema: Json, followed: frozenset[str]) -> _Problem | None:
        """`followed` are the references that led from the same value to here: one that comes again says nothing."""
        self._spend(1)
        if schema is False:
            return _Problem("must not be there")
        if not isinstance(schema, dict) or (schema is not self._root and "$id" in schema):
            return None  # a document of its own within this one: its references would start there
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference not in followed and len(followed) < _MOST_FOLLOWED:
                problem = self.mismatch(value, self._find(reference), followed | {reference})
                if problem is not None:
                    return problem
            if self._lone:
                return None
        return (
            _wrong_type(value, schema)
            or self._wrong_value(value, schema)
            or _out_of_bounds(value, schema)
            or self._combined(value, schema, followed)
            or self._inside(value, schema)
        )

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _EnoughError

    def _find(self, reference: str) -> Json:
        if reference not in self._found:
            self._found[reference] = look_up(self._root, reference)
        return self._found[reference]

    def _wrong_value(self, value: Json, schema: dict[str, Any]) -> _Problem | None:
        if "const" in schema and not self._is_among(value, [schema["const"]], schema):
            return _Problem("must be the constant of the schema")
        options = schema.get("enum")
        if isinstance(options, list) and not self._is_among(value, options, options):
            return _Problem("must be one of the values of the schema")
        if schema.get("uniqueItems") is True and isinstance(value, list):
            seen: set[str] = set()
            for item in value:
                text = self._canonical(item)
                if text in seen:
                    return _Problem("must not hold the same item twice")
                seen.add(text)
        return None

    def _is_among(self, value: Json, options: list[Json], owner: object) -> bool:
        """Whether one of `options`, which `owner` holds, is `value`."""
        known = self._options.get(id(owner))
        if known is None:
            known = self._options[id(owner)] = frozenset(self._canonical(option) for option in options)
        return self._canonical(value) in known

    def _canonical(self, value: Json) -> str:
        """One text for all values that are the same to JSON Schema, such as 1 and 1.0."""
        match value:
            case dict():
                self._spend(1 + len(value))
                members = (f"{text_of(key)}:{self._canonical(value[key])}" for key in sorted(value))
                return f"{{{','.join(members)}}}"
            case list():
                self._spend(1 + len(value))
                return f"[{','.join([self._canonical(item) for item in value])}]"
            case bool():
                self._spend(1)
            case int():
                self._spend(1)
                return str(value)  # one may be longer than what JSON is written with
            case float():
                self._spend(1)
                return str(int(value)) if value.is_integer() else repr(value)
            case str():
                self._spend(1 + len(value) // 256)
        return text_of(value)

    def _combined(self, value: Json, schema: dict[str, Any], followed: frozenset[str]) -> _Problem | None:
        for each in _list(schema, "allOf"):
            problem = self.mismatch(value, each, followed)
            if problem is not None:
                return problem
        for keyword in ("anyOf", "oneOf"):
            options = _list(schema, keyword)
            if options and all(self.mismatch(value, option, followed) is not None for option in options):
                return _Problem(f"matches no schema of `{keyword}`")
        return None

    def _inside(self, value: Json, schema: dict[str, Any]) -> _Problem | None:
        if isinstance(value, dict):
            return self._members(value, schema)
        if isinstance(value, list):
            first = [] if self._lone else _list(schema, "prefixItems")
            rest = schema.get("items", True)
            for index, item in enumerate(value):
                problem = self.mismatch(item, first[index] if index < len(first) else rest, _NONE)
                if problem is not None:
                    problem.way.append(index)
                    return problem
        return None

    def _members(self, value: dict[str, Any], schema: dict[str, Any]) -> _Problem | None:
        required = _list(schema, "required")
        self._spend(len(required))
        for key in required:
            if isinstance(key, str) and key not in value:
                return _Problem("is required", [key])
        properties = schema.get("properties")
        known = properties if isinstance(properties, dict) else {}
        # With patterns for names, which are passed over, nothing can be said of the others.
        others = True if "patternProperties" in schema else schema.get("additionalProperties", True)
        for key, item in value.items():
            problem = self.mismatch(item, known.get(key, others), _NONE)
            if problem is not None:
                problem.way.append(key)
                return problem
        return None


def _list(schema: dict[str, Any], keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else []


def _wrong_type(value: Json, schema: dict[str, Any]) -> _Problem | None:
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    known = [name for name in names if isinstance(name, str) and name in _TYPES]
    if not known or any(_is(value, name) for name in known):
        return None
    return _Problem(f"must be of type {' or '.join(known[: len(_TYPES)])}")


def _is(value: Json, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _out_of_bounds(value: Json, schema: dict[str, Any]) -> _Problem | None:
    match value:
        case bool():
            return None
        case str():
            return _outside(len(value), schema, "minLength", "maxLength")
        case list():
            return _outside(len(value), schema, "minItems", "maxItems")
        case dict():
            return _outside(len(value), schema, "minProperties", "maxProperties")
        case int() | float():
            low, high = _number(schema, "exclusiveMinimum"), _number(schema, "exclusiveMaximum")
            if low is not None and value <= low:
                return _Problem("is not above `exclusiveMinimum`")
            if high is not None and value >= high:
                return _Problem("is not below `exclusiveMaximum`")
            factor = _number(schema, "multipleOf")
            # Of fractions nothing is said: 0.3 is no multiple of 0.1 to a computer.
            if isinstance(value, int) and isinstance(factor, int) and factor > 0 and value % factor:
                return _Problem("is no multiple of `multipleOf`")
            return _outside(value, schema, "minimum", "maximum")
    return None


def _outside(size: float, schema: dict[str, Any], least: str, most: str) -> _Problem | None:
    low, high = _number(schema, least), _number(schema, most)
    if low is not None and size < low:
        return _Problem(f"is below `{least}`")
    if high is not None and size > high:
        return _Problem(f"is above `{most}`")
    return None


def _number(schema: dict[str, Any], keyword: str) -> int | float | None:
    found = schema.get(keyword)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
