"""The tools of a request, and the choice among them.

A `namespace` holds tools of its own. Each becomes a tool of the contract, under a name that holds both names, so that
other providers can offer it; the namespace is put together again on the way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trunkline.dialects.known import ToolReader, ToolWriter
from trunkline.dialects.responses.extras import DIALECT, ITEM, keep, own
from trunkline.dialects.responses.writing import Writing
from trunkline.dialects.wire import Json, Object, loads, raw, text_of
from trunkline.errors import invalid_request
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Tool, ToolChoice

_MODES: Final[dict[str, ToolChoice.Mode.ValueType]] = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "required": chat_pb2.ToolChoice.MODE_REQUIRED,
}
_MODE_NAMES: Final[dict[int, str]] = {mode: name for name, mode in _MODES.items()}


def flat_name(namespace: str, name: str) -> str:
    """The name of a tool of a namespace where there are no namespaces."""
    return f"{namespace.rstrip('_')}__{name}"


def short_name(namespace: str, name: str) -> str:
    """The name within its namespace of the tool that `flat_name` named."""
    return name.removeprefix(flat_name(namespace, ""))


def namespaces(tools: Iterable[Tool]) -> dict[str, str]:
    """The flat name of each tool that stands in a namespace -> that namespace."""
    found: dict[str, str] = {}
    for tool in tools:
        namespace = _namespace(tool)
        if namespace is not None:
            found[tool.function.name] = namespace["name"]
    return found


def flattened(request: ChatRequest) -> list[int]:
    """The place of the first tool of each namespace."""
    first: dict[str, int] = {}
    for index, tool in enumerate(request.tools):
        namespace = _namespace(tool)
        if namespace is not None:
            first.setdefault(namespace["name"], index)
    return list(first.values())


def _namespace(tool: Tool) -> dict[str, Json] | None:
    return _namespace_of(own(tool.extras)) if tool.extras else None


def _namespace_of(kept: dict[str, Json]) -> dict[str, Json] | None:
    item = kept.get(ITEM)
    namespace = item.get("namespace") if isinstance(item, dict) else None
    return namespace if isinstance(namespace, dict) and isinstance(namespace.get("name"), str) else None


def _decode_tools(wire: Object, request: ChatRequest) -> None:
    tools = request.tools
    for tool in wire.take_objects("tools", _decode_plain, tools):
        kind = tool.fields.get("type")
        if kind == "function":
            _decode_function(tool, tools.add(), {})
        elif kind == "namespace" and _is_plain(tool.fields):
            name = tool.need_str("name")
            inner = list(tool.take_objects("tools"))
            tool.take("type")
            for one in inner:
                function = request.tools.add()
                _decode_function(one, function, {"namespace": {"name": name, **tool.fields}})
                function.function.name = flat_name(name, function.function.name)
        else:
            if not isinstance(kind, str):
                tool.need_str("type")
            native = request.tools.add().native
            native.dialect = DIALECT
            native.json = text_of(tool.fields)


TOOLS: Final = ToolReader(_decode_tools)
"""Reads `tools`."""

_WRITER: Final = ToolWriter(strict=True)


def _decode_plain(fields: dict[str, Json], tools: Any) -> bool:
    """Read a function that holds nothing but its name, description, parameters and strictness, as most do, into
    `tools`, a repeated field. Tells whether this was one."""
    name, parameters, strict = fields.get("name"), fields.get("parameters"), fields.get("strict")
    if not (len(fields) == 5 and type(strict) is bool and type(parameters) is dict and type(name) is str):
        return False
    description = fields.get("description")
    if fields.get("type") != "function" or type(description) is not str:
        return False
    function = tools.add().function
    function.name, function.description, function.parameters_json = name, description, text_of(parameters)
    function.strict = strict
    return True


def _is_plain(namespace: Mapping[str, Json]) -> bool:
    tools = namespace.get("tools")
    return (
        isinstance(tools, list)
        and bool(tools)
        and all(isinstance(tool, dict) and tool.get("type") == "function" for tool in tools)
    )


def _decode_function(wire: Object, tool: Tool, item: dict[str, Json]) -> None:
    wire.take("type")
    function = tool.function
    function.name = wire.need_str("name")
    description = wire.take_str("description")
    if description:
        function.description = description
    parameters = wire.take_dict("parameters")
    if parameters is not None:
        function.parameters_json = text_of(parameters)
    strict = wire.take_bool("strict")
    if strict is None:
        # Where it is absent the API decides by itself, which is not what the other formats mean by it.
        item = {**item, "strict": None}
    else:
        function.strict = strict
    if item or wire.fields:
        keep(wire, tool.extras, item or ...)


def encode_tools(tools: Sequence[Tool], to: Writing) -> list[Json]:
    """Write `tools`. A tool that another provider runs is left out, and noted."""
    wires: list[Json] = []
    last: dict[str, Json] | None = None
    for index, tool in enumerate(tools):
        if tool.HasField("cache"):
            to.lose("cache_control")
        if tool.HasField("native"):
            if tool.native.dialect == DIALECT:
                wires.append(loads(tool.native.json))
            else:
                block = loads(tool.native.json)
                kind = block.get("type") if isinstance(block, dict) else None
                to.lose(f"tools[{index}].{kind or tool.native.dialect}")
            last = None
            continue
        if not tool.extras:
            key, function = _WRITER.find(tool)
            if function is None:
                function = _WRITER.put(key, tool, _encode_function(tool, {}, index))
            wires.append(function)
            last = None
            continue
        kept = own(tool.extras)
        namespace = _namespace_of(kept)
        wire = _encode_function(tool, kept, index)
        if namespace is None:
            wires.append(wire)
        else:
            wire["name"] = short_name(namespace["name"], tool.function.name)
            if namespace != last:
                wires.append({"type": "namespace", **namespace, "tools": []})
            wires[-1]["tools"].append(wire)
        last = namespace
    return wires


def _encode_function(tool: Tool, kept: dict[str, Json], index: int) -> dict[str, Json]:
    function = tool.function
    wire: dict[str, Json] = {"type": "function", "name": function.name}
    description, parameters = function.description, function.parameters_json
    if description:
        wire["description"] = description
    wire["parameters"] = (
        raw(parameters, "tools[%d].function.parameters_json", index)
        if parameters
        else {"type": "object", "properties": {}}
    )
    if function.HasField("strict"):
        wire["strict"] = function.strict
    if not kept:
        wire.setdefault("strict", False)
        return wire
    item = kept.pop(ITEM, None)
    if not (isinstance(item, dict) and "strict" in item):
        wire.setdefault("strict", False)
    return {**kept, **wire}


def decode_choice(wire: Object, request: ChatRequest) -> None:
    """Read `tool_choice`. A form that the contract does not model, such as a choice among several, stays."""
    choice = wire.fields.get("tool_choice")
    if isinstance(choice, str) and choice in _MODES:
        del wire.fields["tool_choice"]
        request.tool_choice.mode = _MODES[choice]
    elif isinstance(choice, dict):
        if choice.get("type") == "function" and choice.keys() == {"type", "name"}:
            inner = wire.take_object("tool_choice")
            if inner is not None:
                inner.take("type")
                request.tool_choice.name = inner.need_str("name")
    elif choice is not None:
        names = ", ".join(f"`{name}`" for name in _MODES)
        raise invalid_request(f"`tool_choice` must be one of {names} or an object.", "tool_choice")


def encode_choice(choice: ToolChoice, wire: dict[str, Json]) -> None:
    """Write `tool_choice`."""
    if choice.WhichOneof("choice") == "name":
        wire["tool_choice"] = {"type": "function", "name": choice.name}
    elif choice.mode in _MODE_NAMES:
        wire["tool_choice"] = _MODE_NAMES[choice.mode]
