"""Errors, as Anthropic tells them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from trunkline.dialects.openai.errors import retry_after as asked_to_wait
from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

_MOST_TEXT: Final = 1024

_BY_TYPE: Final[dict[str, ErrorReason.ValueType]] = {
    "invalid_request_error": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "authentication_error": errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    "permission_error": errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    "billing_error": errors_pb2.ERROR_REASON_QUOTA_EXCEEDED,
    "not_found_error": errors_pb2.ERROR_REASON_NOT_FOUND,
    "request_too_large": errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE,
    "rate_limit_error": errors_pb2.ERROR_REASON_RATE_LIMITED,
    "timeout_error": errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    "overloaded_error": errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    "api_error": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
}

_BY_STATUS: Final[dict[int, ErrorReason.ValueType]] = {
    400: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    401: errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    402: errors_pb2.ERROR_REASON_QUOTA_EXCEEDED,
    403: errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    404: errors_pb2.ERROR_REASON_NOT_FOUND,
    408: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    413: errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE,
    422: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    429: errors_pb2.ERROR_REASON_RATE_LIMITED,
    503: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    504: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    524: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    529: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
}

_BY_TEXT: Final[tuple[tuple[re.Pattern[str], ErrorReason.ValueType], ...]] = (
    (
        re.compile(r"prompt is too long|exceed(s|ed)? (the )?context (limit|window)|input is too long", re.IGNORECASE),
        errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED,
    ),
    (
        re.compile(r"credit balance is too low|reached your specified (api )?usage limits", re.IGNORECASE),
        errors_pb2.ERROR_REASON_QUOTA_EXCEEDED,
    ),
    (re.compile(r"blocked by content filtering", re.IGNORECASE), errors_pb2.ERROR_REASON_CONTENT_FILTERED),
)
"""What `invalid_request_error` alone does not tell."""

_LIMITS: Final = ("requests", "tokens", "input-tokens", "output-tokens")


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Read an error: the body of a failed call, or, with status 200, an event of a stream that holds one.

    By `type` where it is known, by status otherwise. `headers` are looked up by lower-case name.
    """
    message, kind = _fields(body)
    reason = _BY_TYPE.get(kind)
    by_status = _BY_STATUS.get(status)
    if reason is None or reason == errors_pb2.ERROR_REASON_INVALID_REQUEST:
        # The type says `invalid_request_error` to much; where the status tells more, it does.
        reason = by_status or reason or errors_pb2.ERROR_REASON_PROVIDER_FAILED
    elif reason == errors_pb2.ERROR_REASON_PROVIDER_FAILED and by_status is not None and status >= 500:
        reason = by_status
    if reason == errors_pb2.ERROR_REASON_INVALID_REQUEST:
        reason = next((known for pattern, known in _BY_TEXT if pattern.search(message)), reason)
    if reason == errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED:
        # The provider's own text would tell the caller of a key that is not his.
        message = "The provider refused the gateway's own key."
    return GatewayError(
        reason,
        message[:_MOST_TEXT] or f"The provider answered with status {status}.",
        retry_after=retry_after(headers) if status in (429, 503, 529) else None,
        provider_status=status,
    )


def _fields(body: bytes) -> tuple[str, str]:
    """Message and type; of a body that is no JSON, such as a proxy's HTML page, its title or first line."""
    try:
        value = loads(body)
    except GatewayError:
        text = body[:65536].decode("utf-8", "replace")
        title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
        if title is not None:
            return title[1].strip(), ""
        return ("" if "<" in text[:64] else text.strip().split("\n", 1)[0][:200]), ""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return (value if isinstance(value, str) else ""), ""
    error = value.get("error")
    inner = error if isinstance(error, dict) else value
    # Bedrock capitalises the key where the gateway in front of the model answers.
    message = inner.get("message") or inner.get("Message") or (error if isinstance(error, str) else "")
    kind = inner.get("type")
    return (message if isinstance(message, str) else ""), (kind if isinstance(kind, str) else "")


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long to wait, by `retry-after`, or by the latest reset of a limit of which nothing is left."""
    asked = asked_to_wait(headers)
    if asked is not None:
        return asked
    try:
        now = parsedate_to_datetime(headers.get("date", ""))
        waits = [
            datetime.fromisoformat(headers[f"anthropic-ratelimit-{limit}-reset"]) - now
            for limit in _LIMITS
            if headers.get(f"anthropic-ratelimit-{limit}-remaining") == "0"
            and f"anthropic-ratelimit-{limit}-reset" in headers
        ]
    except (ValueError, TypeError, OverflowError):
        return None
    return max(*waits, timedelta()) if waits else None


def encode_error(error: GatewayError, request_id: str = "") -> dict[str, Json]:
    """Write an error object; `request_id` is the gateway's.

    Anthropic's clients go on without `thread` where the details say that there is none.
    """
    inner: dict[str, Json] = {"type": error.row.anthropic_type, "message": error.message}
    if error.param == "thread":
        inner["details"] = {"error_code": "thread_unsupported_request"}
    wire: dict[str, Json] = {"type": "error", "error": inner}
    if request_id:
        wire["request_id"] = request_id
    return wire
