"""The tools of a request, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from trunkline.call import LossKind
from trunkline.dialects.anthropic.objects import typed_object
from trunkline.dialects.anthropic.schema import fit_schema
from trunkline.dialects.bedrock.cache import encode_cache, take_cache
from trunkline.dialects.bedrock.content import kind_of
from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.bedrock.profile import Writing
from trunkline.dialects.known import ToolReader, ToolWriter
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.errors import invalid_request
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Tool, ToolChoice

_MODES: Final[dict[str, ToolChoice.Mode.ValueType]] = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "any": chat_pb2.ToolChoice.MODE_REQUIRED,
}


_WRITER: Final = ToolWriter()


def _decode_tools(wire: Object, request: ChatRequest) -> None:
    config = wire.take_object("toolConfig")
    if config is None:
        return
    tools = request.tools
    for item in config.take_objects("tools", _decode_plain, tools):
        if "cachePoint" in item.fields and take_cache(item.fields, tools[-1] if tools else None):
            continue
        tool = tools.add()
        if type(item.fields.get("toolSpec")) is dict:
            _decode_tool(item, tool)
        else:
            tool.native.dialect = DIALECT
            tool.native.json = text_of(item.fields)
    choice = config.fields.get("toolChoice")
    if type(choice) is dict and len(choice) == 1:
        ((kind, inner),) = choice.items()
        if kind in _MODES and inner == {}:
            config.take("toolChoice")
            request.tool_choice.mode = _MODES[kind]
        elif kind == "tool" and type(inner) is dict and inner.keys() == {"name"} and type(inner["name"]) is str:
            config.take("toolChoice")
            request.tool_choice.name = inner["name"]


TOOLS: Final = ToolReader(_decode_tools, "toolConfig")
"""Reads `toolConfig`. A tool of another form, which the provider runs, is carried verbatim."""


def _decode_tool(wire: Object, tool: Tool) -> None:
    inner = wire.take_object("toolSpec")
    if inner is None:
        return
    function = tool.function
    function.name = inner.need_str("name")
    description = inner.take_str("description")
    if description:
        function.description = description
    schema = inner.take_object("inputSchema")
    if schema is not None and type(schema.fields.get("json")) is dict:
        function.parameters_json = text_of(schema.take("json"))
    strict = inner.take_bool("strict")
    if strict is not None:
        function.strict = strict
    wire.keep(tool.extras, DIALECT)


def _decode_plain(fields: dict[str, Json], tools: Any) -> bool:
    """Read a tool that holds nothing but its name, description and schema, as most do, into `tools`, a repeated field.
    Tells whether this was one."""
    inner = fields.get("toolSpec")
    if not (type(inner) is dict and len(fields) == 1 and len(inner) == 3):
        return False
    schema = inner.get("inputSchema")
    if type(schema) is not dict or len(schema) != 1:
        return False
    name, description, parameters = inner.get("name"), inner.get("description"), schema.get("json")
    if not (type(name) is str and type(description) is str and type(parameters) is dict):
        return False
    function = tools.add().function
    function.name, function.description, function.parameters_json = name, description, text_of(parameters)
    return True


def encode_tools(
    request: ChatRequest, tools: Sequence[Tool], called: Iterable[str], wire: dict[str, Json], to: Writing
) -> None:
    """Write the `tools` of `request` and the choice among them. A tool that another provider runs is left out, and
    noted.

    The API takes no calls without tools: where the caller has none any more, those that were `called` stand for them.
    """
    written: list[Json] = []
    for number, tool in enumerate(tools):
        key, known = _WRITER.find(tool)
        if known is not None:
            written.append(known)
            continue
        block = _WRITER.put(key, tool, _encode_tool(tool, to, number))
        if block is not None:
            written.append(block)
            if tool.HasField("cache"):
                _put_mark(tool, written, to)
    called = list(called)
    if not written and called:
        written = [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in called]
        to.lose("tools", LossKind.APPROXIMATED)
    elif request.tool_choice.mode == chat_pb2.ToolChoice.MODE_NONE and written:
        if called:
            to.lose("tool_choice")
        else:
            # There is no word for it: a model that knows of no tool calls none.
            written = []
            to.lose("tool_choice", LossKind.EMULATED)
    if written:
        wire["toolConfig"] = {"tools": written}
        _encode_choice(request, wire, to)
    elif _is_forced(request):
        to.lose("tool_choice")


def _put_mark(tool: Tool, written: list[Json], to: Writing) -> None:
    if not to.profile.tool_cache:
        to.lose("cache_control")
        return
    mark = encode_cache(tool.cache, to)
    if mark is not None:
        written.append(mark)


def _encode_tool(tool: Tool, to: Writing, number: int) -> Json:
    if tool.HasField("native"):
        path = f"tools[{number}]"
        if tool.native.dialect != DIALECT:
            to.lose(f"{path}.{kind_of(tool.native.json)}")
            return None
        if not isinstance(loads(tool.native.json), dict):
            raise invalid_request(f"`{path}` must be the text of a JSON object.", path)
        return msgspec.Raw(tool.native.json.encode())
    function = tool.function
    spec: dict[str, Json] = {"name": function.name}
    description, parameters = function.description, function.parameters_json
    if description:
        spec["description"] = description
    told = function.HasField("strict")
    strict = told and function.strict
    schema: Json = None if strict else typed_object(parameters)
    if schema is None:
        schema = _schema(parameters, f"tools[{number}]")
    if strict:
        fitted, changed = fit_schema(schema)
        if changed or not to.profile.structured:
            to.lose(f"tools[{number}].function.strict")
        else:
            schema = fitted
            spec["strict"] = True
    elif told and to.profile.structured:
        spec["strict"] = False
    spec["inputSchema"] = {"json": schema}
    wire: dict[str, Json] = {"toolSpec": spec}
    if tool.extras:
        restore(wire, tool.extras, DIALECT)
    return wire


def _schema(text: str, path: str) -> dict[str, Json]:
    """The schema of a tool's arguments, which the API demands and which must say that they are an object."""
    schema = loads(text) if text else {}
    if not isinstance(schema, dict):
        raise invalid_request(f"`{path}.function.parameters` must be an object.", f"{path}.function.parameters")
    return schema if "type" in schema else {"type": "object", **(schema or {"properties": {}})}


def _is_forced(request: ChatRequest) -> bool:
    choice = request.tool_choice
    return choice.WhichOneof("choice") == "name" or choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED


def _encode_choice(request: ChatRequest, wire: dict[str, Json], to: Writing) -> None:
    choice = request.tool_choice
    written: dict[str, Json] = {}
    if choice.WhichOneof("choice") == "name":
        written = {"tool": {"name": choice.name}}
    elif choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED:
        written = {"any": {}}
    elif choice.mode == chat_pb2.ToolChoice.MODE_AUTO and "auto" in to.profile.choices:
        written = {"auto": {}}
    claude = to.profile.claude
    taken = to.profile.choices if claude is None or claude.forced_tools else frozenset({"auto"})
    if "tool" in written and "tool" not in taken and "any" in taken and len(request.tools) == 1:
        written = {"any": {}}
    if not written.keys() <= taken:
        written = {}
        to.lose("tool_choice", LossKind.APPROXIMATED)
    if request.HasField("parallel_tool_calls") and not request.parallel_tool_calls:
        if to.profile.one_call:
            # Anthropic's own setting; the API writes the rest of its object where the choice is made here.
            alone: dict[str, Json] = {"disable_parallel_tool_use": True}
            if not written.keys() - {"auto"}:
                written, alone = {}, {"type": "auto", **alone}
            wire.setdefault("additionalModelRequestFields", {})["tool_choice"] = alone
        else:
            to.lose("parallel_tool_calls")
    if written:
        wire["toolConfig"]["toolChoice"] = written
