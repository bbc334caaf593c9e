"""Contents of the commonest shape, read straight from their text: texts, function calls and their results."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trunkline.dialects.gemini.content import ROLES, Calls
from trunkline.dialects.gemini.results import decode_plain_result
from trunkline.dialects.shape import Shape
from trunkline.dialects.wire import object_as_text
from trunkline.v1 import content_pb2
from trunkline.v1.content_pb2 import Part, ToolResult


class _Call(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    args: msgspec.Raw
    id: str = ""


class _Result(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    response: msgspec.Raw
    id: str = ""


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A part that holds one of these and nothing else: no signature, and nothing that is a thought."""

    text: str | None = None
    functionCall: _Call | None = None  # noqa: N815
    functionResponse: _Result | None = None  # noqa: N815


class _Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A content of that shape."""

    role: str
    parts: list[_Part]


CONTENT: Final = Shape(_Content)


def decode_plain(content: _Content, into: tuple[Any, Calls]) -> bool:
    """Read a content into a repeated field of messages. Tells whether it could: `decode_content` reads the rest."""
    messages, calls = into
    role, items = ROLES.get(content.role), content.parts
    if role is None or not items:
        return False
    message = messages.add()
    parts = message.parts
    made: list[_Call] = []
    answered: list[tuple[_Result, ToolResult]] = []
    for item in items:
        text = item.text
        if text is not None and item.functionCall is None and item.functionResponse is None:
            parts.add().text = text
        elif not _decode_part(item, parts.add(), made, answered):
            del messages[-1]
            return False
    message.role = content_pb2.ROLE_TOOL if answered else role
    for call in made:
        calls.add(call.id, call.name)
    for given, result in answered:
        result.tool_call_id = calls.answer(given.id, given.name)
    return True


def _decode_part(item: _Part, part: Part, made: list[_Call], answered: list[tuple[_Result, ToolResult]]) -> bool:
    """Read a call that has an id, or a result; none of both calls and results, whose order counts."""
    given, returned = item.functionCall, item.functionResponse
    if item.text is not None or (given is None) == (returned is None):
        return False
    if given is not None:
        args = object_as_text(given.args)
        if args is None or not given.id or answered:
            return False
        call = part.tool_call
        call.id, call.name, call.arguments_json = given.id, given.name, args
        made.append(given)
    elif returned is not None:
        said = object_as_text(returned.response)
        if said is None or made:
            return False
        result = part.tool_result
        result.name = returned.name
        decode_plain_result(said, result)
        answered.append((returned, result))
    return True
