"""What OpenAI refuses in a request for Responses."""

from __future__ import annotations

import hashlib
from typing import Any, get_type_hints

from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter, ValidationError

Json = dict[str, Any]

_KNOWN = frozenset(get_type_hints(ResponseCreateParamsStreaming)) | {"client_metadata"}  # Codex sends it
_REQUEST: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsStreaming)
_MODELS = ("gpt-", "o", "codex-", "computer-")
_SAYABLE = {"assistant": ("output_text", "refusal")}
_ASKABLE = ("input_text", "input_image", "input_file")
_ANSWERS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}


class RefusedError(Exception):
    """A request is refused, with OpenAI's status, code and words."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


def seal(reasoning_id: str) -> str:
    """The encrypted content of a reasoning item."""
    return "gAAAA" + hashlib.sha256(reasoning_id.encode()).hexdigest()


def items_of(body: Json) -> list[Json]:
    """The items of a request."""
    given = body["input"]
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def check(body: Json) -> None:
    """Raise `RefusedError` where OpenAI would refuse `body`."""
    for key in body:
        if key not in _KNOWN:
            raise RefusedError(f"Unknown parameter: '{key}'.", key, "unknown_parameter")
    for key in ("model", "input"):
        if not body.get(key):
            raise RefusedError(f"Missing required parameter: '{key}'.", key, "missing_required_parameter")
    if not body["model"].startswith(_MODELS):
        raise RefusedError(f"The requested model '{body['model']}' does not exist.", "model", "model_not_found")
    if body["model"].startswith("gpt-4") and "reasoning.encrypted_content" in (body.get("include") or ()):
        raise RefusedError("Encrypted content is not supported with this model.", "include")
    for index, tool in enumerate(body.get("tools") or ()):
        if tool["type"] == "function" and tool.get("strict"):
            _check_strict(tool.get("parameters"), f"tools[{index}].parameters")
    items = items_of(body)
    _check_turns(items)
    _check_calls(items)
    _check_reasoning(items, stored=body.get("store", True))
    try:
        _REQUEST.validate_python({"stream": True, **body, "input": [_typed(item) for item in items]})
    except ValidationError as error:
        first = error.errors()[0]
        raise RefusedError(f"Invalid value: {first['loc']}: {first['msg']}", "input", "invalid_value") from None


def _typed(item: Json) -> Json:
    """An item as the types have it, which ask for more of an assistant's message than the API does."""
    if item.get("role") == "assistant" and isinstance(item.get("content"), list):
        content = [{"annotations": [], **part} for part in item["content"]]
        return {"type": "message", "id": "msg_0", "status": "completed", **item, "content": content}
    return item


def _check_strict(schema: Any, path: str) -> None:
    if not isinstance(schema, dict) or schema.get("additionalProperties") is not False:
        raise RefusedError(
            "Invalid schema for function: 'additionalProperties' is required to be supplied and to be false.",
            path,
            "invalid_function_parameters",
        )


def _check_turns(items: list[Json]) -> None:
    for index, item in enumerate(items):
        content = item.get("content")
        if item.get("type", "message") != "message" or not isinstance(content, list):
            continue
        allowed = (
            ("output_text", "refusal") if item["role"] == "assistant" else ("input_text", "input_image", "input_file")
        )
        for place, part in enumerate(content):
            if part["type"] not in allowed:
                where = f"input[{index}].content[{place}]"
                raise RefusedError(
                    f"Invalid value: '{part['type']}'. Supported values are: {allowed}.", where, "invalid_value"
                )


def _check_calls(items: list[Json]) -> None:
    open_calls: dict[str, str] = {}
    for item in items:
        kind = item.get("type")
        if kind in _ANSWERS.values():
            open_calls[item["call_id"]] = kind
        elif kind in _ANSWERS and open_calls.pop(item["call_id"], None) != _ANSWERS[kind]:
            raise RefusedError(f"No tool call found for {kind} with call_id {item['call_id']}.", "input")
    for call_id in open_calls:
        raise RefusedError(f"No tool output found for function call {call_id}.", "input")


def _check_reasoning(items: list[Json], *, stored: bool) -> None:
    for index, item in enumerate(items):
        if item.get("type") != "reasoning":
            continue
        given = item["id"]
        if item.get("encrypted_content") is None and not stored:
            raise RefusedError(
                f"Item with id '{given}' not found. Items are not persisted when `store` is set to false.",
                "input",
                status=404,
            )
        if item.get("encrypted_content") not in (None, seal(given)):
            raise RefusedError(
                f"The encrypted content for item {given} could not be verified.", code="invalid_encrypted_content"
            )
        following = items[index + 1 :]
        if not following or (
            following[0].get("role", "assistant") != "assistant" or str(following[0].get("type")).endswith("_output")
        ):
            raise RefusedError(
                f"Item '{given}' of type 'reasoning' was provided without its required following item.", "input"
            )
