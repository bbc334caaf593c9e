"""What callers note about a call, for its record and for rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline.call import Call
from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest

_MOST: Final = 16
_LONGEST_KEY: Final = 64
_LONGEST: Final = 512
"""OpenAI's own bounds of `metadata`."""
_LONGEST_USER: Final = 16 * 1024
"""The longest `user` that is looked into."""

_APP: Final = (
    ("http-referer", "app_url"),
    ("x-openrouter-title", "app_title"),
    ("x-title", "app_title"),
)
_CATEGORIES: Final = "x-openrouter-categories"
_CATEGORY: Final = re.compile(r"[a-z0-9-]{1,30}")
_MOST_CATEGORIES: Final = 10


def take_notes(wire: Object, call: Call, asked: ChatRequest) -> None:
    """Note in `asked` what the body says: the pairs of OpenAI's `metadata`, which stay where they are, and those of a
    `user` that holds a JSON object, as TokenRouter has it. What is too much is left out, and the caller is warned.

    Messages have a `metadata` of another kind, and `user` only in OpenRouter's language.
    """
    fields = wire.fields
    if call.surface == "anthropic":
        asked.user = wire.take_str("user") or "" if "user" in fields else ""
        user: Json = asked.user
    else:
        user = fields.get("user")
        metadata = fields.get("metadata")
        if isinstance(metadata, dict):
            _note(metadata, "metadata", call, asked)
    if isinstance(user, str) and user.startswith("{") and len(user) <= _LONGEST_USER:
        _note(_pairs(user), "user", call, asked)


def note_app(call: Call) -> None:
    """Note what the headers tell of the caller's program, in OpenRouter's words
    (https://openrouter.ai/docs/app-attribution)."""
    headers = call.headers
    for name, key in _APP:
        value = headers.get(name)
        if value and key not in call.metadata:
            call.metadata[key] = value.encode("utf-8", "replace").decode()[:_LONGEST]
    listed = headers.get(_CATEGORIES)
    if listed:
        words = [word for one in listed[:_LONGEST].split(",") if _CATEGORY.fullmatch(word := one.strip())]
        if words:
            call.metadata["app_categories"] = ",".join(dict.fromkeys(words[:_MOST_CATEGORIES]))


def _pairs(text: str) -> Mapping[str, Json]:
    """The object in `text`; nothing where it is none, but an id that begins like one."""
    try:
        value = loads(text)
    except GatewayError:
        return {}
    return value if isinstance(value, dict) else {}


def _note(pairs: Mapping[str, Json], path: str, call: Call, asked: ChatRequest) -> None:
    left = 0
    for key, value in pairs.items():
        text = value if isinstance(value, str) else text_of(value)
        if len(asked.metadata) < _MOST and len(key) <= _LONGEST_KEY and len(text) <= _LONGEST:
            asked.metadata[key] = text
        else:
            left += 1
    if left:
        call.warnings.append(f"`{path}`: {left} of its pairs are too many or too long to be noted")
