"""Turns of the contract, as the items of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.dialects.ids import made_id
from trunkline.dialects.responses.content import encode_input, encode_opaque, encode_output
from trunkline.dialects.responses.extras import DIALECT, ITEM, own, restore_item
from trunkline.dialects.responses.reasoning import encode_reasoning
from trunkline.dialects.responses.tools import short_name
from trunkline.dialects.responses.turns import CALLS, RESULTS
from trunkline.dialects.responses.writing import Writing
from trunkline.dialects.turn import Turn
from trunkline.dialects.wire import Json
from trunkline.errors import unsupported
from trunkline.v1 import content_pb2
from trunkline.v1.content_pb2 import Part

_NAMES: Final[dict[int, str]] = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "developer",
    content_pb2.ROLE_USER: "user",
    content_pb2.ROLE_TOOL: "user",
}

_MESSAGE: Final = frozenset({"text", "refusal"})
"""The kinds of part that stand in a message of the assistant."""


def encode_messages(turns: Sequence[Turn], to: Writing, begin: int = 0) -> list[Json]:
    """Write the conversation, from the message `begin` on."""
    items: list[Json] = []
    for number in range(begin, len(turns)):
        turn = turns[number]
        message, role, parts, _, text = turn
        if not text and message.name:
            to.lose(f"messages[{number}].name")
        if role == content_pb2.ROLE_ASSISTANT:
            if text and not parts[0].logprobs:
                items.append({"role": "assistant", "content": text})
            else:
                _encode_assistant(turn, items, to, f"messages[{number}]")
        elif text:
            items.append({"role": _NAMES.get(role, "user"), "content": text})
        else:
            _encode_turn(turn, items, to, f"messages[{number}]")
    return items


def _encode_turn(turn: Turn, items: list[Json], to: Writing, path: str) -> None:
    message, role, parts, kinds, _ = turn
    said: list[Part] = []
    for index, part in enumerate(parts):
        kind = kinds[index]
        if kind == "tool_result":
            items.append(_encode_result(part, to, path))
        elif kind == "opaque" and role == content_pb2.ROLE_TOOL:
            block = encode_opaque(part, to, path)
            if block is not None:
                items.append(block)
        elif kind == "reasoning" or kind == "tool_call":
            raise unsupported(f"`{path}.parts[{index}]` cannot stand in this message.", path)
        else:
            said.append(part)
    if said:
        content = encode_input(said, to, path)
        if content != []:
            wire: dict[str, Json] = {"role": _NAMES.get(role, "user"), "content": content}
            if message.extras:
                wire.update(restore_item(wire, message.extras))
                if wire.get("type") == RESULTS[0]:
                    # What a tool told that was not called.
                    del wire["role"]
                    wire["output"] = wire.pop("content")
            items.append(wire)


def _encode_result(part: Part, to: Writing, path: str) -> dict[str, Json]:
    result = part.tool_result
    given = result.tool_call_id
    if not given and to.unnamed.get(result.name):
        given = to.unnamed[result.name].popleft()
    kind = RESULTS[1] if given in to.custom else RESULTS[0]
    if result.failed:
        to.lose(f"{path}.is_error")
    wire: dict[str, Json] = {"type": kind, "call_id": given, "output": encode_input(result.parts[:], to, path) or ""}
    if part.extras:
        wire.update(restore_item(wire, part.extras))
    return wire


def _encode_assistant(turn: Turn, items: list[Json], to: Writing, path: str) -> None:
    _, _, parts, kinds, _ = turn
    open_message: dict[str, Json] | None = None
    messages: list[dict[str, Json]] = []
    for index, part in enumerate(parts):
        kind = kinds[index]
        kept = own(part.extras) if part.extras else {}
        item = kept.get(ITEM)
        if kind in _MESSAGE or (kind == "opaque" and ITEM in kept):
            if open_message is None or item is not None:
                open_message = {"role": "assistant", "content": [], **(item if isinstance(item, dict) else {})}
                if "id" in open_message:
                    open_message.setdefault("type", "message")
                items.append(open_message)
                messages.append(open_message)
            block = encode_opaque(part, to, path) if kind == "opaque" else encode_output(part)
            if part.HasField("cache"):
                to.lose("cache_control")
            if block is not None:
                open_message["content"].append(block)
            continue
        open_message = None
        match kind:
            case "tool_call":
                items.append(_encode_call(part, kept, to, f"{path}.parts[{index}]"))
            case "reasoning":
                # The reasoning of other dialects goes back to its origin alone.
                if DIALECT in part.extras:
                    items.append(encode_reasoning(part))
            case "opaque":
                block = encode_opaque(part, to, path)
                if block is not None:
                    items.append(block)
            case "tool_result":
                items.append(_encode_result(part, to, path))
            case _:
                raise unsupported(f"`{path}.parts[{index}]` is a {kind}, which the assistant cannot say.", path)
    for wire in messages:
        if not wire["content"]:
            items.remove(wire)
        elif "id" not in wire:
            _shorten(wire)


def _shorten(message: dict[str, Json]) -> None:
    """Write a message that was no item of an answer as callers write it: without empty arrays, as text where it is one
    text alone."""
    content = message["content"]
    for part in content:
        for key in ("annotations", "logprobs"):
            if part.get(key) == []:
                del part[key]
    if len(content) == 1 and content[0].keys() == {"type", "text"} and content[0]["type"] == "output_text":
        message["content"] = content[0]["text"]


def _encode_call(part: Part, kept: dict[str, Json], to: Writing, path: str) -> dict[str, Json]:
    call = part.tool_call
    item = kept.get(ITEM)
    if not isinstance(item, dict):
        item = {}
    kind = item.get("type", "function_call")
    if kind not in CALLS:
        kind = "function_call"
    given = call.id
    if not given:
        given = made_id("call_", path)
        to.unnamed[call.name].append(given)
    if kind != "function_call":
        to.custom.add(given)
    name = call.name
    if isinstance(item.get("namespace"), str):
        name = short_name(item["namespace"], name)
    wire = {**item, "type": kind, "call_id": given, "name": name, CALLS[kind]: call.arguments_json}
    if len(kept) > 1:
        restore_item(wire, part.extras)
    return wire
