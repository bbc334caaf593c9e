"""The tools of a request, and whether the model must call one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trunkline.dialects.gemini.names import DIALECT, block_name, camel
from trunkline.dialects.gemini.profile import Writing
from trunkline.dialects.gemini.schema import to_google, to_json_schema
from trunkline.dialects.known import ToolReader, ToolWriter
from trunkline.dialects.wire import Json, Object, raw, restore, text_of
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Tool, ToolChoice

_MODES: Final[dict[str, ToolChoice.Mode.ValueType]] = {
    "AUTO": chat_pb2.ToolChoice.MODE_AUTO,
    "ANY": chat_pb2.ToolChoice.MODE_REQUIRED,
    "NONE": chat_pb2.ToolChoice.MODE_NONE,
}
_MODE_NAMES: Final[dict[int, str]] = {mode: name for name, mode in _MODES.items()}


def _decode_tools(wire: Object, request: ChatRequest) -> None:
    tools = request.tools
    wire.put_into_array("tools")
    for item in wire.take_objects("tools"):
        camel(item.fields)
        item.put_into_array("functionDeclarations")
        for function in item.take_objects("functionDeclarations", _decode_plain, tools):
            _decode_function(function, tools.add())
        for name, options in item.fields.items():
            native = request.tools.add().native
            native.dialect = DIALECT
            native.json = text_of({name: options})


TOOLS: Final = ToolReader(_decode_tools)
"""Reads `tools`: each declared function is a tool, and so is each key that names one that Google runs."""

_WRITER: Final = ToolWriter()


def _decode_function(wire: Object, tool: Tool) -> None:
    fields = wire.fields
    camel(fields)
    function = tool.function
    function.name = wire.need_str("name")
    description = wire.take_str("description")
    if description:
        function.description = description
    if type(fields.get("parametersJsonSchema")) is dict:
        function.parameters_json = text_of(fields.pop("parametersJsonSchema"))
    else:
        parameters = wire.take_dict("parameters")
        if parameters is not None:
            function.parameters_json = text_of(to_json_schema(parameters))
    if fields:
        wire.keep(tool.extras, DIALECT)


def _decode_plain(fields: dict[str, Json], tools: Any) -> bool:
    """Read a function that holds nothing but its name, description and JSON Schema, as most do, into `tools`, a
    repeated field. Tells whether this was one."""
    name, description, schema = fields.get("name"), fields.get("description"), fields.get("parametersJsonSchema")
    if not (len(fields) == 3 and type(name) is str and type(description) is str and type(schema) is dict):
        return False
    function = tools.add().function
    function.name, function.description, function.parameters_json = name, description, text_of(schema)
    return True


def encode_tools(tools: Sequence[Tool], to: Writing) -> list[Json]:
    """Write `tools`. All functions are in one tool, as Google takes several tools only where it runs them."""
    wires: list[Json] = []
    functions: list[Json] = []
    for index, tool in enumerate(tools):
        key, known = _WRITER.find(tool)
        if known is None and tool.HasField("native"):
            if tool.native.dialect == DIALECT:
                wires.append(raw(tool.native.json, f"tools[{index}].native.json"))
            else:
                to.lose(f"tools[{index}].{block_name(tool.native)}")
            continue
        if not functions:
            wires.append({"functionDeclarations": functions})
        if known is None:
            known = _WRITER.put(key, tool, _encode_function(tool, to, index))
        functions.append(known)
    return wires


def _encode_function(tool: Tool, to: Writing, index: int) -> dict[str, Json]:
    function = tool.function
    # Gemini 2 wants a description, if an empty one.
    wire: dict[str, Json] = {"name": function.name, "description": function.description}
    parameters = function.parameters_json
    if parameters:
        schema = to_google(parameters, f"tools[{index}].function.parameters_json", ordered=False)
        wire["parameters" if schema.is_google else "parametersJsonSchema"] = schema.text
    if function.strict:
        to.lose(f"tools[{index}].function.strict")
    if tool.HasField("cache"):
        to.lose("cache_control")
    if tool.extras:
        restore(wire, tool.extras, DIALECT)
    return wire


def decode_choice(wire: Object, request: ChatRequest) -> None:
    """Read `toolConfig`. What the contract has no word for, such as `VALIDATED`, stays where it is."""
    outer = wire.take_object("toolConfig")
    if outer is None:
        return
    camel(outer.fields)
    config = outer.take_object("functionCallingConfig")
    if config is None:
        return
    camel(config.fields)
    mode = config.fields.get("mode")
    if not isinstance(mode, str) or mode.upper() not in _MODES:
        return
    config.take("mode")
    names = config.fields.get("allowedFunctionNames")
    if mode.upper() == "ANY" and isinstance(names, list) and len(names) == 1 and isinstance(names[0], str):
        config.take("allowedFunctionNames")
        request.tool_choice.name = names[0]
    else:
        request.tool_choice.mode = _MODES[mode.upper()]


def encode_choice(request: ChatRequest, tools: Sequence[Tool], wire: dict[str, Json], to: Writing) -> None:
    """Write `toolConfig`, for the `tools` of `request`. Google refuses it where there is no function to choose."""
    if request.HasField("parallel_tool_calls") and not request.parallel_tool_calls:
        to.lose("parallel_tool_calls")
    choice = request.tool_choice
    if not any(tool.HasField("function") for tool in tools):
        return
    if choice.WhichOneof("choice") == "name":
        config: dict[str, Json] = {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    elif choice.mode in _MODE_NAMES:
        config = {"mode": _MODE_NAMES[choice.mode]}
    else:
        return
    wire["toolConfig"] = {"functionCallingConfig": config}
