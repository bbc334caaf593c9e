"""Tool calls."""

from __future__ import annotations

from trunkline.dialects.custom import CUSTOM, marked_by
from trunkline.dialects.openai.content import DIALECT, decode_opaque
from trunkline.dialects.openai.extra_content import put_foreign, take_foreign
from trunkline.dialects.openai.plain import decode_plain_call
from trunkline.dialects.wire import Json, Object, restore, text_of
from trunkline.errors import invalid_request
from trunkline.v1.content_pb2 import Part, ToolCall


def decode_call(wire: Object, part: Part) -> None:
    """Read one tool call. A call of another type than `function` and `custom` is carried verbatim."""
    if decode_plain_call(wire.fields, part) or _decode_custom(wire, part):
        return
    if wire.fields.get("type") not in (None, "", "function"):
        if wire.lenient:
            wire.fields.setdefault("id", "")
        else:
            wire.check_str("type")
            wire.check_str("id")
        decode_opaque(wire, part)
        return
    wire.take("type")
    part.tool_call.id = wire.take_str("id") or ""
    function = wire.take_object("function")
    if function is not None:
        decode_function(function, part.tool_call)
    elif not wire.lenient:
        raise invalid_request(f"`{wire.at('function')}` is required.", wire.at("function"))
    # The place among the calls of a streamed answer, which clients leave in the message that they build of it.
    wire.take_int("index")
    take_foreign(wire, part.extras)
    wire.keep(part.extras, DIALECT)


def _decode_custom(wire: Object, part: Part) -> bool:
    """Read the call of a custom tool, which is called with a text. Tells whether this was one."""
    inner = wire.fields.get(CUSTOM)
    if wire.fields.get("type") != CUSTOM or type(inner) is not dict or type(inner.get("name")) is not str:
        return False
    call = part.tool_call
    call.id = wire.take_str("id") or ""
    custom = wire.take_object(CUSTOM)
    if custom is not None:
        call.name = custom.need_str("name")
        call.arguments_json = custom.take_str("input") or ""
    wire.take_int("index")
    take_foreign(wire, part.extras)
    wire.keep(part.extras, DIALECT)  # with the type, which is the mark of such a call
    return True


def decode_function(wire: Object, call: ToolCall) -> None:
    """Read the name and the arguments of a call."""
    call.name = wire.need_str("name")
    call.arguments_json = take_arguments(wire)


def take_arguments(wire: Object) -> str:
    """The arguments of a call; some servers write them as an object, or not at all."""
    if type(wire.fields.get("arguments")) is dict:
        return text_of(wire.take("arguments"))
    return wire.take_str("arguments") or ""


def encode_call(part: Part) -> dict[str, Json]:
    """Write one tool call for a server."""
    wire = _encode_call(part)
    if part.extras:
        restore(wire, part.extras, DIALECT)
    return wire


def encode_answered_call(part: Part) -> dict[str, Json]:
    """Write one tool call for a client, with what other dialects need back."""
    wire = _encode_call(part)
    put_foreign(wire, part.extras)
    restore(wire, part.extras, DIALECT)
    return wire


def encode_function(call: ToolCall) -> dict[str, Json]:
    """Write the name and the arguments of a call."""
    return {"name": call.name, "arguments": call.arguments_json}


def encode_custom(call: ToolCall) -> dict[str, Json]:
    """Write the name and the text of the call of a custom tool."""
    return {"name": call.name, "input": call.arguments_json}


def _encode_call(part: Part) -> dict[str, Json]:
    call = part.tool_call
    if part.extras and marked_by(part) is not None:
        return {"id": call.id, "type": CUSTOM, CUSTOM: encode_custom(call)}
    return {"id": call.id, "type": "function", "function": encode_function(call)}
