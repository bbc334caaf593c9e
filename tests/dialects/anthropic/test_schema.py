"""Answers in a form: JSON Schemas within what the API compiles."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from dialects.anthropic.asking import ADAPTIVE, MANUAL, written
from dialects.anthropic.cases import load
from hypothesis import given
from hypothesis import strategies as st

from trunkline.call import LossKind
from trunkline.dialects.anthropic.schema import fit_schema
from trunkline.dialects.wire import text_of
from trunkline.v1.chat_pb2 import JsonObject, JsonSchema, ResponseFormat

CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "integer"}, "minItems": 1}},
    "required": ["a"],
    "additionalProperties": False,
}


def form(schema: Any) -> ResponseFormat:
    """A response format that asks for `schema`."""
    return ResponseFormat(json_schema=JsonSchema(name="x", schema_json=text_of(schema)))


@pytest.mark.parametrize("model", [MANUAL, ADAPTIVE])
def test_schemas_are_native_where_the_model_has_them(model: str) -> None:
    """A model that holds its answer to a schema is given it as it is."""
    wire, losses = written(model=model, response_format=form(CLOSED))
    assert wire["output_config"] == {"format": {"type": "json_schema", "schema": CLOSED}}
    assert losses == {}


@pytest.mark.parametrize(
    ("model", "wanted"), [("claude-sonnet-4-0", form(CLOSED)), (MANUAL, ResponseFormat(json_object=JsonObject()))]
)
def test_forms_that_are_not_native_are_named(model: str, wanted: ResponseFormat) -> None:
    """A form that the model does not know is left out here, and named."""
    wire, losses = written(model=model, response_format=wanted)
    assert "output_config" not in wire
    assert losses == {"response_format": LossKind.DROPPED}


def test_what_cannot_be_compiled_is_told_in_words() -> None:
    """Constraints that the API refuses are told in the description, which is noted."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "description": "A count."}},
        "additionalProperties": {"type": "string"},
    }
    wire, losses = written(response_format=form(schema))
    fitted = wire["output_config"]["format"]["schema"]
    assert fitted["properties"]["n"] == {"type": "integer", "description": 'A count.\n\n{"minimum":1}'}
    assert fitted["additionalProperties"] is False
    assert fitted["description"] == '{"additionalProperties":{"type":"string"}}'
    assert losses == {"response_format.json_schema.schema": LossKind.APPROXIMATED}


def test_open_objects_are_closed_at_every_depth() -> None:
    """An object that the schema leaves open is closed, as the API demands; that is no loss."""
    schema = {
        "$defs": {"x": {"type": "object", "properties": {}}},
        "anyOf": [{"$ref": "#/$defs/x"}, {"type": ["object", "null"], "properties": {"y": {"type": "object"}}}],
    }
    fitted, changed = fit_schema(schema)
    assert not changed
    assert fitted["$defs"]["x"]["additionalProperties"] is False
    assert fitted["anyOf"][1]["additionalProperties"] is False
    assert fitted["anyOf"][1]["properties"]["y"]["additionalProperties"] is False


def test_names_of_properties_are_no_keywords() -> None:
    """A property that is called like a keyword stays a property."""
    schema = {**CLOSED, "properties": {"minimum": {"type": "string"}, "not": {"type": "string"}}}
    assert fit_schema(schema) == (schema, False)


LEAVES = st.sampled_from([{"type": "string"}, {"type": "integer"}, {"enum": ["a", 1, None]}, {"const": 5}, True])
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda fields: {"type": "object", "properties": fields, "additionalProperties": False},
            st.dictionaries(st.sampled_from(["a", "minimum", "type", "items"]), inner, max_size=3),
        ),
        inner.map(lambda item: {"type": "array", "items": item}),
        st.lists(inner, min_size=1, max_size=2).map(lambda items: {"anyOf": items}),
    ),
    max_leaves=6,
)


@given(SCHEMAS)
def test_a_schema_that_the_api_takes_is_left_alone(schema: Any) -> None:
    """Fitting changes nothing where nothing needs it."""
    assert fit_schema(schema) == (schema, False)


@given(SCHEMAS, st.integers(1, 9))
def test_fitting_is_final_and_valid(schema: Any, bound: int) -> None:
    """What was fitted needs no fitting again, and is a JSON Schema."""
    fitted, changed = fit_schema({"type": "array", "items": schema, "maxItems": bound})
    assert changed
    assert fit_schema(fitted) == (fitted, False)
    jsonschema.Draft202012Validator.check_schema(load(text_of(fitted).encode()))
