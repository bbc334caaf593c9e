"""What Amazon Bedrock refuses of a Converse request, in its own words."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from botocore.session import Session
from botocore.validate import ParamValidator
from fakes import anthropic_rules

Json = dict[str, Any]

ALL = frozenset({"auto", "any", "tool"})
DOCUMENT_NAME = re.compile(r"[A-Za-z0-9_()\[\]-]+(?: [A-Za-z0-9_()\[\]-]+)*")


@dataclass(frozen=True)
class Model:
    """What one model takes."""

    system: bool = True
    tools: bool = True
    choices: frozenset[str] = ALL
    schemas: bool = False
    cache: bool = False
    thinks: bool = False
    images: bool = True


CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-pro-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
TITAN = "amazon.titan-text-express-v1"

MODELS = {
    CLAUDE: Model(schemas=True, cache=True, thinks=True),
    NOVA: Model(cache=True),
    LLAMA: Model(choices=frozenset()),
    TITAN: Model(system=False, tools=False, images=False),
}


class RefusedError(Exception):
    """A request that Bedrock answers with an error of the type `kind`."""

    def __init__(self, message: str, kind: str = "ValidationException", status: int = 400) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


def sign(text: str) -> str:
    """The signature of a block of reasoning with `text`: base64, as Anthropic's are."""
    return base64.b64encode(hmac.new(b"the fake's own", text.encode(), hashlib.sha256).digest()).decode()


def seal(number: int) -> str:
    """What stands for reasoning that is withheld."""
    return base64.b64encode(f"sealed:{number}".encode()).decode()


@cache
def shape_of(operation: str) -> Any:
    """The shape of a request, as the service itself describes it."""
    return Session().get_service_model("bedrock-runtime").operation_model(operation).input_shape


def check(body: Json, name: str) -> None:
    """Raise `RefusedError` where Bedrock would refuse `body` for the model `name`."""
    if name not in MODELS:
        raise RefusedError("The provided model identifier is invalid.")
    model = MODELS[name]
    _check_shape(body, name)
    messages = body["messages"]
    _check_turns(messages)
    for place, block in _blocks(messages):
        _check_block(block, place, model)
    _check_documents(messages)
    _check_calls(messages)
    _check_tools(body, model)
    _check_settings(body, model)
    if model.thinks:
        _check_thinking(body, name)


def _check_shape(body: Json, name: str) -> None:
    shape = shape_of("ConverseStream")
    errors = ParamValidator().validate({**body, "modelId": name}, shape)
    if errors.has_errors():
        raise RefusedError(f"Malformed input request: {errors.generate_report()}", "SerializationException")
    for place, text in _misfits(body, shape, ""):
        raise RefusedError(f"1 validation error detected: Value at '{place}' failed to satisfy constraint: {text}")


def _misfits(value: Any, shape: Any, place: str) -> Iterator[tuple[str, str]]:
    """Where a value is none of those listed, out of bounds, or not of its pattern."""
    limits = shape.metadata
    match shape.type_name:
        case "structure" if not shape.is_document_type:
            for key, inner in value.items():
                yield from _misfits(inner, shape.members[key], f"{place}.{key}" if place else key)
        case "list":
            if not limits.get("min", 0) <= len(value) <= limits.get("max", len(value)):
                yield place, "Member must have length within its bounds"
            for index, inner in enumerate(value):
                yield from _misfits(inner, shape.member, f"{place}.{index}")
        case "string":
            if value not in limits.get("enum", [value]):
                yield place, f"Member must satisfy enum value set: {limits['enum']}"
            if not limits.get("min", 0) <= len(value) <= limits.get("max", len(value)):
                yield place, "Member must have length within its bounds"
            if "pattern" in limits and re.fullmatch(limits["pattern"], value) is None:
                yield place, f"Member must satisfy regular expression pattern: {limits['pattern']}"
        case "integer" | "float":
            if not limits.get("min", value) <= value <= limits.get("max", value):
                yield place, "Member must have value within its bounds"
        case "blob":
            try:
                base64.b64decode(value, validate=True)
            except binascii.Error:
                yield place, "Member must be base64"


def _blocks(messages: list[Json]) -> Iterator[tuple[str, Json]]:
    for index, message in enumerate(messages):
        for number, block in enumerate(message["content"]):
            yield f"messages.{index}.content.{number}", block


def _check_turns(messages: list[Json]) -> None:
    if not messages or messages[0]["role"] != "user":
        raise RefusedError("A conversation must start with a user message. Try again with such a conversation.")
    if any(before["role"] == after["role"] for before, after in pairwise(messages)):
        raise RefusedError("A conversation must alternate between user and assistant roles.")
    for index, message in enumerate(messages):
        if not message["content"]:
            raise RefusedError(f"The content field in the Message object at messages.{index} is empty.")
    last = messages[-1]
    if last["role"] == "assistant":
        raise RefusedError("The model does not support assistant message prefill.")


def _check_block(block: Json, place: str, model: Model) -> None:
    assistant = int(place.split(".")[1]) % 2 == 1
    if len(block) != 1:
        raise RefusedError(f"The ContentBlock object at {place} must set one of the following keys: {set(block)}.")
    kind, inner = next(iter(block.items()))
    if kind == "text" and not inner.strip():
        raise RefusedError(f"The text field in the ContentBlock object at {place} is blank.")
    if kind in ("toolUse", "reasoningContent") and not assistant:
        raise RefusedError(f"{kind} blocks can only be in the assistant's messages ({place}).")
    if kind in ("toolResult", "image", "document", "video") and assistant:
        raise RefusedError(f"{kind} blocks can only be in the user's messages ({place}).")
    if kind in ("image", "document") and not model.images:
        raise RefusedError(f"This model doesn't support the {kind} content block that you provided.")
    if kind == "cachePoint" and not model.cache:
        raise RefusedError("You invoked an unsupported model or your request did not allow prompt caching.")
    if kind == "toolUse" and not isinstance(inner["input"], dict):
        raise RefusedError(f"The format of the value at {place}.toolUse.input is invalid. Provide a json object.")
    if kind == "reasoningContent":
        _check_reasoning(inner, place, model)


def _check_reasoning(inner: Json, place: str, model: Model) -> None:
    if not model.thinks:
        raise RefusedError("This model doesn't support the reasoningContent content block.")
    text = inner.get("reasoningText")
    if text is not None and not hmac.compare_digest(text.get("signature", ""), sign(text["text"])):
        raise RefusedError(f"The model returned the following errors: {place}: Invalid `signature` in `thinking` block")
    redacted = inner.get("redactedContent")
    if redacted is not None and not base64.b64decode(redacted).startswith(b"sealed:"):
        raise RefusedError(
            f"The model returned the following errors: {place}: Invalid `data` in `redacted_thinking` block"
        )


def _check_documents(messages: list[Json]) -> None:
    names: set[str] = set()
    for place, block in _blocks(messages):
        document = block.get("document")
        if document is None:
            continue
        if DOCUMENT_NAME.fullmatch(document["name"]) is None:
            raise RefusedError(f"The document file name at {place} can only contain alphanumeric characters.")
        if document["name"] in names:
            raise RefusedError("Your messages contain duplicate document file names.")
        names.add(document["name"])
        message = messages[int(place.split(".")[1])]
        if not any("text" in beside or "toolResult" in beside for beside in message["content"]):
            raise RefusedError("A text block must be included with documents.")


def _check_calls(messages: list[Json]) -> None:
    """Each call has its result in the next turn, and no result is without its call."""
    wanted: list[str] = []
    for index, message in enumerate(messages):
        found = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if len(found) > len(wanted):
            raise RefusedError(
                f"The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks "
                "of previous turn."
            )
        if sorted(found) != sorted(wanted):
            raise RefusedError(f"Expected toolResult blocks at messages.{index}.content for these Ids: {wanted}")
        wanted = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        if len(set(wanted)) < len(wanted):
            raise RefusedError(f"The toolUse blocks at messages.{index}.content contain duplicate Ids: {wanted}")


def _check_tools(body: Json, model: Model) -> None:
    config = body.get("toolConfig")
    if config is None:
        if any(block.keys() & {"toolUse", "toolResult"} for _, block in _blocks(body["messages"])):
            raise RefusedError("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        return
    if not model.tools:
        raise RefusedError("This model doesn't support tool use.")
    specs = [tool["toolSpec"] for tool in config["tools"] if "toolSpec" in tool]
    names = [spec["name"] for spec in specs]
    if len(set(names)) < len(names):
        raise RefusedError("The tools contain duplicate names.")
    for number, spec in enumerate(specs):
        schema = spec["inputSchema"]["json"]
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise RefusedError(
                f"The value at toolConfig.tools.{number}.toolSpec.inputSchema.json.type must be one of: object."
            )
    choice = next(iter(config.get("toolChoice", {})), None)
    if choice is not None and choice not in model.choices:
        raise RefusedError(f"This model doesn't support the toolConfig.toolChoice.{choice} field.")
    if choice == "tool" and config["toolChoice"]["tool"]["name"] not in names:
        raise RefusedError("The tool of toolConfig.toolChoice.tool is not among the tools.")


def _check_settings(body: Json, model: Model) -> None:
    if "system" in body and not model.system:
        raise RefusedError("This model doesn't support system messages.")
    if "textFormat" in body.get("outputConfig", {}):
        if not model.schemas:
            raise RefusedError("This model doesn't support the outputConfig.textFormat field.")
        schema = json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            raise RefusedError("output_config.format.schema: 'additionalProperties' must be explicitly set to false")
    if any(not word.strip() for word in body.get("inferenceConfig", {}).get("stopSequences", ())):
        raise RefusedError("The model returned the following errors: stop_sequences: each must contain non-whitespace")


def _check_thinking(body: Json, name: str) -> None:
    """As Anthropic holds its models to it."""
    fields = body.get("additionalModelRequestFields", {})
    config = body.get("inferenceConfig", {})
    choice = next(iter(body.get("toolConfig", {}).get("toolChoice", {})), "auto")
    claude = {
        "model": name,
        "max_tokens": config.get("maxTokens", 4096),
        "tool_choice": {"type": choice},
        **fields,
        **({"temperature": config["temperature"]} if "temperature" in config else {}),
    }
    if {"temperature", "topP"} <= config.keys():
        raise RefusedError("`temperature` and `top_p` cannot both be specified for this model.")
    try:
        anthropic_rules.check_thinking(claude)
    except anthropic_rules.RefusedError as error:
        raise RefusedError(f"The model returned the following errors: {error}") from None
