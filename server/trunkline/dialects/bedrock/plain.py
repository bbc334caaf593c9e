"""Messages of the commonest shape, read straight from their text: texts, tool calls and their results."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trunkline.dialects.bedrock.conversation import ROLES
from trunkline.dialects.shape import Shape
from trunkline.dialects.wire import object_as_text
from trunkline.v1 import content_pb2


class _Call(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    toolUseId: str  # noqa: N815
    name: str
    input: msgspec.Raw


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _Result(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    toolUseId: str  # noqa: N815
    content: list[_Text]


class _Block(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A block that holds one of these and nothing else."""

    text: str | None = None
    toolUse: _Call | None = None  # noqa: N815
    toolResult: _Result | None = None  # noqa: N815


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message of that shape."""

    role: str
    content: list[_Block]


TURN: Final = Shape(_Turn)


def decode_plain(turn: _Turn, messages: Any) -> bool:
    """Read a message into `messages`, a repeated field. Tells whether it could: `decode_turn` reads the rest."""
    role, blocks = ROLES.get(turn.role), turn.content
    if role is None or not blocks:
        return False
    results = blocks[0].toolResult is not None
    if results and role != content_pb2.ROLE_USER:
        return False
    message = messages.add()
    parts = message.parts
    for block in blocks:
        if not (_decode_result(block, parts) if results else _decode_block(block, parts)):
            del messages[-1]
            return False
    message.role = content_pb2.ROLE_TOOL if results else role
    return True


def _decode_block(block: _Block, parts: Any) -> bool:
    text, given = block.text, block.toolUse
    if text is not None:
        parts.add().text = text
        return given is None and block.toolResult is None
    arguments = object_as_text(given.input) if given is not None and block.toolResult is None else None
    if given is None or arguments is None:
        return False
    call = parts.add().tool_call
    call.id, call.name, call.arguments_json = given.toolUseId, given.name, arguments
    return True


def _decode_result(block: _Block, parts: Any) -> bool:
    given = block.toolResult
    if given is None or len(given.content) != 1 or block.text is not None or block.toolUse is not None:
        return False
    result = parts.add().tool_result
    result.tool_call_id = given.toolUseId
    result.parts.add().text = given.content[0].text
    return True
