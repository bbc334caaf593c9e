"""Sampling, schemas and reasoning: the settings of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dialects.gemini.cases import read_request, user, write_request

from trunkline.call import Loss, LossKind
from trunkline.dialects.gemini.schema import to_google, to_json_schema
from trunkline.dialects.wire import text_of
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, JsonSchema, ReasoningConfig, ResponseFormat, Sampling


def config_of(request: ChatRequest, model: str = "gemini-3-flash") -> tuple[Any, list[Loss]]:
    """The `generationConfig` that is written for `model`, and what it could not take."""
    request.messages.add(role=3).parts.add().text = "Hi"
    losses: list[Loss] = []
    return write_request(request, model, losses).get("generationConfig", {}), losses


def request_of(config: dict[str, Any]) -> ChatRequest:
    """What is read of a `generationConfig`."""
    return read_request({"contents": [user({"text": "Hi"})], "generationConfig": config})


def test_sampling() -> None:
    """Every setting that Gemini has is written, and read as it was."""
    request = ChatRequest(
        sampling=Sampling(temperature=0.5, top_p=0.9, top_k=5, frequency_penalty=1, presence_penalty=-1, seed=7),
        max_output_tokens=100,
        stop_sequences=["END"],
        choice_count=2,
        top_logprobs=3,
    )
    config, losses = config_of(request)
    assert config == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 5,
        "frequencyPenalty": 1,
        "presencePenalty": -1,
        "seed": 7,
        "candidateCount": 2,
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert losses == []
    again = request_of({**config, "topK": 5.0})
    assert (again.sampling, again.choice_count, again.top_logprobs) == (request.sampling, 2, 3)


def test_unknown_settings_are_kept() -> None:
    """What the contract does not model comes back where it was."""
    config = {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "1:1"}, "logprobs": 2, "topP": 0.5}
    assert write_request(request_of(config))["generationConfig"] == config


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"responseMimeType": "application/json"}, "json_object"),
        ({"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}}, "json_schema"),
        ({"responseMimeType": "application/json", "responseJsonSchema": {"const": 1}}, "json_schema"),
        ({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}, None),
        ({"responseMimeType": "text/plain"}, None),
    ],
)
def test_forms_of_answer(config: dict[str, Any], kind: str | None) -> None:
    """JSON, with a schema or without, is the contract's; other media types stay Gemini's own."""
    request = request_of(config)
    assert request.response_format.WhichOneof("kind") == kind
    plain = config["responseMimeType"] == "text/plain"
    assert write_request(request).get("generationConfig", {}) == ({} if plain else config)


def test_description_of_a_schema() -> None:
    """What the answer is for is told within the schema, where it tells nothing itself."""
    for schema, told in (({"const": 1}, "Why."), ({"const": 1, "description": "Own."}, "Own.")):
        form = ResponseFormat(json_schema=JsonSchema(name="n", description="Why.", schema_json=text_of(schema)))
        config, losses = config_of(ChatRequest(response_format=form))
        assert config["responseJsonSchema"] == {**schema, "description": told}
        assert losses == []


@pytest.mark.parametrize("text", ["[]", "{", "1"])
def test_schema_must_be_an_object(text: str) -> None:
    """What is no schema is refused by its field."""
    form = ResponseFormat(json_schema=JsonSchema(schema_json=text))
    with pytest.raises(GatewayError) as caught:
        config_of(ChatRequest(response_format=form))
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST


BOTH = [
    ({"type": "STRING", "description": "d", "nullable": True}, {"type": ["string", "null"], "description": "d"}),
    ({"type": "STRING", "enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    ({"type": "STRING", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    (
        {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": 1},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
    ),
    (
        {"type": "OBJECT", "properties": {"type": {"type": "NUMBER"}}, "required": ["type"]},
        {"type": "object", "properties": {"type": {"type": "number"}}, "required": ["type"]},
    ),
    (
        {"anyOf": [{"type": "STRING"}, {"type": "BOOLEAN"}], "nullable": True},
        {"anyOf": [{"type": "string"}, {"type": "boolean"}, {"type": "null"}]},
    ),
]


@pytest.mark.parametrize(("google", "standard"), BOTH)
def test_schemas_that_both_languages_say(google: dict[str, Any], standard: dict[str, Any]) -> None:
    """Google's schema and JSON Schema translate into one another, properties named `type` included."""
    assert to_json_schema(json.loads(json.dumps(google))) == standard
    written = to_google(text_of(standard), "schema", ordered=False)
    assert written.is_google
    assert json.loads(bytes(written.text)) == google


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
        {"type": "object", "properties": {}},
        {"type": "object"},
        {"type": "array"},
        {"type": ["string", "integer"]},
        {"type": "string", "format": "uri"},
        {"type": "integer", "enum": [1, 2]},
        {"oneOf": [{"type": "string"}]},
        {"anyOf": []},
        {"const": 1},
        {},
        {"type": "array", "items": {"type": "array"}},
        {"type": "object", "properties": {"a": True}},
    ],
)
def test_schemas_that_google_cannot_say(schema: dict[str, Any]) -> None:
    """What Google's own language lacks goes as JSON Schema, unchanged."""
    written = to_google(text_of(schema), "schema", ordered=False)
    assert not written.is_google
    assert json.loads(bytes(written.text)) == schema


def test_order_of_properties() -> None:
    """An answer's properties keep their order: Google sorts those of its own schemas, unless it is told the order."""
    schema = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}
    assert not to_google(text_of(schema), "schema", ordered=True).is_google
    assert to_google(text_of({**schema, "propertyOrdering": ["b", "a"]}), "schema", ordered=True).is_google
    assert to_google(text_of(schema), "schema", ordered=False).is_google


def test_schemas_of_numbers_and_texts() -> None:
    """Types by number and counts as strings, which protobuf's JSON allows, are read."""
    assert to_json_schema({"type": 6, "properties": {"a": {"type": 5, "min_items": "2", "items": {"type": 1}}}}) == {
        "type": "object",
        "properties": {"a": {"type": "array", "minItems": 2, "items": {"type": "string"}}},
    }
    assert to_json_schema({"type": 99, "items": 1}) == {"type": 99, "items": 1}


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({"thinkingLevel": "low"}, ReasoningConfig(effort="low", summary="none")),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, ReasoningConfig(effort="high", summary="auto")),
        ({"thinkingBudget": 1024}, ReasoningConfig(budget_tokens=1024, summary="none")),
        ({"thinkingBudget": 0}, ReasoningConfig(enabled=False, summary="none")),
        ({"thinkingBudget": -1}, ReasoningConfig(enabled=True, summary="none")),
        ({"includeThoughts": True}, ReasoningConfig(summary="auto")),
    ],
)
def test_thinking_is_read(config: dict[str, Any], reasoning: ReasoningConfig) -> None:
    """Each way to tell how much to think has its place in the contract."""
    assert request_of({"thinkingConfig": config}).reasoning == reasoning


SHOWN = {"includeThoughts": True}


@pytest.mark.parametrize(
    ("model", "reasoning", "config", "losses"),
    [
        ("gemini-3-flash", {"effort": "low"}, {"thinkingLevel": "LOW", **SHOWN}, []),
        ("gemini-3.1-pro", {"effort": "none"}, {"thinkingLevel": "MINIMAL"}, [LossKind.APPROXIMATED]),
        ("gemini-3-flash", {"effort": "max"}, {"thinkingLevel": "HIGH", **SHOWN}, [LossKind.APPROXIMATED]),
        ("gemini-3-flash", {"effort": "newer"}, {"thinkingLevel": "NEWER", **SHOWN}, []),
        ("gemini-3-flash", {"budget_tokens": 2000}, {"thinkingBudget": 2000, **SHOWN}, []),
        ("gemini-3-flash", {"effort": "low", "budget_tokens": 9}, {"thinkingLevel": "LOW", **SHOWN}, []),
        ("gemini-2.5-flash", {"effort": "low"}, {"thinkingBudget": 1024, **SHOWN}, []),
        ("gemini-2.5-flash", {"effort": "low", "summary": "none"}, {"thinkingBudget": 1024}, []),
        ("gemini-2.5-flash", {"effort": "none"}, {"thinkingBudget": 0}, []),
        ("gemini-2.5-flash", {"enabled": False}, {"thinkingBudget": 0}, []),
        ("gemini-2.5-flash", {"enabled": True}, {"thinkingBudget": -1, **SHOWN}, []),
        ("gemini-2.5-flash", {"effort": "max"}, {"thinkingBudget": 24576, **SHOWN}, []),
        ("gemini-2.5-flash", {"effort": "newer"}, SHOWN, [LossKind.DROPPED]),
        ("gemini-2.5-flash", {"budget_tokens": 99999}, {"thinkingBudget": 24576, **SHOWN}, [LossKind.APPROXIMATED]),
        ("gemini-2.5-flash-lite", {"budget_tokens": 100}, {"thinkingBudget": 512, **SHOWN}, [LossKind.APPROXIMATED]),
        ("gemini-2.5-pro", {"effort": "none"}, {"thinkingBudget": 128}, [LossKind.APPROXIMATED]),
        ("gemini-2.5-flash-image", {"effort": "low"}, {}, [LossKind.DROPPED]),
        ("gemini-2.0-flash", {"effort": "low"}, {}, [LossKind.DROPPED]),
        ("gemini-2.0-flash", {"effort": "none"}, {}, []),
        ("gemma-3-27b", {"effort": "low"}, {}, [LossKind.DROPPED]),
        ("gemini-flash-latest", {"effort": "high"}, {"thinkingBudget": 24576, **SHOWN}, []),
        ("google/gemini-2.5-flash", {"effort": "low"}, {"thinkingBudget": 1024, **SHOWN}, []),
    ],
)
def test_thinking_is_written(
    model: str, reasoning: dict[str, Any], config: dict[str, Any], losses: list[LossKind]
) -> None:
    """Each model is told in its own way, within its own bounds, and what it cannot do is reported."""
    written, lost = config_of(ChatRequest(reasoning=ReasoningConfig(**reasoning)), model)
    assert written.get("thinkingConfig", {}) == config
    assert [loss.kind for loss in lost] == losses
