"""JSON objects that are text in the contract, written into a request without being built on the way."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError


class _Head(msgspec.Struct):
    """What is looked at of an object; the rest is checked to be JSON and passed over."""

    type: Json = None


_decode = msgspec.json.Decoder(_Head).decode
_raw = msgspec.json.Decoder(msgspec.Raw).decode

_TYPED: Final = '{"type":"'
"""How most schemas begin: what is JSON and begins so is an object with a type."""


def object_text(text: str) -> Json:
    """The JSON object in `text`, to be written as it is; empty for a blank text or `null`, as Groq and Cohere write for
    a call without arguments; None where it holds no object."""
    if not text or text.isspace():
        return {}
    try:
        if text.startswith("{"):
            return _raw(text)
        _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _lenient(text)
    return msgspec.Raw(text.encode())


def typed_object(text: str) -> msgspec.Raw | None:
    """The JSON object in `text`, to be written as it is, where it has a `type`; None otherwise."""
    try:
        if text.startswith(_TYPED):
            return _raw(text)
        if _decode(text).type is None:
            return None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return msgspec.Raw(text.encode())


def _lenient(text: str) -> Json:
    try:
        value = loads(text)
    except GatewayError:
        return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None
