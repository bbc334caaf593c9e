"""Schemas: Google's own, a subset of OpenAPI's with types in upper case, and JSON Schema."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from trunkline.dialects.gemini.names import camel
from trunkline.dialects.wire import Json, dumps, loads
from trunkline.errors import invalid_request

_TYPES: Final = ("", "string", "number", "integer", "boolean", "array", "object", "null")
"""The types of JSON Schema, in the order of Google's numbers for them."""

_FORMATS: Final = frozenset({"date-time", "double", "enum", "float", "int32", "int64"})
"""The formats that Google's schemas know; it refuses others."""

_AS_THEY_ARE: Final = frozenset(
    {
        "default",
        "description",
        "example",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "nullable",
        "pattern",
        "propertyOrdering",
        "required",
        "title",
    }
)
"""Keywords that both languages have with one meaning."""

_COUNTS: Final = frozenset({"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"})
"""Keywords whose numbers Google may write as strings, as they have 64 bits."""

_MOST_CACHED: Final = 16384
"""The longest text whose translation is remembered."""


def to_json_schema(schema: Json) -> Json:
    """One of Google's schemas as JSON Schema. What is no schema stays as it is."""
    if type(schema) is not dict:
        return schema
    camel(schema)
    out: dict[str, Json] = {}
    for key, value in schema.items():
        if key == "type":
            out[key] = _json_type(value)
        elif key == "properties" and type(value) is dict:
            out[key] = {name: to_json_schema(item) for name, item in value.items()}
        elif key == "items":
            out[key] = to_json_schema(value)
        elif key == "anyOf" and type(value) is list:
            out[key] = [to_json_schema(item) for item in value]
        elif key in _COUNTS and type(value) is str and value.isdecimal():
            out[key] = int(value[:18])
        else:
            out[key] = value
    if out.get("nullable") is True:
        if type(out.get("type")) is str:
            del out["nullable"]
            out["type"] = [out["type"], "null"]
        elif type(out.get("anyOf")) is list:
            del out["nullable"]
            out["anyOf"] = [*out["anyOf"], {"type": "null"}]
    return out


def _json_type(value: Json) -> Json:
    if type(value) is str:
        return value.lower()
    if type(value) is int and 0 < value < len(_TYPES):
        return _TYPES[value]
    return value


class Schema(NamedTuple):
    """A schema as JSON text, and whether it is in Google's own language; in JSON Schema otherwise."""

    text: msgspec.Raw
    is_google: bool


def to_google(text: str, path: str, *, ordered: bool) -> Schema:
    """A JSON Schema in Google's own language, or as it is where that cannot say it all.

    Where `ordered`, objects must tell the order of their properties: Google sorts them otherwise. Raises `GatewayError`
    (INVALID_REQUEST) where `text` is no JSON object.
    """
    schema = _remembered(text, ordered) if len(text) <= _MOST_CACHED else _read(text, ordered)
    if schema is None:
        raise invalid_request(f"`{path}` must be the text of a JSON object.", path)
    return schema


def _read(text: str, ordered: bool) -> Schema | None:
    schema = loads(text)
    if not isinstance(schema, dict):
        return None
    google = _google(schema, ordered)
    return Schema(msgspec.Raw(text.encode() if google is None else dumps(google)), google is not None)


_remembered = lru_cache(maxsize=512)(_read)


def _google(schema: Json, ordered: bool) -> dict[str, Json] | None:
    if not isinstance(schema, dict):
        return None
    out: dict[str, Json] = {}
    for key, value in schema.items():
        if key in _AS_THEY_ARE:
            out[key] = value
            continue
        match key:
            case "type":
                known = _put_type(out, value)
            case "properties":
                known = _put_properties(out, value, ordered)
            case "items":
                out[key] = _google(value, ordered)
                known = out[key] is not None
            case "anyOf":
                known = _put_alternatives(out, value, ordered)
            case "enum":
                out[key] = value
                known = isinstance(value, list) and all(type(item) is str for item in value)
            case "format":
                out[key] = value
                known = isinstance(value, str) and value in _FORMATS
            case _:
                known = False
        if not known:
            return None
    return out if _is_whole(out, ordered) else None


def _is_whole(out: dict[str, Json], ordered: bool) -> bool:
    """Whether Google takes the schema: it refuses objects without properties and arrays without items."""
    kind = out.get("type")
    if kind == "OBJECT":
        properties = out.get("properties")
        return properties is not None and (not ordered or len(properties) < 2 or "propertyOrdering" in out)
    if kind == "ARRAY":
        return "items" in out
    return kind is not None or "anyOf" in out


def _put_type(out: dict[str, Json], value: Json) -> bool:
    if isinstance(value, list) and len(value) == 2 and "null" in value:
        value = value[0] if value[1] == "null" else value[1]
        out["nullable"] = True
    if not isinstance(value, str) or value not in _TYPES[1:]:
        return False
    out["type"] = value.upper()
    return True


def _put_properties(out: dict[str, Json], value: Json, ordered: bool) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    properties = {name: _google(item, ordered) for name, item in value.items()}
    out["properties"] = properties
    return None not in properties.values()


def _put_alternatives(out: dict[str, Json], value: Json, ordered: bool) -> bool:
    if not isinstance(value, list):
        return False
    rest = [item for item in value if item != {"type": "null"}]
    if len(rest) != len(value):
        out["nullable"] = True
    alternatives = [_google(item, ordered) for item in rest]
    out["anyOf"] = alternatives
    return bool(alternatives) and None not in alternatives
