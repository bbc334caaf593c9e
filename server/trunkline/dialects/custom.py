"""Tools that are called with a text rather than with JSON, in the spellings of OpenAI's two dialects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.dialects.wire import Json, loads, text_of
from trunkline.v1.chat_pb2 import Tool
from trunkline.v1.content_pb2 import Part

CHAT: Final = "openai"
RESPONSES: Final = "responses"

CUSTOM: Final = "custom"
"""The type of such a tool, in both dialects, and that of its calls in Chat Completions."""

CALL: Final = "custom_tool_call"
"""The type of its calls in Responses."""

_ITEM: Final = "item"
_GRAMMAR: Final = "grammar"


@dataclass(frozen=True, slots=True)
class Custom:
    """Such a tool: its fields in the words of Responses, and the dialect in whose words it came."""

    dialect: str
    fields: dict[str, Json]

    @property
    def name(self) -> str:
        """The name that its calls repeat."""
        return str(self.fields["name"])


def custom_of(tool: Tool) -> Custom | None:
    """The custom tool that `tool` is; None where it is another."""
    if tool.WhichOneof("kind") != "native" or tool.native.dialect not in (CHAT, RESPONSES):
        return None
    wire = loads(tool.native.json)
    if not isinstance(wire, dict) or wire.get("type") != CUSTOM:
        return None
    if tool.native.dialect == CHAT:
        inner = wire.get(CUSTOM)
        wire = {"type": CUSTOM, **inner} if isinstance(inner, dict) else {}
        form = wire.get("format")
        if isinstance(form, dict) and isinstance(form.get(_GRAMMAR), dict):
            # Here alone the grammar has an object of its own.
            wire["format"] = {"type": _GRAMMAR, **form[_GRAMMAR]}
    name = wire.get("name")
    return Custom(tool.native.dialect, wire) if isinstance(name, str) and name else None


def marked_by(part: Part) -> str | None:
    """The dialect in whose words a call is one of a custom tool; None where it is one of a function.

    The text that it is called with is its `arguments_json`.
    """
    extras = part.extras
    if RESPONSES in extras:
        item = _object(extras[RESPONSES]).get(_ITEM)
        if isinstance(item, dict) and item.get("type") == CALL:
            return RESPONSES
    if CHAT in extras and _object(extras[CHAT]).get("type") == CUSTOM:
        return CHAT
    return None


def mark(part: Part, dialect: str) -> None:
    """Make a call of a function one of a custom tool, in the words of `dialect`."""
    part.extras[dialect] = text_of({"type": CUSTOM} if dialect == CHAT else {_ITEM: {"type": CALL}})


def unmark(part: Part, dialect: str) -> None:
    """Take away the mark in the words of `dialect`, and leave what else that keeps."""
    if dialect not in part.extras:
        return
    kept = _object(part.extras[dialect])
    marked = kept if dialect == CHAT else kept.get(_ITEM)
    if isinstance(marked, dict) and marked.pop("type", None) is not None:
        if dialect == RESPONSES and not marked:
            del kept[_ITEM]
        if kept:
            part.extras[dialect] = text_of(kept)
        else:
            del part.extras[dialect]


def _object(text: str) -> dict[str, Json]:
    value = loads(text)
    return value if isinstance(value, dict) else {}
