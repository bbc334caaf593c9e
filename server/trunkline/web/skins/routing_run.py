"""routing.run's own: errors in plain text with their code in a header, and the name of the model as it was asked for.

https://docs.routing.run/api-reference/authentication. It publishes eight codes; the others are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from trunkline.call import Call
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse
from trunkline.v1.embeddings_pb2 import EmbedResponse
from trunkline.v1.errors_pb2 import ErrorReason
from trunkline.web.skins.openai import OpenAISkin, latency_ms
from trunkline.web.skins.skin import Refusal


class Told(NamedTuple):
    """The HTTP status and the code of an error."""

    status: int
    code: str


TABLE: Final[dict[ErrorReason.ValueType, Told]] = {
    errors_pb2.ERROR_REASON_INVALID_REQUEST: Told(400, "INVALID_REQUEST"),
    errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED: Told(400, "CONTEXT_LENGTH_EXCEEDED"),
    errors_pb2.ERROR_REASON_CONTENT_FILTERED: Told(400, "CONTENT_FILTERED"),
    errors_pb2.ERROR_REASON_UNSUPPORTED: Told(400, "INVALID_REQUEST"),
    errors_pb2.ERROR_REASON_UNAUTHENTICATED: Told(401, "AUTHENTICATION_ERROR"),
    errors_pb2.ERROR_REASON_PERMISSION_DENIED: Told(403, "MODEL_NOT_ALLOWED"),
    errors_pb2.ERROR_REASON_NOT_FOUND: Told(404, "NOT_FOUND"),
    errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE: Told(413, "REQUEST_TOO_LARGE"),
    errors_pb2.ERROR_REASON_RATE_LIMITED: Told(429, "RATE_LIMIT_ERROR"),
    errors_pb2.ERROR_REASON_QUOTA_EXCEEDED: Told(402, "QUOTA_EXCEEDED"),
    errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE: Told(502, "PROVIDER_ERROR"),
    errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED: Told(502, "PROVIDER_ERROR"),
    errors_pb2.ERROR_REASON_PROVIDER_FAILED: Told(502, "PROVIDER_ERROR"),
    errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT: Told(504, "PROVIDER_TIMEOUT"),
    errors_pb2.ERROR_REASON_CANCELLED: Told(499, "CANCELLED"),
    errors_pb2.ERROR_REASON_INTERNAL: Told(500, "INTERNAL_ERROR"),
    errors_pb2.ERROR_REASON_UNAVAILABLE: Told(503, "UNAVAILABLE"),
}

_ANTHROPIC: Final = "anthropic-version"
"""What every client of Anthropic's sends."""
_HIDDEN: Final = frozenset({"thinking", "redacted_thinking"})
"""Blocks that its texts do not have."""

_UNKNOWN_MODEL: Final = Told(400, "INVALID_MODEL")
_DAILY: Final = Told(429, "DAILY_REQUEST_LIMIT_EXCEEDED")
_HOUR: Final = timedelta(hours=1)


class RoutingRunSkin(OpenAISkin):
    """The name of the field with the provider's id of the answer is not published: `upstream_id` is ours."""

    name = "routing_run"
    dresses = True

    def refusal(self, error: GatewayError, call: Call) -> Refusal | None:
        """See `Skin.refusal`."""
        if call.surface == "gemini":
            return None
        status, code = _told(error, call)
        return Refusal(status, error.message.encode(), "text/plain; charset=utf-8", {"x-error-code": code})

    def broken(self, error: GatewayError, call: Call, head: Mapping[str, Json]) -> bytes | None:
        """See `Skin.broken`."""
        if call.surface == "anthropic":
            return None
        return b"data: %b\n\n" % dumps({"error": {"message": error.message, "type": "api_error"}})

    def fields(self, call: Call) -> Mapping[str, Json]:
        """See `Skin.fields`."""
        last = call.last
        return {"latency_ms": latency_ms(call), "upstream_id": "" if last is None else last.upstream_id}

    def dress_message(self, body: dict[str, Json], call: Call) -> None:
        """Tell the content as one text, where there is nothing else in it, to who is no client of Anthropic's
        (https://docs.routing.run/api-reference/anthropic)."""
        if _ANTHROPIC in call.headers:
            return
        shown = [block for block in body["content"] if block["type"] not in _HIDDEN]
        if all(block["type"] == "text" for block in shown):
            body["content"] = "".join(block["text"] for block in shown)

    def dress(self, answer: ChatResponse | EmbedResponse, call: Call) -> None:
        """See `Skin.dress`."""
        answer.model = call.model

    def dress_event(self, event: ChatEvent, call: Call) -> None:
        """See `Skin.dress_event`."""
        if event.HasField("start"):
            self.dress(event.start, call)


def _told(error: GatewayError, call: Call) -> Told:
    ours = error.provider is None
    match error.reason:
        case errors_pb2.ERROR_REASON_NOT_FOUND if error.unknown_model and call.operation != "get_model":
            return _UNKNOWN_MODEL
        case errors_pb2.ERROR_REASON_RATE_LIMITED if ours and (error.retry_after or timedelta()) > _HOUR:
            # A limit that holds for more than an hour is that of a day.
            return _DAILY
        case errors_pb2.ERROR_REASON_QUOTA_EXCEEDED | errors_pb2.ERROR_REASON_NOT_FOUND if not ours:
            # What the caller cannot help is the chain's failure.
            return TABLE[errors_pb2.ERROR_REASON_PROVIDER_FAILED]
    return TABLE[error.reason]
