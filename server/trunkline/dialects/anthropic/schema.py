"""JSON Schemas within what the API compiles."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Json, text_of

_UNSUPPORTED: Final = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "contains",
        "minContains",
        "maxContains",
        "if",
        "then",
        "else",
        "not",
    }
)
"""Keywords that the API refuses where it must hold an answer to the schema."""

_MAPS: Final = ("properties", "$defs", "definitions")
_LISTS: Final = ("anyOf", "allOf")


def fit_schema(schema: Json) -> tuple[Json, bool]:
    """`schema` with what the API cannot compile told in the descriptions instead, for the model to read; and whether
    there was any. Objects are closed where the schema leaves it open, as the API demands: every answer that it then
    gives fits the schema as it was."""
    if not isinstance(schema, dict):
        return schema, False
    fitted: dict[str, Json] = {}
    told: dict[str, Json] = {}
    changed = False
    for key, value in schema.items():
        if key in _UNSUPPORTED or (key == "minItems" and value not in (0, 1)):
            told[key] = value
        elif key in _MAPS and isinstance(value, dict):
            inner = {name: fit_schema(item) for name, item in value.items()}
            fitted[key] = {name: item for name, (item, _) in inner.items()}
            changed = changed or any(one for _, one in inner.values())
        elif (key in _LISTS or key == "oneOf") and isinstance(value, list):
            items = [fit_schema(item) for item in value]
            fitted["anyOf" if key == "oneOf" else key] = [item for item, _ in items]
            changed = changed or key == "oneOf" or any(one for _, one in items)
        elif key == "items":
            fitted[key], one = fit_schema(value)
            changed = changed or one
        elif key == "additionalProperties" and value is not False:
            told.update({key: value} if value is not True else {})
        else:
            fitted[key] = value
    if _is_object(schema):
        fitted["additionalProperties"] = False
    if told:
        description = fitted.get("description")
        hint = text_of(told)
        fitted["description"] = f"{description}\n\n{hint}" if isinstance(description, str) else hint
    return fitted, changed or bool(told)


def _is_object(schema: dict[str, Json]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)
