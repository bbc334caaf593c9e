"""JSON objects that are text in the contract, written into a request without being built on the way."""

from __future__ import annotations

import msgspec

from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError


class _Head(msgspec.Struct):
    """What is looked at of an object; the rest is checked to be JSON and passed over."""

    type: Json = None


_decode = msgspec.json.Decoder(_Head).decode


def object_text(text: str) -> Json:
    """The JSON object in `text`, to be written as it is; empty for a blank text, None where it holds no object."""
    if not text or text.isspace():
        return {}
    try:
        _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _lenient(text)
    return msgspec.Raw(text.encode())


def has_type(text: str) -> bool:
    """Whether `text` holds a JSON object with a `type`."""
    try:
        return _decode(text).type is not None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False


def _lenient(text: str) -> Json:
    try:
        value = loads(text)
    except GatewayError:
        return None
    return value if isinstance(value, dict) else None
