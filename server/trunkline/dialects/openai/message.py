"""The messages of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from trunkline.dialects.openai.calls import decode_call, decode_function, encode_call, encode_function
from trunkline.dialects.openai.content import DIALECT, decode_content, encode_content, encode_opaque, is_known
from trunkline.dialects.openai.extra_content import put_back, take_blocks, take_foreign
from trunkline.dialects.openai.images import IMAGES, encode_image, take_images
from trunkline.dialects.openai.profile import Writing
from trunkline.dialects.openai.reasoning import decode_reasoning, encode_reasoning
from trunkline.dialects.turn import Kind, Turn, bare_text
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import invalid_request, unsupported
from trunkline.v1 import content_pb2
from trunkline.v1.content_pb2 import Message, Part, Role, ToolCall

_ROLES: Final[dict[str, Role.ValueType]] = {
    "system": content_pb2.ROLE_SYSTEM,
    "developer": content_pb2.ROLE_DEVELOPER,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "tool": content_pb2.ROLE_TOOL,
    "function": content_pb2.ROLE_TOOL,
}

_NAMES: Final[dict[int, str]] = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "developer",
    content_pb2.ROLE_USER: "user",
    content_pb2.ROLE_ASSISTANT: "assistant",
    content_pb2.ROLE_TOOL: "user",
}
"""What becomes of a role; that of the tools is written by the result that a message holds."""


def decode_message(wire: Object, message: Message) -> None:
    """Read one message of a request."""
    fields = wire.fields
    word = wire.need_str("role")
    role = _ROLES.get(word)
    if role is None:
        raise invalid_request(
            f"`{wire.at('role')}` must be one of {', '.join(f'`{name}`' for name in _ROLES)}, not `{word[:64]}`.",
            wire.at("role"),
        )
    message.role = role
    if role == content_pb2.ROLE_TOOL:
        _decode_result(wire, word, message.parts.add())
    else:
        name = wire.take_str("name")
        if name:
            message.name = name
        if role == content_pb2.ROLE_ASSISTANT:
            decode_assistant(wire, message)
        else:
            if "content" not in fields:
                raise invalid_request(f"`{wire.at('content')}` is required.", wire.at("content"))
            decode_content(wire, message.parts)
            if not message.parts:
                # Clients write nothing as null or as no parts, too.
                message.parts.add().text = ""
    if fields:
        wire.keep(message.extras, DIALECT)


def _decode_result(wire: Object, word: str, part: Part) -> None:
    result = part.tool_result
    if word == "function":
        # The form that `tool` replaced: the result of a call without an id.
        result.name = wire.need_str("name")
    else:
        result.tool_call_id = wire.need_str("tool_call_id")
        name = wire.take_str("name")
        if name:
            result.name = name
    decode_content(wire, result.parts)


def decode_assistant(wire: Object, message: Message) -> None:
    """Read what an assistant's message holds: reasoning, content, refusal, images and tool calls, in this order."""
    decode_reasoning(wire, message)
    decode_content(wire, message.parts, thinking=True)
    blocks: Sequence[tuple[int | None, Part]] = ()
    if "extra_content" in wire.fields:
        blocks = take_blocks(wire)
        text = next((part for part in message.parts if part.WhichOneof("kind") == "text"), None)
        take_foreign(wire, message.extras if text is None else text.extras)
    refusal = wire.take_str("refusal")
    if refusal:
        message.parts.add().refusal = refusal
    if IMAGES in wire.fields:
        take_images(wire, message.parts)
    if "tool_calls" in wire.fields:
        for call in wire.take_objects("tool_calls"):
            decode_call(call, message.parts.add())
    function = wire.take_object("function_call")
    if function is not None:
        # The form that `tool_calls` replaced: a call without an id.
        older = ToolCall()
        decode_function(function, older)
        if older.name or not wire.lenient:  # Snowflake writes an empty one in every answer
            message.parts.add().tool_call.CopyFrom(older)
    put_back(blocks, message.parts)


def encode_message(turn: Turn, messages: list[Json], to: Writing, number: int) -> None:
    """Write the message of this `number` into `messages`: several where it holds the results of several calls."""
    message, role, parts, kinds, text = turn
    if text:
        messages.append({"role": _name(role, to), "content": text})
        return
    if "tool_result" not in kinds:
        wire = _encode_turn(message, role, parts, kinds, to, number)
        if wire.get("content") is not None or not _is_foreign(parts):
            messages.append(wire)
        return
    wires: list[dict[str, Json]] = []
    others: list[Part] = []
    for index, part in enumerate(parts):
        if kinds[index] == "tool_result":
            wires.append(_encode_result(part, message, to, number, index))
        else:
            others.append(part)
    if others:
        rest = Message(name=message.name)
        wire = _encode_turn(rest, role, others, [kind for kind in kinds if kind != "tool_result"], to, number)
        # What the assistant says comes before the results of its calls, what anyone else says after them.
        wires.insert(0 if role == content_pb2.ROLE_ASSISTANT else len(wires), wire)
    messages.extend(wires)


def _is_foreign(parts: Sequence[Part]) -> bool:
    """Whether nothing of a turn can be said in this format."""
    return bool(parts) and all(part.WhichOneof("kind") == "opaque" and part.opaque.dialect != DIALECT for part in parts)


def _encode_result(part: Part, message: Message, to: Writing, number: int, index: int) -> dict[str, Json]:
    result = part.tool_result
    call_id, name = result.tool_call_id, result.name
    wire: dict[str, Json] = {"role": "tool", "tool_call_id": call_id} if call_id or not name else {"role": "function"}
    if name:
        wire["name"] = name
    if result.failed:
        to.lose(f"messages[{number}].parts[{index}].tool_result.failed")
    inner = result.parts[:]
    wire["content"] = bare_text(inner) or encode_content(inner, to, f"messages[{number}].parts[{index}]")
    if part.extras:
        restore(wire, part.extras, DIALECT)
    if message.extras:
        restore(wire, message.extras, DIALECT)
    return wire


def _name(role: Role.ValueType, to: Writing) -> str:
    name = _NAMES.get(role, "user")
    return "system" if name == "developer" and not to.profile.developer_role else name


def _encode_turn(
    message: Message, role: Role.ValueType, parts: Sequence[Part], kinds: Sequence[Kind], to: Writing, number: int
) -> dict[str, Json]:
    """Write `message`, which is of `role` and is to hold these parts, which are of these kinds."""
    wire: dict[str, Json] = {"role": _name(role, to)}
    name = message.name
    if name:
        wire["name"] = name
    if role == content_pb2.ROLE_ASSISTANT:
        _encode_assistant(parts, kinds, wire, to, number)
    else:
        wire["content"] = encode_content(parts, to, f"messages[{number}]")
    if message.extras:
        restore(wire, message.extras, DIALECT)
    return wire


def _encode_assistant(
    parts: Sequence[Part], kinds: Sequence[Kind], wire: dict[str, Json], to: Writing, number: int
) -> None:
    content: list[Part] = []
    calls: list[Json] = []
    reasoning: list[Part] = []
    refusals: list[str] = []
    images: list[Json] = []
    for index, part in enumerate(parts):
        kind = kinds[index]
        match kind:
            case "media" if to.profile.images and part.media.media_type.startswith("image/"):
                images.append(encode_image(part, len(images), to, f"messages[{number}].parts[{index}]"))
            case "text" | "media":
                content.append(part)
            case "tool_call":
                if part.tool_call.id or "function_call" in wire:
                    calls.append(encode_call(part))
                else:
                    wire["function_call"] = encode_function(part.tool_call)
            case "reasoning":
                (content if to.profile.reasoning == "thinking" else reasoning).append(part)
            case "refusal":
                refusals.append(part.refusal)
            case "opaque":
                if not is_known(part, to, f"messages[{number}]"):
                    continue
                block = encode_opaque(part, f"messages[{number}].parts[{index}]")
                if "id" in block:
                    # A call of another type, such as a custom tool's: the parts of a content have no id.
                    calls.append(block)
                else:
                    content.append(part)
            case "tool_result" | None:
                path = f"messages[{number}].parts[{index}]"
                raise unsupported(f"`{path}` cannot stand in an assistant's message.", path)
            case _:
                assert_never(kind)
    wire["content"] = bare_text(content) or (encode_content(content, to, f"messages[{number}]") if content else None)
    if reasoning:
        encode_reasoning(reasoning, wire, to)
    if refusals:
        wire["refusal"] = "".join(refusals)
    if images:
        wire[IMAGES] = images
    if calls:
        wire["tool_calls"] = calls
