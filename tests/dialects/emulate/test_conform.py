"""Our check of an answer against a schema: held to the library `jsonschema`, and bounded whatever the schema says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft7Validator, Draft202012Validator, validator_for

from trunkline.dialects.emulate import conform
from trunkline.dialects.emulate.conform import mismatch
from trunkline.dialects.emulate.schema import flaw, sorts_of

NAMES = st.sampled_from(["a", "b", "c d", "e/f~%25", ""])
NUMBERS = st.one_of(
    st.integers(-3, 5), st.sampled_from([0.0, -0.0, 1.0, 1.5, 2.0, -2.5, 1e300, 2**53, 2.0**53, 10**30, 1e30])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text("ab\U0001f600", max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
TYPES = st.sampled_from(["object", "array", "string", "boolean", "null", "number", "integer"])
COUNTS = st.integers(0, 3)

# Every keyword that is checked, and for which the library is told the same.
KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
    "const": VALUES,
    "enum": st.lists(VALUES, max_size=3),
    "minimum": NUMBERS,
    "maximum": NUMBERS,
    "exclusiveMinimum": NUMBERS,
    "exclusiveMaximum": NUMBERS,
    "multipleOf": st.integers(1, 4),
    "minLength": COUNTS,
    "maxLength": COUNTS,
    "minItems": COUNTS,
    "maxItems": COUNTS,
    "minProperties": COUNTS,
    "maxProperties": COUNTS,
    "uniqueItems": st.booleans(),
    "required": st.lists(NAMES, max_size=2, unique=True),
    "$ref": st.sampled_from(["#/$defs/a", "#/$defs/b", "#/$defs/c%20d", "#/$defs/a/anyOf/0"]),
}
# What is passed over: with it, whatever the library accepts must still be accepted.
PASSED: dict[str, st.SearchStrategy[Any]] = {
    "pattern": st.sampled_from(["^a", "b$"]),
    "format": st.sampled_from(["date", "email"]),
    "$anchor": st.just("here"),
    "dependentRequired": st.just({"a": ["b"]}),
}


def schemas(keywords: dict[str, st.SearchStrategy[Any]], more: bool) -> st.SearchStrategy[Any]:
    """Schemas of `keywords`, and of those that hold schemas."""

    def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        nested: dict[str, st.SearchStrategy[Any]] = {
            "items": inner,
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "additionalProperties": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "allOf": st.lists(inner, min_size=1, max_size=2),
        }
        if more:
            nested |= {
                "oneOf": st.lists(inner, min_size=1, max_size=3),
                "not": inner,
                "if": inner,
                "then": inner,
                "else": inner,
                "contains": inner,
                "propertyNames": inner,
                "patternProperties": st.dictionaries(st.just("^a"), inner, max_size=1),
                "unevaluatedProperties": inner,
            }
        return some(keywords | nested)

    return st.recursive(st.booleans() | some(keywords), larger, max_leaves=6)


def some(keywords: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Objects with a few of `keywords`."""
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))


# Where no definition refers to another, references cannot run in circles, in which the library would be lost.
PLAIN = {name: strategy for name, strategy in KNOWN.items() if name != "$ref"}


def whole(root: st.SearchStrategy[Any], inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A schema with definitions to refer to."""
    definitions = st.fixed_dictionaries({"a": inner, "b": inner, "c d": inner})
    return st.builds(
        lambda top, found: {**(top if isinstance(top, dict) else {}), "$defs": found}, root, definitions
    ).filter(_refers_well)


def _refers_well(schema: Any) -> bool:
    a = schema["$defs"]["a"]
    return "#/$defs/a/anyOf/0" not in json.dumps(schema) or (isinstance(a, dict) and "anyOf" in a)


@given(whole(schemas(KNOWN, more=False), schemas(PLAIN, more=False)), VALUES)
def test_what_is_checked_is_judged_as_the_library_judges(schema: Any, value: Any) -> None:
    """For the keywords that it knows, the check accepts and refuses what `jsonschema` accepts and refuses."""
    assert flaw(schema) is None
    assert (mismatch(value, schema) is None) == Draft202012Validator(schema).is_valid(value)


@given(whole(schemas(KNOWN | PASSED, more=True), schemas(PLAIN | PASSED, more=True)), VALUES, st.booleans())
def test_what_the_library_accepts_is_accepted(schema: Any, value: Any, old: bool) -> None:
    """Whatever else a schema holds, and whatever version it is of, nothing is refused wrongly."""
    if old:
        schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    assert flaw(schema) is None
    if validator_for(schema, Draft202012Validator)(schema).is_valid(value):
        assert mismatch(value, schema) is None
        assert _sort(value) in sorts_of(schema)


def _sort(value: Any) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


@pytest.mark.parametrize(
    ("value", "schema", "told"),
    [
        (
            {"items": [{}]},
            {"properties": {"items": {"items": {"required": ["name"]}}}},
            "`$.items[0].name` is required",
        ),
        ({"b": 1}, {"additionalProperties": False}, "`$.b` must not be there"),
        (1.5, {"type": "integer"}, "`$` must be of type integer"),
        ([True, 1], {"const": [1, True]}, "`$` must be the constant of the schema"),
        ({"a": 3}, {"properties": {"a": {"enum": [1, 2]}}}, "`$.a` must be one of the values of the schema"),
        ([1, 1.0], {"uniqueItems": True}, "`$` must not hold the same item twice"),
        ("x", {"anyOf": [{"type": "null"}, {"minLength": 2}]}, "`$` matches no schema of `anyOf`"),
        ({"k" * 900: 1}, {"additionalProperties": False}, f"`$.{'k' * 64}` must not be there"),
    ],
)
def test_what_is_told(value: Any, schema: Any, told: str) -> None:
    """The place and the rule, in few words, and nothing of the value."""
    assert mismatch(value, schema) == told


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "other.json#/$defs/a"},
        {"$ref": "#named"},
        {"$ref": "#/$defs/absent"},
        {"$dynamicRef": "#node"},
        {"$defs": {"a": {"$id": "https://x.test/", "$ref": "#/$defs/b"}, "b": {"type": "null"}}, "$ref": "#/$defs/a"},
        {"pattern": "(a+)+$"},
        {"oneOf": [True, True]},
        {"not": {}},
    ],
)
def test_what_is_passed_over(schema: Any) -> None:
    """Of what cannot be told, or not soon, nothing is refused."""
    assert mismatch("a" * 40 + "!", schema) is None


def nested(depth: int, key: str) -> Any:
    """A schema as deep as `depth`."""
    schema: Any = {"type": "string"}
    for _ in range(depth):
        schema = {key: [schema] if key == "anyOf" else schema}
    return schema


HOSTILE: dict[str, Any] = {
    "itself": {"$ref": "#"},
    "itself in a choice": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"type": "null"}]},
    "in a circle": {
        "$ref": "#/$defs/0",
        "$defs": {str(number): {"allOf": [{"$ref": f"#/$defs/{(number + 1) % 500}"}] * 2} for number in range(500)},
    },
    "doubling": {
        "$ref": "#/$defs/0",
        "$defs": {
            str(number): {"anyOf": [{"$ref": f"#/$defs/{number + 1}"}, {"$ref": f"#/$defs/{number + 1}"}]}
            for number in range(60)
        }
        | {"60": {"type": "null"}},
    },
    "doubling inwards": {"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"items": {"$ref": "#/$defs/n"}}] * 9}}},
    "many values": {"items": {"enum": ["x" * 1000 + str(number) for number in range(2000)]}},
    "many names": {"required": ["a"] * 100_000, "items": {"required": ["a"] * 100_000}},
    "deep choices": nested(250, "anyOf"),
    "deep items": nested(250, "items"),
    "a long reference": {"items": {"$ref": "#/" + "a/" * 100_000}},
    "a long constant": {"anyOf": [{"const": "x" * 100_000}] * 1000},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_schemas_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a schema multiplies itself, the places that are looked at stay within the bound, and none is an error."""
    spent = 0
    spend: Callable[[conform._Check, int], None] = conform._Check._spend

    def counting(check: conform._Check, steps: int) -> None:
        nonlocal spent
        spent += min(steps, 1)
        spend(check, steps)

    monkeypatch.setattr(conform._Check, "_spend", counting)
    deep: Any = []
    for _ in range(250):
        deep = [deep, deep[:0]]
    for value in (1, {"a": 1}, deep, [{"a": 1}] * 5000, ["x" * 1000] * 2000, "x" * 100_000):
        spent = 0
        assert flaw(HOSTILE[name]) is None
        sorts_of(HOSTILE[name])
        mismatch(value, HOSTILE[name])
        assert spent <= 50_001


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ([], "`$` must be a schema"),
        ({"type": "text"}, "`$.type` must be one of"),
        ({"type": ["string", 1]}, "`$.type`"),
        ({"type": {}}, "`$.type`"),
        ({"properties": []}, "`$.properties` must be an object"),
        ({"properties": {"age": 3}}, "`$.properties.age` must be a schema"),
        ({"properties": {"age": {"minimum": "0"}}}, "`$.properties.age.minimum` must be a number"),
        ({"required": "name"}, "`$.required` must be a list of names"),
        ({"required": [["name"]]}, "`$.required`"),
        ({"anyOf": {}}, "`$.anyOf` must be a list"),
        ({"anyOf": [{}, {"items": 1}]}, "`$.anyOf[1].items` must be a schema"),
        ({"enum": "a"}, "`$.enum` must be a list"),
        ({"$ref": 1}, "`$.$ref` must be a string"),
        ({"maxLength": True}, "`$.maxLength`"),
    ],
)
def test_what_is_no_schema(schema: Any, told: str) -> None:
    """The place is named, and what should stand there."""
    found = flaw(schema)
    assert found is not None
    assert found.startswith(told)
    assert not isinstance(schema, dict) or not _sound(schema)


def _sound(schema: Any) -> bool:
    return Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"items": [{"type": "string"}], "additionalItems": False},
        {"exclusiveMinimum": True, "minimum": 0},
        {"properties": {"a": {"required": True}}},
        {"x-vendor": 1, "example": {"type": 3}},
    ],
)
def test_older_schemas_pass(schema: Any) -> None:
    """What only older versions allow is no flaw, nor are keywords of others."""
    assert flaw(schema) is None
    assert mismatch([1], schema) is None


def test_a_flaw_is_looked_for_only_so_long() -> None:
    """A schema with very many places is not walked to its end."""
    assert flaw({"anyOf": [{} for _ in range(100_000)] + [3]}) is None


@given(VALUES)
@settings(max_examples=50)
def test_versions_without_neighbours_of_references(value: Any) -> None:
    """Up to draft 7, what stands beside `$ref` does not count."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/a",
        "type": "null",
        "definitions": {"a": {"type": ["object", "array", "string"]}},
    }
    assert (mismatch(value, schema) is None) == Draft7Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "sorts"),
    [
        ({}, {"object", "array", "string", "number", "boolean", "null"}),
        ({"type": "object"}, {"object"}),
        ({"type": ["integer", "null"]}, {"number", "null"}),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}, {"object"}),
        ({"anyOf": [{"type": "object"}, {"type": "array"}]}, {"object", "array"}),
        ({"allOf": [{"type": ["object", "array"]}, {"type": ["array", "string"]}]}, {"array"}),
        ({"enum": ["a", 1, None]}, {"string", "number", "null"}),
        ({"const": True}, {"boolean"}),
        ({"$ref": "#"}, {"object", "array", "string", "number", "boolean", "null"}),
    ],
)
def test_sorts(schema: Any, sorts: set[str]) -> None:
    """What type an answer can be of, where the schema tells."""
    assert sorts_of(schema) == sorts
