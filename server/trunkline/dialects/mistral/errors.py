"""Errors, in each of the forms that Mistral's servers write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.dialects import openai
from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

_MOST_TEXT: Final = 1024

_BY_TYPE: Final[dict[str, ErrorReason.ValueType]] = {
    "invalid_model": errors_pb2.ERROR_REASON_NOT_FOUND,
    "rate_limited": errors_pb2.ERROR_REASON_RATE_LIMITED,
    "service_tier_capacity_exceeded": errors_pb2.ERROR_REASON_RATE_LIMITED,
}
"""`type` -> reason, where the status alone tells less: an unknown model is a 400."""

_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Read an error: `{"detail": ...}`, `{"object": "error", "message": ..., "type": ..., "code": ...}`, or a message
    alone. What is wrong with a field is told with its path, as FastAPI writes it.

    An error within a stream, which has status 200, tells its own in `raw_status_code`.
    """
    try:
        value = loads(body)
    except GatewayError:
        value = None
    fields: dict[str, Json] = value if isinstance(value, dict) else {}
    own = fields.get("raw_status_code")
    if status == 200 and type(own) is int and 400 <= own < 600:
        status = own
    error = openai.decode_error(status, headers, body)
    kind = fields.get("type")
    if isinstance(kind, str) and kind in _BY_TYPE:
        error.reason = _BY_TYPE[kind]
    wrong = [item for item in _details(fields) if isinstance(item, dict) and isinstance(item.get("msg"), str)]
    if wrong and error.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST:
        paths = [_path(item.get("loc")) for item in wrong]
        told = (f"`{path}`: {item['msg']}" if path else item["msg"] for path, item in zip(paths, wrong, strict=True))
        error.message = "; ".join(told)[:_MOST_TEXT]
        error.param = paths[0] or None
    return error


def _details(fields: dict[str, Json]) -> list[Json]:
    """The list of what is wrong, which stands in one of three places."""
    message = fields.get("message")
    inner = message.get("detail") if isinstance(message, dict) else message
    for place in (fields.get("detail"), inner):
        if isinstance(place, list):
            return place
    return []


def _path(loc: Json) -> str:
    """The path that `["body", "messages", 0, "user", "name"]` stands for: `messages[0].name`."""
    path = ""
    before: Json = None
    for step in loc if isinstance(loc, list) else ():
        if type(step) is int:
            path += f"[{step}]"
        elif isinstance(step, str) and not (step in _ROLES and type(before) is int) and step != "body":
            path += f".{step}" if path else step
        before = step
    return path
