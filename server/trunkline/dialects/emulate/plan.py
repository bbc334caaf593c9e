"""How a target is brought to answer in JSON, and the request that asks it to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from trunkline.dialects.emulate.schema import flaw, sorts_of
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
_OBJECT: Final = frozenset({"object"})

_HEALING: Final = "response-healing"
"""The plugin that mends answers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One request of which the form of the answer is emulated.

    `request` is to be sent in place of it; `tool` is the name of the tool by which the model answers, empty where it
    answers in text. The answer must match `schema`, None where any JSON object will do; it is of one of the `sorts`,
    which are types of JSON. A `lenient` one is not checked, and its text stays whole: it is mended later.
    """

    request: ChatRequest
    tool: str
    schema: Json
    sorts: frozenset[str]
    lenient: bool = False


def plan_of(request: ChatRequest, has: Structured) -> Plan | None:
    """How `request` is answered in the form that it asks for; None where the target needs no help.

    Raises `GatewayError` (INVALID_REQUEST) where the schema is none.
    """
    form = request.response_format
    kind = form.WhichOneof("kind")
    if kind is None or has == "native":
        return None
    schema = _schema(form)
    if has == ("json_object" if schema is None else "schema"):
        return None
    sorts = _OBJECT if schema is None else sorts_of(schema)
    lenient = any(plugin.id == _HEALING and plugin.enabled for plugin in request.plugins)
    own = ChatRequest()
    own.CopyFrom(request)
    own.ClearField("response_format")
    way = _way(request, has, schema, sorts)
    if way == "tool":
        return Plan(own, _ask_by_tool(own, form), schema, _OBJECT, lenient)
    if way == "json_object":
        own.response_format.json_object.SetInParent()
    _instruct(own, _in_text(form, schema, sorts))
    return Plan(own, "", schema, sorts, lenient)


def _way(request: ChatRequest, has: Structured, schema: Json, sorts: frozenset[str]) -> Way:
    if has == "json_object":
        return "json_object" if sorts == _OBJECT else "instruction"
    # The schema of a tool's arguments must say at its top that they are an object.
    if has != "tool" or schema is None or schema.get("type") != "object":
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


def _schema(form: ResponseFormat) -> Json:
    text = form.json_schema.schema_json
    if not text:
        return None
    path = "response_format.json_schema.schema_json"
    try:
        schema = loads(text)
    except GatewayError as error:
        raise invalid_request(f"`{path}` cannot be read. {error.message}", path) from None
    if not isinstance(schema, dict):
        raise invalid_request(f"`{path}` must be the text of a JSON object.", path)
    wrong = flaw(schema)
    if wrong is not None:
        raise invalid_request(f"`{path}` is no JSON Schema: {wrong}.", path)
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
    if others:
        request.tool_choice.mode = chat_pb2.ToolChoice.MODE_REQUIRED
        _instruct(request, f"When you are ready to answer, give the final answer by calling the tool `{name}`.")
    else:
        request.tool_choice.name = name
    return name


def _in_text(form: ResponseFormat, schema: Json, sorts: frozenset[str]) -> str:
    """What the model is told; servers with a JSON mode want the word JSON in it."""
    what = "object" if sorts == _OBJECT else "value"
    if form.json_schema.description:
        what += f" ({form.json_schema.description})"
    text = f"Answer with one JSON {what} and nothing else: no explanation, no code fence."
    return text if schema is None else f"{text} It must match this JSON Schema:\n{form.json_schema.schema_json}"


def _instruct(request: ChatRequest, text: str) -> None:
    """Put an instruction behind those that the conversation begins with, and behind what is cached of them.

    It becomes part of the last of them, as the chat templates of many models take one system message alone.
    """
    messages = request.messages
    place = next((index for index, message in enumerate(messages) if message.role not in _SYSTEM), len(messages))
    if not place:
        messages.insert(0, content_pb2.Message(role=content_pb2.ROLE_SYSTEM, parts=[content_pb2.Part(text=text)]))
        return
    parts = messages[place - 1].parts
    if parts and parts[-1].text and not parts[-1].HasField("cache") and not parts[-1].extras:
        parts[-1].text += f"\n\n{text}"
    else:
        parts.add(text=text)
