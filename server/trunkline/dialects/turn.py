"""The messages of a request as a dialect writes them: taken out of protobuf once, as each look at it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Message, Part, Role

Kind: TypeAlias = Literal["text", "media", "tool_call", "tool_result", "reasoning", "refusal", "opaque"] | None
"""The kind of a part, as `WhichOneof` tells it."""


Turn: TypeAlias = tuple[Message, Role.ValueType, Sequence[Part], Sequence[Kind], str]
"""A message, its role, its parts, their kinds, and the text that is all there is of it beside its role; empty where
there is more. The text may have log probabilities, of which most dialects write none into a request."""

_TEXT: tuple[Kind, ...] = ("text",)


def turns_of(request: ChatRequest) -> list[Turn]:
    """The messages of `request`."""
    turns: list[Turn] = []
    # A slice is a list of Python's own: to walk through it costs less than to walk through the field.
    for message in request.messages[:]:
        parts = message.parts
        if len(parts) == 1:
            part = parts[0]
            text = part.text
            marked = not text or part.extras or part.citations or part.HasField("cache")
            if not (marked or message.extras or message.name):
                turns.append((message, message.role, (part,), _TEXT, text))
            else:
                turns.append((message, message.role, (part,), (part.WhichOneof("kind"),), ""))
        else:
            several = parts[:]
            turns.append((message, message.role, several, [part.WhichOneof("kind") for part in several], ""))
    return turns


def bare_text(parts: Sequence[Part]) -> str:
    """The text of `parts` where they are one that asks for nothing else, as nearly always; empty otherwise.

    It may have citations and log probabilities, of which most dialects write none into a request.
    """
    if len(parts) != 1:
        return ""
    part = parts[0]
    text = part.text
    return text if text and not part.extras and not part.HasField("cache") else ""
