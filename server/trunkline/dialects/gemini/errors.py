"""Errors, as Google tells them (google.rpc.Status in JSON)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from google.rpc import code_pb2

from trunkline.dialects.openai.errors import retry_after as retry_after_header
from trunkline.dialects.wire import Json, loads
from trunkline.errors import DOMAIN, GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

_MOST_TEXT: Final = 1024

_BY_STATUS: Final[dict[str, ErrorReason.ValueType]] = {
    "INVALID_ARGUMENT": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "OUT_OF_RANGE": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "FAILED_PRECONDITION": errors_pb2.ERROR_REASON_UNSUPPORTED,  # the place of the caller, a model that is not set up
    "UNIMPLEMENTED": errors_pb2.ERROR_REASON_UNSUPPORTED,
    "UNAUTHENTICATED": errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    "PERMISSION_DENIED": errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    "NOT_FOUND": errors_pb2.ERROR_REASON_NOT_FOUND,
    "RESOURCE_EXHAUSTED": errors_pb2.ERROR_REASON_RATE_LIMITED,
    "UNAVAILABLE": errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    "ABORTED": errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    "DEADLINE_EXCEEDED": errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    "CANCELLED": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    "INTERNAL": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    "UNKNOWN": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    "DATA_LOSS": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
}
"""`error.status` -> reason."""

_BY_HTTP: Final[dict[int, ErrorReason.ValueType]] = {
    400: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    401: errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    403: errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    404: errors_pb2.ERROR_REASON_NOT_FOUND,
    408: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    413: errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE,
    422: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    429: errors_pb2.ERROR_REASON_RATE_LIMITED,
    499: errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    501: errors_pb2.ERROR_REASON_UNSUPPORTED,
    503: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    504: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    529: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
}

_BAD_KEY: Final = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_EXPIRED"})
"""Reasons of a `google.rpc.ErrorInfo`: a bad key has status 400."""

_CONTEXT: Final = re.compile(r"token count .{0,64}exceeds|exceeds the maximum number of tokens", re.IGNORECASE)
"""How a prompt that is too long is told: by nothing but the text, which also holds the numbers."""

_KEY: Final = re.compile(r"api[ _]key (?:not valid|expired|not found)", re.IGNORECASE)
"""How a bad key is told where the details are missing."""

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Read an error: the body of a failed call, or, with status 200, a chunk of a stream that holds one.

    By the reasons in its details and its `status`, by the HTTP status otherwise. `headers` are looked up by lower-case
    name.
    """
    error = _error(body)
    code = error.get("code")
    if 200 <= status < 300:
        status = code if type(code) is int and 400 <= code < 600 else 500
    word, text = error.get("status"), error.get("message")
    message = text if isinstance(text, str) else ""
    reason = _reason(status, word if isinstance(word, str) else "", message, error)
    if reason == errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED:
        # Google's own text would tell the caller of a key and a project that are not his.
        message = "The provider refused the gateway's own key."
    return GatewayError(
        reason,
        message[:_MOST_TEXT] or f"The provider answered with status {status}.",
        retry_after=_retry_after(error, headers) if status in (429, 500, 503) else None,
        provider_status=status,
    )


def _error(body: bytes) -> dict[str, Json]:
    """The error object, wherever it is: Google also wraps it in an array, and its login server tells words alone."""
    try:
        value = loads(body)
    except GatewayError:
        return {"message": _plain(body)}
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {}
    error = value.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {"message": value.get("error_description") or error}
    return value


def _plain(body: bytes) -> str:
    """The text of a body that is no JSON, such as a proxy's HTML page: its title, or its first line."""
    text = body[:65536].decode("utf-8", "replace")
    title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
    if title is not None:
        return title[1].strip()
    return "" if "<" in text[:64] else text.strip().split("\n", 1)[0][:200]


def _details(error: dict[str, Json], kind: str) -> Iterator[dict[str, Json]]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(kind):
            yield detail


def _reason(status: int, word: str, message: str, error: dict[str, Json]) -> ErrorReason.ValueType:
    if any(str(detail.get("reason")) in _BAD_KEY for detail in _details(error, "google.rpc.ErrorInfo")):
        return errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
    known = _BY_STATUS.get(word) or _BY_HTTP.get(status) or errors_pb2.ERROR_REASON_PROVIDER_FAILED
    if known == errors_pb2.ERROR_REASON_INVALID_REQUEST:
        if _CONTEXT.search(message):
            return errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED
        if _KEY.search(message):
            return errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
        if status == 413:
            return errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE
    if known == errors_pb2.ERROR_REASON_RATE_LIMITED and _is_daily(error):
        return errors_pb2.ERROR_REASON_QUOTA_EXCEEDED
    return known


def _is_daily(error: dict[str, Json]) -> bool:
    """Whether what ran out is the allowance of a day, so that waiting for seconds does not help."""
    violations = [
        str(violation.get("quotaId", ""))
        for detail in _details(error, "google.rpc.QuotaFailure")
        for violation in (detail["violations"] if isinstance(detail.get("violations"), list) else ())
        if isinstance(violation, dict)
    ]
    return any("PerDay" in violation for violation in violations)


def _retry_after(error: dict[str, Json], headers: Mapping[str, str]) -> timedelta | None:
    for detail in _details(error, "google.rpc.RetryInfo"):
        match = _DURATION.fullmatch(str(detail.get("retryDelay", "")))
        if match is not None:
            return timedelta(seconds=float(match[1]))
    return retry_after_header(headers)


def encode_error(error: GatewayError) -> dict[str, Json]:
    """Write an error object, with the reason in its details."""
    row = error.row
    details: list[Json] = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.name, "domain": DOMAIN}
    ]
    if error.retry_after is not None:
        seconds = error.retry_after.total_seconds()
        text = f"{math.ceil(seconds)}s" if seconds.is_integer() else f"{seconds:.3f}s"
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": text})
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    return {
        "error": {
            "code": row.http,
            "message": error.message,
            "status": code_pb2.Code.Name(row.grpc),
            "details": details,
        }
    }
