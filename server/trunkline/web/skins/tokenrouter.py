"""TokenRouter's own: an error tells its provider and its status.

https://docs.tokenrouter.io/api-reference/overview has the body. The types of 422, 429 and of the server's errors are
not published: these are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from trunkline.call import Call
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason
from trunkline.web.skins.openai import OpenAISkin, latency_ms
from trunkline.web.skins.skin import Refusal


class Told(NamedTuple):
    """The HTTP status and the type of an error."""

    status: int
    kind: str


TABLE: Final[dict[ErrorReason.ValueType, Told]] = {
    errors_pb2.ERROR_REASON_INVALID_REQUEST: Told(400, "invalid_request_error"),
    errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED: Told(400, "invalid_request_error"),
    errors_pb2.ERROR_REASON_CONTENT_FILTERED: Told(400, "invalid_request_error"),
    errors_pb2.ERROR_REASON_UNSUPPORTED: Told(400, "invalid_request_error"),
    errors_pb2.ERROR_REASON_UNAUTHENTICATED: Told(401, "unauthorized_error"),
    errors_pb2.ERROR_REASON_PERMISSION_DENIED: Told(403, "authorization_error"),
    errors_pb2.ERROR_REASON_NOT_FOUND: Told(404, "not_found_error"),
    errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE: Told(413, "invalid_request_error"),
    errors_pb2.ERROR_REASON_RATE_LIMITED: Told(429, "rate_limit_error"),
    errors_pb2.ERROR_REASON_QUOTA_EXCEEDED: Told(403, "authorization_error"),
    errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE: Told(503, "provider_error"),
    errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED: Told(502, "provider_error"),
    errors_pb2.ERROR_REASON_PROVIDER_FAILED: Told(502, "provider_error"),
    errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT: Told(504, "provider_error"),
    errors_pb2.ERROR_REASON_CANCELLED: Told(499, "server_error"),
    errors_pb2.ERROR_REASON_INTERNAL: Told(500, "server_error"),
    errors_pb2.ERROR_REASON_UNAVAILABLE: Told(503, "server_error"),
}

_UNKNOWN_MODEL: Final = Told(400, "invalid_request_error")
_NO_ROUTE: Final = Told(422, "routing_error")
_QUOTA: Final = "quota"


class TokenRouterSkin(OpenAISkin):
    """The four fields are the default's, which are TokenRouter's."""

    name = "tokenrouter"

    def refusal(self, error: GatewayError, call: Call) -> Refusal | None:
        """See `Skin.refusal`."""
        if call.surface not in ("openai", "responses"):
            return None
        return Refusal(_told(error, call).status, dumps({"error": _encode(error, call)}))

    def broken(self, error: GatewayError, call: Call, head: Mapping[str, Json]) -> bytes | None:
        """See `Skin.broken`."""
        if call.surface == "anthropic":
            return None
        return b"data: %b\n\n" % dumps({"error": _encode(error, call)})

    def settle(self, body: dict[str, Json], call: Call, error: GatewayError | None) -> None:
        """See `Skin.settle`."""
        body["metadata"] = {
            **(body.get("metadata") or {}),
            "provider": call.provider,
            "routing_mode": call.routing_mode or "direct",
            "request_id": call.id,
            "latency_ms": str(latency_ms(call)),
        }


def _told(error: GatewayError, call: Call) -> Told:
    if error.unknown_model and call.operation != "get_model":
        return _UNKNOWN_MODEL
    if error.reason == errors_pb2.ERROR_REASON_NOT_FOUND and error.param == "routing":
        return _NO_ROUTE
    return TABLE[error.reason]


def _encode(error: GatewayError, call: Call) -> dict[str, Json]:
    status, kind = _told(error, call)
    message = error.message
    if error.reason == errors_pb2.ERROR_REASON_QUOTA_EXCEEDED and _QUOTA not in message.lower():
        # Its clients know by this word that it is no matter of permission.
        message = f"The quota is exceeded: {message}"
    return {
        "type": kind,
        "message": message,
        "code": error.row.openai_code,
        "provider": error.provider or call.provider or None,
        "http_status": status,
        "raw": None,
    }
