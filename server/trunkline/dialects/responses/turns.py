"""The items of a conversation, as turns of the contract.

What the assistant wrote between two words of others is one turn, as every other format has it, and the items that only
this dialect can read stand in it, too. Each can be told from its neighbours, so that the way back gives the same items.
"""

from __future__ import annotations

import re
from typing import Any, Final

from trunkline.dialects.responses.carry import unload, unpack
from trunkline.dialects.responses.content import decode_content, decode_said
from trunkline.dialects.responses.extras import DIALECT, keep, take_item
from trunkline.dialects.responses.reasoning import decode_reasoning
from trunkline.dialects.responses.tools import flat_name
from trunkline.dialects.wire import Json, Object, text_of
from trunkline.errors import invalid_request
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Message, Part, Role

_ROLES: Final[dict[str, Role.ValueType]] = {
    "system": content_pb2.ROLE_SYSTEM,
    "developer": content_pb2.ROLE_DEVELOPER,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
}

CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
"""The types of item that call a tool of the caller's -> what they call it with."""

_HOSTED: Final = "xs_"
"""How the ids of calls begin that xAI ran itself for its search tools, and tells as calls of custom tools."""

DRAWN: Final = "image_generation_call"
"""The type of item that holds an image."""

_MADE: Final = re.compile(r"ig_[0-9a-f]{24}")
"""The ids of images that another provider's model drew; OpenAI's own are longer."""

RESULTS: Final = ("function_call_output", "custom_tool_call_output")
"""The types of item that hold what such a call returned."""


class Turns:
    """Reads items one by one into the messages of a request.

    `stateful` tells that the conversation goes on from one that the provider keeps. Then a result may answer a call
    that is not here; only that provider can read it, so it is carried verbatim.
    """

    def __init__(self, request: ChatRequest, *, stateful: bool) -> None:
        self._messages = request.messages
        self._open: Message | None = None
        """The turn of the assistant that is being read."""
        self._stateful = stateful
        self._calls: set[str] = set()
        self._after_message = False

    def add(self, wire: Object) -> None:
        """Read the next item. Raises `GatewayError` (INVALID_REQUEST), naming the field."""
        kind = wire.fields.get("type")
        if kind is None and "role" in wire.fields:
            kind = "message"
        match kind:
            case "message":
                self._message(wire)
                return
            case "reasoning":
                parts = self._assistant().parts
                cargo = unpack(wire.fields.get("encrypted_content"))
                if cargo is None:
                    decode_reasoning(wire, parts.add())
                else:
                    carried = Part()
                    decode_reasoning(wire, carried)
                    unload(cargo, carried.reasoning.text, parts)
            case "custom_tool_call" if is_hosted(wire.fields):
                opaque(wire.fields, self._assistant().parts.add())
            case "function_call" | "custom_tool_call":
                namespace = wire.fields.get("namespace")
                part = self._assistant().parts.add()
                decode_call(wire, part)
                if isinstance(namespace, str):
                    part.tool_call.name = flat_name(namespace, part.tool_call.name)
                self._calls.add(part.tool_call.id)
            case _ if kind == DRAWN and _is_made(wire.fields):
                _decode_drawn(wire.fields, self._assistant().parts.add())
            case "function_call_output" if wire.fields.get("call_id") is None and wire.fields.get("name") is not None:
                self._unasked(wire)
            case "function_call_output" | "custom_tool_call_output":
                self._result(wire, kind)
            case _:
                if not isinstance(kind, str):
                    wire.need_str("type")
                opaque(wire.fields, self._assistant().parts.add())
        self._after_message = False

    def add_plain(self, fields: dict[str, Json], _: None) -> bool:
        """Read an item that holds nothing but what every one of its type does, as many do. Tells whether this was one;
        what it did not read, `add` does."""
        kind, size = fields.get("type"), len(fields)
        if kind is None and size == 2:
            return self._plain_message(fields.get("role"), fields.get("content"))
        call_id = fields.get("call_id")
        if type(call_id) is not str:
            return False
        if kind == "function_call" and size == 4:
            name, arguments = fields.get("name"), fields.get("arguments")
            if type(name) is not str or type(arguments) is not str:
                return False
            call = self._assistant().parts.add().tool_call
            call.id, call.name, call.arguments_json = call_id, name, arguments
            self._calls.add(call_id)
        elif kind == RESULTS[0] and size == 3 and not self._stateful:
            text = fields.get("output")
            if type(text) is not str:
                return False
            result = self._add(content_pb2.ROLE_TOOL).parts.add().tool_result
            result.tool_call_id = call_id
            result.parts.add().text = text
            self._open = None
        else:
            return False
        self._after_message = False
        return True

    def _plain_message(self, word: Json, text: Json) -> bool:
        role = _ROLES.get(word) if type(word) is str and type(text) is str else None
        if role is None or (self._after_message and role == content_pb2.ROLE_ASSISTANT):
            return False
        if role == content_pb2.ROLE_ASSISTANT:
            self._assistant().parts.add().text = text
            self._after_message = True
        else:
            self._add(role).parts.add().text = text
            self._open = None
            self._after_message = False
        return True

    def _assistant(self) -> Message:
        """The turn of the assistant that is being read: the last one, or a new one."""
        if self._open is None:
            self._open = self._add(content_pb2.ROLE_ASSISTANT)
        return self._open

    def _add(self, role: Role.ValueType) -> Message:
        message = self._messages.add()
        message.role = role
        return message

    def _message(self, wire: Object) -> None:
        word = wire.need_str("role")
        role = _ROLES.get(word)
        if role is None:
            raise invalid_request(
                f"`{wire.at('role')}` must be one of {', '.join(f'`{name}`' for name in _ROLES)}, not `{word[:64]}`.",
                wire.at("role"),
            )
        item = take_item(wire)
        if wire.take("type") is not None and "id" not in item:
            # An item of an answer's, which its id tells, is written back with its type.
            item["type"] = "message"
        if role == content_pb2.ROLE_ASSISTANT:
            message = self._assistant()
            adjacent = self._after_message and bool(message.parts)
            decode_said(wire, message.parts, item if item or adjacent else ...)
            self._after_message = True
            return
        message = self._add(role)
        self._open = None
        self._after_message = False
        decode_content(wire, message.parts)
        if not message.parts:
            raise invalid_request(f"`{wire.at('content')}` is required.", wire.at("content"))
        keep(wire, message.extras, item or ...)

    def _result(self, wire: Object, kind: str) -> None:
        call_id = wire.fields.get("call_id")
        if self._stateful and call_id not in self._calls:
            opaque(wire.fields, self._assistant().parts.add())
            return
        part = self._add(content_pb2.ROLE_TOOL).parts.add()
        self._open = None
        wire.take("type")
        result = part.tool_result
        result.tool_call_id = wire.need_str("call_id")
        item = take_item(wire)
        if kind != RESULTS[0]:
            item["type"] = kind
        wire.fields["content"] = wire.fields.pop("output", None)
        decode_content(wire, result.parts)
        wire.take("content")
        keep(wire, part.extras, item or ...)

    def _unasked(self, wire: Object) -> None:
        """What a tool tells that was not called, such as the goal of an agent: elsewhere it is a word of the user's."""
        message = self._add(content_pb2.ROLE_USER)
        self._open = None
        wire.take("call_id")
        item = take_item(wire)
        item["type"] = wire.take("type")
        item["name"] = wire.need_str("name")
        wire.fields["content"] = wire.fields.pop("output", None)
        decode_content(wire, message.parts)
        wire.take("content")
        if not message.parts:
            raise invalid_request(f"`{wire.at('output')}` is required.", wire.at("output"))
        keep(wire, message.extras, item)


def _is_made(fields: dict[str, Json]) -> bool:
    name = fields.get("id")
    return type(name) is str and _MADE.fullmatch(name) is not None and type(fields.get("result")) is str


def _decode_drawn(fields: dict[str, Json], part: Part) -> None:
    """Read an image that the gateway told of: whichever provider's model drew it."""
    form = fields.get("output_format")
    media = part.media
    media.media_type = f"image/{form if type(form) is str else 'png'}"
    media.uri = f"data:{media.media_type};base64,{fields['result']}"


def opaque(fields: dict[str, Json], part: Part) -> None:
    """Carry an item verbatim."""
    part.opaque.dialect = DIALECT
    part.opaque.json = text_of(fields)


def is_hosted(fields: dict[str, Json]) -> bool:
    """Whether the call of a custom tool was run by the server itself: there is nothing that a caller could do."""
    call_id = fields.get("call_id")
    return fields.get("type") == "custom_tool_call" and isinstance(call_id, str) and call_id.startswith(_HOSTED)


def decode_call(wire: Object, part: Part) -> None:
    """Read a call of a tool of the caller's."""
    kind = wire.take("type")
    call = part.tool_call
    call.id = wire.take_str("call_id") or ""
    call.name = wire.need_str("name")
    key = CALLS[kind]
    arguments = wire.take(key)
    call.arguments_json = arguments if isinstance(arguments, str) else "" if arguments is None else text_of(arguments)
    item = take_item(wire)
    if kind != "function_call":
        item["type"] = kind
    keep(wire, part.extras, item or ...)


def decode_output(wire: Object, parts: Any, *, adjacent: bool) -> None:
    """Read one item of an answer into `parts`; `adjacent` tells that the last part is of a message, too."""
    match wire.fields.get("type"):
        case "message":
            item = take_item(wire)
            wire.take("type")
            wire.take("role")
            decode_said(wire, parts, item if item or adjacent else ...)
        case "reasoning":
            decode_reasoning(wire, parts.add())
        case "custom_tool_call" if is_hosted(wire.fields):
            opaque(wire.fields, parts.add())
        case "function_call" | "custom_tool_call":
            decode_call(wire, parts.add())
        case _:
            opaque(wire.fields, parts.add())
