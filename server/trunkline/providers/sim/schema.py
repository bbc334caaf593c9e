"""JSON that satisfies a JSON Schema, the same each time for the same schema.

Read are: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `minProperties`, `maxProperties`,
`items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems`, `anyOf`, `oneOf`, `allOf`, `$ref` within the document,
the bounds of numbers and of texts, `multipleOf` and the common `format`s. Other keywords, such as `pattern` and `not`,
are passed over.
"""

from __future__ import annotations

import json
from itertools import count, islice
from typing import Any, Final
from urllib.parse import unquote

from trunkline.providers.sim.errors import ApiError
from trunkline.providers.sim.leaves import NoValueError, number, size, text
from trunkline.providers.sim.merge import merge

MOST_NODES: Final = 5_000
"""The most schemas that are visited for one value: what keeps a hostile schema from costing memory or time."""

MOST_DEPTH: Final = 60
"""The deepest value that is made."""

_ROOT: Final = frozenset({"#"})
"""The reference that every value is within."""

_SPARES = 16
"""How many values more than needed are tried where all must differ."""

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}

_HINTS: Final = (
    ("object", ("properties", "required", "additionalProperties", "minProperties", "maxProperties")),
    ("array", ("items", "prefixItems", "minItems", "maxItems", "uniqueItems")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)
"""What a schema without `type` is for, told by its keywords; text where none of them is there."""


def json_for(schema: object, param: str) -> str:
    """JSON that satisfies `schema`. Raises `ApiError` (400), naming `param`, where none was found."""
    try:
        return json.dumps(_Generator(schema).value(schema, "text"), ensure_ascii=False, separators=(",", ":"))
    except NoValueError as error:
        raise ApiError(400, f"No value satisfies the schema: {error}.", param=param, code="invalid_schema") from None


class _Generator:
    """Makes one value. A schema that cannot be met raises `NoValueError`, and the nearest choice tries its next way."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._nodes = 0

    def value(self, schema: object, name: str, nth: int = 0, depth: int = 0, within: frozenset[str] = _ROOT) -> Any:
        """The `nth` value for `schema`. `name` is what it is called; `within` the references that led here."""
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > MOST_DEPTH:
            raise ApiError(400, "The schema asks for too large a value.", code="invalid_schema")
        if schema is True:
            return name
        if not isinstance(schema, dict):
            raise NoValueError(f"`{name}` has no schema")
        if "$ref" in schema or "allOf" in schema:
            schema, within = self._resolve(schema, name, within)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list):
            return _pick(schema, name, nth)
        for keyword in ("anyOf", "oneOf"):
            branches = schema.get(keyword)
            if isinstance(branches, list) and branches:
                rest = {key: value for key, value in schema.items() if key != keyword}
                return self._branch(branches, rest, name, nth, depth, within)
        match _type(schema, nth):
            case "object":
                return self._object(schema, nth, depth, within)
            case "array":
                return self._array(schema, name, nth, depth, within)
            case "string":
                return text(schema, name, nth)
            case "integer":
                return number(schema, nth, whole=True)
            case "number":
                return number(schema, nth, whole=False)
            case "boolean":
                return nth % 2 == 0
            case "null":
                return None
            case other:
                raise NoValueError(f"`{name}` has the unknown type `{other}`")

    def _resolve(
        self, schema: dict[str, Any], name: str, within: frozenset[str]
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """`schema` with its reference and its `allOf` merged into it."""
        while "$ref" in schema or "allOf" in schema:
            self._nodes += 1
            if self._nodes > MOST_NODES:
                raise ApiError(400, "The schema asks for too large a value.", code="invalid_schema")
            schema = dict(schema)
            parts: list[object] = []
            if "$ref" in schema:
                reference = str(schema.pop("$ref"))
                # A value need never hold itself: where one satisfies the schema, one without that does, too.
                if reference in within:
                    raise NoValueError(f"`{reference}` always holds itself")
                within |= {reference}
                parts.append(self._target(reference))
            if "allOf" in schema:
                every = schema.pop("allOf")
                parts.extend(every if isinstance(every, list) else ())
            for part in parts:
                if part is False or not isinstance(part, dict | bool):
                    raise NoValueError(f"`{name}` has no schema")
                if isinstance(part, dict):
                    schema = merge(part, schema)
        return schema, within

    def _target(self, reference: str) -> object:
        if not reference.startswith("#"):
            raise NoValueError(f"`{reference}` is not a reference within the schema")
        found = self._root
        for step in reference[1:].split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                raise NoValueError(f"`{reference}` leads nowhere")
        return found

    def _branch(
        self, branches: list[Any], rest: dict[str, Any], name: str, nth: int, depth: int, within: frozenset[str]
    ) -> Any:
        start = nth % len(branches)
        for branch in branches[start:] + branches[:start]:
            if isinstance(branch, dict):
                branch = {"allOf": [branch], **rest} if rest else branch
            elif branch is True:
                branch = rest
            try:
                return self.value(branch, name, nth, depth + 1, within)
            except NoValueError:
                continue
        raise NoValueError(f"`{name}` has no way that can be met")

    def _object(self, schema: dict[str, Any], nth: int, depth: int, within: frozenset[str]) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        required = [key for key in required if isinstance(key, str)] if isinstance(required, list) else []
        other = schema.get("additionalProperties", True)
        most = size(schema, "maxProperties")
        made: dict[str, Any] = {}
        room = None if most is None else most - len(set(required))
        for key, part in properties.items():
            optional = key not in required
            if optional and room is not None and room <= 0:
                continue
            try:
                made[key] = self.value(part, key, nth, depth + 1, within)
            except NoValueError:
                if not optional:
                    raise
                continue
            if optional and room is not None:
                room -= 1
        for key in required:
            if key not in made:
                made[key] = self.value(other, key, nth, depth + 1, within)
        spare = (f"key{index}" for index in count(1))
        while len(made) < (size(schema, "minProperties") or 0):
            key = next(spare)
            if key not in made:
                made[key] = self.value(other, key, nth, depth + 1, within)
        if most is not None and len(made) > most:
            raise NoValueError("an object needs more properties than it may have")
        return made

    def _array(self, schema: dict[str, Any], name: str, nth: int, depth: int, within: frozenset[str]) -> list[Any]:
        first = schema.get("prefixItems")
        items = schema.get("items", True)
        if isinstance(items, list):
            first, items = items, schema.get("additionalItems", True)
        first = first if isinstance(first, list) else []
        least = size(schema, "minItems") or 0
        most = size(schema, "maxItems")
        wanted = max(least, len(first), 1 if "items" in schema and items is not False else 0)
        if most is not None:
            wanted = min(wanted, most)
        if wanted < least:
            raise NoValueError(f"`{name}` needs more items than it may have")
        differ = schema.get("uniqueItems") is True
        made: list[Any] = []
        seen: set[str] = set()
        while len(made) < wanted:
            part = first[len(made)] if len(made) < len(first) else items
            try:
                item = self._distinct(part, name, nth, depth, within, seen) if differ else None
                made.append(item if differ else self.value(part, name, nth, depth + 1, within))
            except NoValueError:
                if len(made) >= least:
                    break
                raise
        return made

    def _distinct(self, schema: object, name: str, nth: int, depth: int, within: frozenset[str], seen: set[str]) -> Any:
        """A value that is not among `seen`, to which it is added."""
        for other in islice(count(nth + len(seen)), _SPARES):
            value = self.value(schema, name, other, depth + 1, within)
            key = json.dumps(value)
            if key not in seen:
                seen.add(key)
                return value
        raise NoValueError(f"`{name}` has too few different values")


def _type(schema: dict[str, Any], nth: int) -> object:
    """The type to make: the first one named, null only where there is no other."""
    kind = schema.get("type")
    if isinstance(kind, list):
        real = [one for one in kind if one != "null"] or kind
        kind = real[nth % len(real)] if real else "never"
    if kind is None:
        return next((hint for hint, keywords in _HINTS if any(key in schema for key in keywords)), "string")
    return kind


def _pick(schema: dict[str, Any], name: str, nth: int) -> Any:
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    values = [value for value in schema["enum"] if kinds == [None] or any(_is(value, kind) for kind in kinds)]
    if not values:
        raise NoValueError(f"`{name}` has no value to pick")
    return values[nth % len(values)]


def _is(value: object, kind: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(kind, str) and isinstance(value, _TYPES.get(kind, ()))
