"""Routic's own: OpenAI's errors with the id of the call, and codes that tell a bad model from a bad request.

https://www.routic.ai/en/docs/reference/http-and-errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.call import Call
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.web.skins.openai import OpenAISkin
from trunkline.web.skins.skin import Refusal

_INVALID: Final = "invalid_request_error"


class RouticSkin(OpenAISkin):
    """What was read from a cache, and what was not, is in every usage already."""

    name = "routic"

    def refusal(self, error: GatewayError, call: Call) -> Refusal | None:
        """See `Skin.refusal`."""
        if call.surface not in ("openai", "responses"):
            return None
        return Refusal(_status(error, call), dumps({"error": _encode(error, call)}))

    def broken(self, error: GatewayError, call: Call, head: Mapping[str, Json]) -> bytes | None:
        """See `Skin.broken`."""
        if call.surface == "anthropic":
            return None
        return b"data: %b\n\n" % dumps({"error": _encode(error, call)})


def _is_unknown(error: GatewayError, call: Call) -> bool:
    return error.unknown_model and call.operation != "get_model"


def _status(error: GatewayError, call: Call) -> int:
    if _is_unknown(error, call):
        return 400
    return 402 if error.reason == errors_pb2.ERROR_REASON_QUOTA_EXCEEDED else error.row.http


def _encode(error: GatewayError, call: Call) -> dict[str, Json]:
    kind, code = error.row.openai_type, error.row.openai_code
    match error.reason:
        case errors_pb2.ERROR_REASON_NOT_FOUND if _is_unknown(error, call):
            code = "invalid_model"
        case errors_pb2.ERROR_REASON_NOT_FOUND if error.param != "model":
            code = "not_found"
        case errors_pb2.ERROR_REASON_UNAUTHENTICATED:
            kind = "authentication_error"
        case errors_pb2.ERROR_REASON_INVALID_REQUEST:
            code = "invalid_message_format" if (error.param or "").startswith("messages[") else _INVALID
    return {"message": error.message, "type": kind, "code": code, "param": error.param, "request_id": call.id}
