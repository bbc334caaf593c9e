"""JSON made from a schema satisfies the schema."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.providers.sim.errors import ApiError
from trunkline.providers.sim.schema import MOST_NODES, json_for


def _made(schema: object) -> Any:
    return json.loads(json_for(schema, "response_format"))


def _numbers() -> st.SearchStrategy[dict[str, Any]]:
    number = st.integers(-50, 50)
    return st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": number,
            "exclusiveMinimum": number,
            "maximum": number.map(lambda high: high + 200),
            "exclusiveMaximum": number.map(lambda high: high + 200),
            "multipleOf": st.sampled_from([1, 2, 7, 0.5]),
        },
    )


def _texts() -> st.SearchStrategy[dict[str, Any]]:
    # Not `time`: the checker knows that of an old draft, without an offset.
    formats = st.sampled_from(["date", "date-time", "duration", "email", "hostname", "uri", "uuid", "ipv4", "ipv6"])
    bounds = {"minLength": st.integers(0, 10), "maxLength": st.integers(10, 20)}
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("string"), "format": formats}),
        st.fixed_dictionaries({"type": st.just("string")}, optional=bounds),
    )


def _leaves() -> st.SearchStrategy[Any]:
    return st.one_of(
        _numbers(),
        _texts(),
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.just({}),
        st.just(True),
        st.builds(lambda value: {"const": value}, st.none() | st.integers() | st.text()),
        st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(), min_size=1)),
        st.just({"type": ["string", "null"]}),
        st.just({"$ref": "#/$defs/leaf"}),
        st.just({"$ref": "#/$defs/tree"}),
    )


def _inner(child: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b", "c", "d/~"])
    objects = st.builds(
        lambda properties, required: {"type": "object", "properties": properties, "required": sorted(required)},
        st.dictionaries(names, child, max_size=3),
        st.sets(names, max_size=3),
    )
    arrays = st.builds(
        lambda items, least: {"type": "array", "items": items, "minItems": least, "maxItems": least + 1},
        child,
        st.integers(0, 2),
    )
    return st.one_of(
        objects,
        arrays,
        st.builds(lambda items: {"type": "array", "prefixItems": items, "items": False}, st.lists(child, max_size=3)),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(child, min_size=1, max_size=3)),
        st.builds(lambda part: {"allOf": [part], "description": "merged"}, child),
    )


_DEFS = {
    "leaf": {"type": "integer", "minimum": 3},
    "tree": {
        "type": "object",
        "properties": {"left": {"$ref": "#/$defs/tree"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
        "required": ["kids"],
    },
}


@settings(max_examples=300)
@given(st.recursive(_leaves(), _inner, max_leaves=8))
def test_the_value_satisfies_the_schema(schema: Any) -> None:
    """Whatever the keywords that are read are combined to, the validator agrees, and twice gives the same."""
    root = {"$defs": _DEFS, "allOf": [schema]}
    made = _made(root)
    jsonschema.Draft202012Validator(root, format_checker=jsonschema.FormatChecker()).validate(made)
    assert _made(root) == made


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "object", "properties": {"city": {"type": "string"}}}, {"city": "city"}),
        ({"properties": {"n": {"type": "integer"}}}, {"n": 1}),
        ({"type": "number", "minimum": 0.25, "maximum": 0.5}, 0.375),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 0.05, "multipleOf": 0.1}, 0.1),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": True}, 6),
        ({"type": "string", "minLength": 6, "maxLength": 6}, "textxx"),
        ({"type": "string", "format": "date"}, "2025-01-01"),
        ({"type": "string", "format": "date", "maxLength": 4}, "text"),
        ({"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
        ({"type": "array", "items": {"$ref": "#"}}, []),
        ({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2}, {"key1": 1, "key2": 1}),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"], "maxProperties": 1}, {"b": "b"}),
        ({"type": ["null", "string"]}, "text"),
        ({"type": ["null"]}, None),
        ({"const": 2**70}, 2**70),
        ({"anyOf": [False, {"type": "boolean"}]}, True),
        ({"allOf": [{"type": "number", "minimum": 2}, {"type": "integer", "minimum": 5}]}, 5),
    ],
)
def test_values(schema: object, made: object) -> None:
    """The value is the plain one that a reader would expect."""
    assert _made(schema) == made


def test_a_list_that_holds_itself_ends() -> None:
    """A recursive schema gives the shortest value."""
    node = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
        "required": ["value", "next"],
    }
    assert _made({"$ref": "#/$defs/node", "$defs": {"node": node}}) == {"value": 1, "next": None}


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "sometimes"},
        {"type": []},
        {"enum": []},
        {"type": "integer", "enum": ["a", True]},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#"},
        {"$ref": 5},
        {"allOf": [{"$ref": "#"}]},
        {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"type": "object", "required": ["a", "b"], "maxProperties": 1},
        {"type": "object", "minProperties": MOST_NODES + 1},
        {"type": "array", "items": {"const": 1}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "minItems": MOST_NODES + 1},
        {"type": "array", "minItems": 2, "maxItems": 1},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "minLength": 2, "maxLength": 1},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
        {"type": "number", "minimum": 1, "exclusiveMaximum": 1},
        {"type": "number", "exclusiveMinimum": 10**400, "exclusiveMaximum": 10**400 + 1},
    ],
)
def test_what_nothing_satisfies_is_refused(schema: object) -> None:
    """A schema without a value, or with too large a one, is an error of the request."""
    with pytest.raises(ApiError) as caught:
        json_for(schema, "response_format")
    assert caught.value.status == 400


def test_a_schema_that_doubles_at_each_level_is_refused() -> None:
    """A small schema for an enormous value costs neither memory nor time."""
    defs = {
        f"level{level}": {"type": "array", "items": {"$ref": f"#/$defs/level{level + 1}"}, "minItems": 10}
        for level in range(50)
    }
    with pytest.raises(ApiError, match="too large"):
        json_for({"$defs": {**defs, "level50": {}}, "$ref": "#/$defs/level0"}, "tools")


def test_a_deep_schema_is_refused() -> None:
    """Depth is bounded well before the interpreter's own limit."""
    schema: dict[str, Any] = {}
    for _ in range(500):
        schema = {"type": "array", "items": schema, "minItems": 1}
    with pytest.raises(ApiError, match="too large"):
        json_for(schema, "tools")


_KEYWORDS = st.sampled_from(
    [
        "$ref",
        "allOf",
        "anyOf",
        "oneOf",
        "const",
        "enum",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "minProperties",
        "maxProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minLength",
        "maxLength",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "a",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(_KEYWORDS, child, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KEYWORDS, _JSON, max_size=6))
def test_keywords_of_any_type_are_borne(schema: dict[str, Any]) -> None:
    """Nonsense under any keyword gives a value or an error of the request, and nothing else."""
    with contextlib.suppress(ApiError):
        json.loads(json_for(schema, "tools"))
