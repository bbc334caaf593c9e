"""The tools of a request, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from trunkline.call import LossKind
from trunkline.dialects.anthropic.cache import encode_cache, take_cache
from trunkline.dialects.anthropic.content import kind_of
from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.objects import typed_object
from trunkline.dialects.anthropic.profile import Writing
from trunkline.dialects.anthropic.schema import fit_schema
from trunkline.dialects.known import ToolReader, ToolWriter
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.errors import invalid_request
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Tool, ToolChoice

_MODES: Final[dict[str, ToolChoice.Mode.ValueType]] = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "any": chat_pb2.ToolChoice.MODE_REQUIRED,
    "none": chat_pb2.ToolChoice.MODE_NONE,
}
_MODE_NAMES: Final[dict[int, str]] = {mode: name for name, mode in _MODES.items()}


def _decode_tools(wire: Object, request: ChatRequest) -> None:
    tools = request.tools
    for item in wire.take_objects("tools", _decode_plain_tool, tools):
        _decode_tool(item, tools.add())


TOOLS: Final = ToolReader(_decode_tools)
"""Reads `tools`."""

_WRITER: Final = ToolWriter()


def _decode_tool(wire: Object, tool: Tool) -> None:
    """Read one tool. A tool of a type of its own, which the provider defines, is carried verbatim."""
    kind = wire.fields.get("type")
    if kind not in (None, "custom"):
        tool.native.dialect = DIALECT
        tool.native.json = text_of({"type": wire.need_str("type"), **wire.fields})
        return
    if kind is None:
        wire.take("type")
    function = tool.function
    function.name = wire.need_str("name")
    description = wire.take_str("description")
    if description:
        function.description = description
    schema = wire.take_dict("input_schema")
    if schema is not None:
        function.parameters_json = text_of(schema)
    strict = wire.take_bool("strict")
    if strict is not None:
        function.strict = strict
    if "cache_control" in wire.fields:
        take_cache(wire, tool)
    if wire.fields:
        wire.keep(tool.extras, DIALECT)


def _decode_plain_tool(fields: dict[str, Json], tools: Any) -> bool:
    """Read a tool that holds nothing but its name, description and schema, as most do, into `tools`, a repeated field.
    Tells whether this was one."""
    name, description, schema = fields.get("name"), fields.get("description"), fields.get("input_schema")
    if not (len(fields) == 3 and type(name) is str and type(description) is str and type(schema) is dict):
        return False
    function = tools.add().function
    function.name, function.description, function.parameters_json = name, description, text_of(schema)
    return True


def decode_tool_choice(wire: Object, request: ChatRequest) -> None:
    """Read `tool_choice` and the `disable_parallel_tool_use` in it; a type that is not known stays in the extras."""
    choice = wire.take_object("tool_choice")
    if choice is None:
        return
    kind = choice.fields.get("type")
    if kind == "tool":
        choice.take("type")
        request.tool_choice.name = choice.need_str("name")
    elif isinstance(kind, str) and kind in _MODES:
        choice.take("type")
        request.tool_choice.mode = _MODES[kind]
    elif not isinstance(kind, str):
        choice.need_str("type")
    else:
        return
    disabled = choice.take_bool("disable_parallel_tool_use")
    if disabled is not None:
        request.parallel_tool_calls = not disabled


def encode_tools(request: ChatRequest, tools: Sequence[Tool], wire: dict[str, Json], to: Writing) -> None:
    """Write the `tools` of `request` and the choice among them. A tool that another provider runs is left out, and
    noted."""
    written: list[Json] = []
    for number, tool in enumerate(tools):
        key, block = _WRITER.find(tool)
        if block is None:
            block = _encode_tool(tool, to, number)
            if block is None:
                continue
            block = _WRITER.put(key, tool, block)
        written.append(block)
    if written:
        wire["tools"] = written
        _encode_choice(request, wire, to)
    elif request.tool_choice.WhichOneof("choice") == "name" or (
        request.tool_choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED
    ):
        to.lose("tool_choice")


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
    wire: dict[str, Json] = {"name": function.name}
    description, schema = function.description, function.parameters_json
    if description:
        wire["description"] = description
    told = function.HasField("strict")
    written = None if told and function.strict else typed_object(schema)
    wire["input_schema"] = _schema(schema, f"tools[{number}]") if written is None else written
    if told:
        _encode_strict(tool, wire, to, f"tools[{number}]")
    if tool.HasField("cache"):
        wire["cache_control"] = encode_cache(tool.cache)
    if tool.extras:
        restore(wire, tool.extras, DIALECT)
    return wire


def _schema(text: str, path: str) -> dict[str, Json]:
    """The schema of a tool's arguments, which the API demands and which must say that they are an object."""
    schema = loads(text) if text else {}
    if not isinstance(schema, dict):
        raise invalid_request(f"`{path}.function.parameters` must be an object.", f"{path}.function.parameters")
    return schema if "type" in schema else {"type": "object", **(schema or {"properties": {}})}


def _encode_strict(tool: Tool, wire: dict[str, Json], to: Writing, path: str) -> None:
    """Ask for strictness where the API can compile the schema; it refuses the request otherwise."""
    if not tool.function.strict:
        if to.profile.structured:
            wire["strict"] = False
        return
    fitted, changed = fit_schema(wire["input_schema"])
    if changed or not to.profile.structured:
        to.lose(f"{path}.function.strict")
        return
    wire["strict"] = True
    wire["input_schema"] = fitted


def _encode_choice(request: ChatRequest, wire: dict[str, Json], to: Writing) -> None:
    choice = request.tool_choice
    written: dict[str, Json] = {}
    if choice.WhichOneof("choice") == "name":
        written = {"type": "tool", "name": choice.name}
    elif choice.mode in _MODE_NAMES:
        written = {"type": _MODE_NAMES[choice.mode]}
    if written.get("type") in ("any", "tool") and not to.profile.forced_tools:
        written = {"type": "auto"}
        to.lose("tool_choice", LossKind.APPROXIMATED)
    if request.HasField("parallel_tool_calls") and written.get("type") != "none":
        if not written and not request.parallel_tool_calls:
            written = {"type": "auto"}
        if written:
            written["disable_parallel_tool_use"] = not request.parallel_tool_calls
    if written:
        wire["tool_choice"] = written
