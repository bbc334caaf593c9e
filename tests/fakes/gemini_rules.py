"""What Google refuses, as the fake checks it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from google.genai import types
from pydantic import TypeAdapter, ValidationError

PASSING = frozenset(
    {
        "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv",
        "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
    }
)
"""The signatures by which Google lets pass calls that it did not make."""

FIELDS: dict[str, TypeAdapter[Any]] = {
    "contents": TypeAdapter(list[types.Content]),
    "systemInstruction": TypeAdapter(types.Content),
    "tools": TypeAdapter(list[types.Tool]),
    "toolConfig": TypeAdapter(types.ToolConfig),
    "generationConfig": TypeAdapter(types.GenerationConfig),
    "safetySettings": TypeAdapter(list[types.SafetySetting]),
    "cachedContent": TypeAdapter(str),
    "serviceTier": TypeAdapter(str),
    "labels": TypeAdapter(dict[str, str]),
}


def refusal(body: Any, model: str, issued: Collection[str]) -> str | None:
    """Why Google refuses a request to `model`, having `issued` these signatures; None where it does not."""
    if not isinstance(body, dict):
        return "Invalid JSON payload received."
    for key, value in body.items():
        if key not in FIELDS:
            return f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.'
        try:
            FIELDS[key].validate_python(value)
        except ValidationError as error:
            return f"Invalid value at '{key}': {error.errors()[0]['msg']}"
    if not body.get("contents"):
        return "* GenerateContentRequest.contents: contents is not specified"
    return (
        _contents(body["contents"], model, issued)
        or _settings(body.get("generationConfig", {}), model)
        or _tools(body, model)
    )


def _contents(contents: list[Any], model: str, issued: Collection[str]) -> str | None:
    calls = 0
    for place, content in enumerate(contents):
        if content.get("role") not in ("user", "model"):
            return "Please use a valid role: user, model."
        parts = content.get("parts") or []
        if not parts or not all(parts):
            return f"* GenerateContentRequest.contents[{place}].parts: contents.parts must not be empty."
        results = sum("functionResponse" in part for part in parts)
        if results != calls and (results or calls):
            return (
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        called = [part for part in parts if "functionCall" in part]
        calls = len(called)
        if calls and content["role"] != "model":
            return "Please ensure that function call turn comes immediately after a user turn."
        for part in parts:
            signature = part.get("thoughtSignature")
            if signature is not None and signature not in issued and signature not in PASSING:
                return "Corrupted thought signature."
            if "functionResponse" in part and not part["functionResponse"].get("name"):
                return "Name cannot be empty."
            if "functionResponse" in part and "parts" in part["functionResponse"] and "gemini-3" not in model:
                return "Multimodal function responses are not supported for this model."
        if called and "gemini-3" in model and "thoughtSignature" not in called[0]:
            return "Function call is missing a thought_signature in functionCall parts."
    return None


def _settings(config: dict[str, Any], model: str) -> str | None:
    thinking = config.get("thinkingConfig", {})
    if "thinkingLevel" in thinking and "gemini-3" not in model:
        return "Thinking level is not supported for this model."
    if {"thinkingLevel", "thinkingBudget"} <= thinking.keys():
        return "You can only set only one of thinking budget and thinking level."
    if thinking and "gemini-2.0" in model:
        return "Thinking is not supported by this model."
    if "responseSchema" in config and _empty_object(config["responseSchema"]):
        return "* GenerateContentRequest.generation_config.response_schema.properties: should be non-empty"
    return None


def _tools(body: dict[str, Any], model: str) -> str | None:
    functions = [function for tool in body.get("tools", []) for function in tool.get("functionDeclarations", [])]
    if "functionCallingConfig" in body.get("toolConfig", {}) and not functions:
        return "Function calling config is set without function_declarations."
    if any(_empty_object(function.get("parameters", {})) for function in functions):
        return "parameters.properties: should be non-empty for OBJECT type"
    return None


def _empty_object(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "OBJECT" and not schema.get("properties")
