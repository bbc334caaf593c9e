"""What a caller of Chat Completions tells OpenAI beyond the contract, in the words that Responses has for it.

Both are OpenAI's, so what has a name in each is the same thing, and a model that answers through Responses alone loses
nothing of it. What Responses has no word for stays as it was, and is named as lost.
"""

from __future__ import annotations

from typing import Final

from trunkline.dialects.custom import CHAT, CUSTOM, custom_of, mark, marked_by, unmark
from trunkline.dialects.responses.extras import DIALECT, own
from trunkline.dialects.wire import Json, loads, text_of
from trunkline.v1.chat_pb2 import ChatRequest, Tool

_SAME: Final = (
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "stream_options",
)
"""The fields of both that mean the same."""

_TYPES: Final = ("function", CUSTOM)


def adopt(request: ChatRequest) -> ChatRequest:
    """`request`, or a copy in which OpenAI's own fields, custom tools and their calls are told as in Responses."""
    tools = [index for index, tool in enumerate(request.tools[:]) if _is_custom(tool)]
    calls = [
        (number, index)
        for number, message in enumerate(request.messages[:])
        for index, part in enumerate(message.parts[:])
        if part.extras and part.WhichOneof("kind") == "tool_call" and marked_by(part) is not None
    ]
    if not tools and not calls and CHAT not in request.extras:
        return request
    adopted = ChatRequest()
    adopted.CopyFrom(request)
    for index in tools:
        native = adopted.tools[index].native
        custom = custom_of(adopted.tools[index])
        if custom is not None:
            native.dialect, native.json = DIALECT, text_of(custom.fields)
    for number, index in calls:
        part = adopted.messages[number].parts[index]
        if marked_by(part) == CHAT:
            mark(part, DIALECT)
        unmark(part, CHAT)
    _adopt_fields(adopted)
    return adopted


def _is_custom(tool: Tool) -> bool:
    return tool.WhichOneof("kind") == "native" and tool.native.dialect == CHAT and custom_of(tool) is not None


def _adopt_fields(request: ChatRequest) -> None:
    said = loads(request.extras[CHAT]) if CHAT in request.extras else None
    if not isinstance(said, dict):
        return
    fields = own(request.extras)
    for name in _SAME:
        if name in said:
            fields.setdefault(name, said.pop(name))
    if isinstance(said.get("verbosity"), str):
        text = fields.setdefault("text", {})
        if isinstance(text, dict):
            text.setdefault("verbosity", said.pop("verbosity"))
    choice = _choice(said.get("tool_choice"))
    if choice is not None:
        fields.setdefault("tool_choice", choice)
        del said["tool_choice"]
    if said.get("store") is False:
        # The gateway asks for nothing else.
        del said["store"]
    if said.get("modalities") == ["text"]:
        # It says no more than nothing.
        del said["modalities"]
    for dialect, kept in ((CHAT, said), (DIALECT, fields)):
        if kept:
            request.extras[dialect] = text_of(kept)
        else:
            request.extras.pop(dialect, None)


def _choice(wire: Json) -> dict[str, Json] | None:
    """A choice of a custom tool, or of some tools among all; None where it is no such choice."""
    if not isinstance(wire, dict):
        return None
    match wire.get("type"):
        case "custom":
            return _named(wire)
        case "allowed_tools" if isinstance(wire.get("allowed_tools"), dict):
            allowed = wire["allowed_tools"]
            tools = allowed.get("tools")
            named = [_named(tool) for tool in tools] if isinstance(tools, list) else []
            if named and all(tool is not None for tool in named):
                return {**allowed, "type": "allowed_tools", "tools": named}
    return None


def _named(tool: Json) -> dict[str, Json] | None:
    """The name of a tool, which stands in an object of its own in Chat Completions."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    inner = tool.get(kind) if kind in _TYPES else None
    name = inner.get("name") if isinstance(inner, dict) else None
    return {"type": kind, "name": name} if isinstance(name, str) else None
