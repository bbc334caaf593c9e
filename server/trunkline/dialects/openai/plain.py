"""The commonest shapes of what a request holds, read without an object that knows its path and what is left of it.

Each reader tells whether it read what it was given; what it did not, it leaves as it was, to the general reader, which
would make the same of what these read.
"""

from __future__ import annotations

from typing import Any, Final

from trunkline.dialects.wire import Json, text_of
from trunkline.v1 import content_pb2
from trunkline.v1.content_pb2 import Part, Role

_ROLES: Final[dict[str, Role.ValueType]] = {
    "system": content_pb2.ROLE_SYSTEM,
    "developer": content_pb2.ROLE_DEVELOPER,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
}


def decode_plain_message(fields: dict[str, Json], messages: Any) -> bool:
    """Read a message that holds nothing but a text, or calls or a result beside it, into the field `messages`."""
    word, text = fields.get("role"), fields.get("content")
    if type(word) is not str or type(text) is not str:
        return False
    size = len(fields)
    if word == "tool":
        call_id = fields.get("tool_call_id")
        if size != 3 or type(call_id) is not str:
            return False
        message = messages.add()
        message.role = content_pb2.ROLE_TOOL
        result = message.parts.add().tool_result
        result.tool_call_id = call_id
        result.parts.add().text = text
        return True
    calls = fields.get("tool_calls") if size == 3 and word == "assistant" else None
    if word not in _ROLES or (size != 2 and type(calls) is not list):
        return False
    message = messages.add()
    message.role = _ROLES[word]
    parts = message.parts
    parts.add().text = text
    for call in calls or ():
        if type(call) is not dict or not decode_plain_call(call, parts.add()):
            del messages[-1]
            return False
    return True


def decode_plain_call(fields: dict[str, Json], part: Part) -> bool:
    """Read a call that holds nothing but what every call does into `part`."""
    function = fields.get("function")
    if not (type(function) is dict and len(function) == 2 and len(fields) == 3 and fields.get("type") == "function"):
        return False
    call_id, name, arguments = fields.get("id"), function.get("name"), function.get("arguments")
    if not (type(call_id) is str and type(name) is str and type(arguments) is str):
        return False
    call = part.tool_call
    call.id, call.name, call.arguments_json = call_id, name, arguments
    return True


def decode_plain_tool(fields: dict[str, Json], tools: Any) -> bool:
    """Read a function that holds nothing but its name, description and parameters into the field `tools`."""
    inner = fields.get("function")
    if not (type(inner) is dict and len(inner) == 3 and len(fields) == 2 and fields.get("type") == "function"):
        return False
    name, description, parameters = inner.get("name"), inner.get("description"), inner.get("parameters")
    if not (type(name) is str and type(description) is str and type(parameters) is dict):
        return False
    function = tools.add().function
    function.name, function.description, function.parameters_json = name, description, text_of(parameters)
    return True
