"""How a target is brought to answer in JSON, and the request that asks it to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError, invalid_request
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ResponseFormat

Structured = Literal["native", "schema", "json_object", "tool", "instruction"]
"""What a target has of its own: `native` both JSON mode and JSON Schema, `schema` the latter alone, `json_object` the
former alone, `tool` tools that can be forced, `instruction` none of these."""

Way = Literal["json_object", "tool", "instruction"]

_SYSTEM: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)
_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """One request of which the form of the answer is emulated.

    `request` is to be sent in place of it; `tool` is the name of the tool by which the model answers, empty where it
    answers in text. The answer must match `schema`, None where any JSON object will do.
    """

    request: ChatRequest
    tool: str
    schema: Json


def plan_of(request: ChatRequest, has: Structured) -> Plan | None:
    """How `request` is answered in the form that it asks for; None where the target needs no help.

    Raises `GatewayError` (INVALID_REQUEST) where the schema is no JSON object.
    """
    form = request.response_format
    kind = form.WhichOneof("kind")
    if kind is None or has == "native":
        return None
    schema = _schema(form)
    if has == ("json_object" if schema is None else "schema"):
        return None
    own = ChatRequest()
    own.CopyFrom(request)
    own.ClearField("response_format")
    way = _way(request, has, schema)
    if way == "tool":
        return Plan(own, _ask_by_tool(own, form), schema)
    if way == "json_object":
        own.response_format.json_object.SetInParent()
    _instruct(own, _in_text(form, schema))
    return Plan(own, "", schema)


def _way(request: ChatRequest, has: Structured, schema: Json) -> Way:
    if has == "json_object":
        return "json_object" if _is_object(schema) else "instruction"
    if has != "tool" or not _is_object(schema):
        return "instruction"
    if request.HasField("reasoning") and not _is_off(request):
        # A model that reasons cannot be forced to call a tool.
        return "instruction"
    if request.tool_choice.name or request.tool_choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED:
        # The caller forces another one.
        return "instruction"
    return "tool"


def _is_off(request: ChatRequest) -> bool:
    config = request.reasoning
    return config.effort == "none" or (config.HasField("enabled") and not config.enabled)


def _is_object(schema: Json) -> bool:
    """Whether every answer that matches is a JSON object, as the arguments of a tool are."""
    return schema is not None and schema.get("type") == "object"


def _schema(form: ResponseFormat) -> Json:
    text = form.json_schema.schema_json
    if not text:
        return None
    path = "response_format.json_schema.schema_json"
    try:
        schema = loads(text)
    except GatewayError as error:
        raise invalid_request(error.message, path) from None
    if not isinstance(schema, dict):
        raise invalid_request(f"`{path}` must be the text of a JSON object.", path)
    return schema


def _ask_by_tool(request: ChatRequest, form: ResponseFormat) -> str:
    """Add the tool that the answer is given by, and have it called. Gives its name."""
    taken = {tool.function.name for tool in request.tools}
    name = _NAME.sub("_", form.json_schema.name)[:_MOST_NAME] or "answer"
    while name in taken:
        name += "_"
    others = bool(request.tools) and request.tool_choice.mode != chat_pb2.ToolChoice.MODE_NONE
    function = request.tools.add().function
    function.name = name
    function.description = form.json_schema.description or "Gives the final answer."
    function.parameters_json = form.json_schema.schema_json
    if form.json_schema.HasField("strict"):
        function.strict = form.json_schema.strict
    if others:
        request.tool_choice.mode = chat_pb2.ToolChoice.MODE_REQUIRED
        _instruct(request, f"When you are ready to answer, give the final answer by calling the tool `{name}`.")
    else:
        request.tool_choice.name = name
    return name


def _in_text(form: ResponseFormat, schema: Json) -> str:
    """What the model is told; servers with a JSON mode want the word JSON in it."""
    if schema is None:
        return "Answer with one JSON object and nothing else: no explanation, no code fence."
    what = f" ({form.json_schema.description})" if form.json_schema.description else ""
    return (
        f"Answer with one JSON value{what} and nothing else: no explanation, no code fence. "
        f"It must match this JSON Schema:\n{form.json_schema.schema_json}"
    )


def _instruct(request: ChatRequest, text: str) -> None:
    """Put an instruction behind those that the conversation begins with."""
    messages = list(request.messages)
    place = next((index for index, message in enumerate(messages) if message.role not in _SYSTEM), len(messages))
    own = content_pb2.Message(role=content_pb2.ROLE_SYSTEM, parts=[content_pb2.Part(text=text)])
    request.ClearField("messages")
    request.messages.extend([*messages[:place], own, *messages[place:]])
