"""Errors, as OpenAI and the servers that speak its language tell them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

_MOST_TEXT: Final = 1024

_BY_CODE: Final[dict[str, ErrorReason.ValueType]] = {
    "context_length_exceeded": errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED,
    "string_above_max_length": errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED,
    "insufficient_quota": errors_pb2.ERROR_REASON_QUOTA_EXCEEDED,
    "billing_hard_limit_reached": errors_pb2.ERROR_REASON_QUOTA_EXCEEDED,
    "content_filter": errors_pb2.ERROR_REASON_CONTENT_FILTERED,
    "content_policy_violation": errors_pb2.ERROR_REASON_CONTENT_FILTERED,
    "invalid_api_key": errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    "model_not_found": errors_pb2.ERROR_REASON_NOT_FOUND,
    "invalid_model": errors_pb2.ERROR_REASON_NOT_FOUND,
    "model_decommissioned": errors_pb2.ERROR_REASON_NOT_FOUND,
    "exceed_context_size_error": errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED,
    "rate_limit_exceeded": errors_pb2.ERROR_REASON_RATE_LIMITED,
    "unsupported_parameter": errors_pb2.ERROR_REASON_UNSUPPORTED,
    "unsupported_value": errors_pb2.ERROR_REASON_UNSUPPORTED,
    "json_validate_failed": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    "rate_limit_error": errors_pb2.ERROR_REASON_RATE_LIMITED,
    "overloaded_error": errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
}
"""`error.code`, then `error.type` -> reason."""

_BY_TYPE: Final[dict[str, ErrorReason.ValueType]] = {
    "server_error": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    "invalid_request_error": errors_pb2.ERROR_REASON_INVALID_REQUEST,
}
"""The types that go with any status: where the status is known, it tells more."""

_BY_STATUS: Final[dict[int, ErrorReason.ValueType]] = {
    400: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    401: errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    402: errors_pb2.ERROR_REASON_QUOTA_EXCEEDED,
    403: errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    404: errors_pb2.ERROR_REASON_NOT_FOUND,
    408: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    413: errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE,
    422: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    424: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    429: errors_pb2.ERROR_REASON_RATE_LIMITED,
    498: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    503: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    504: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    524: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    529: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
}

_DURATION: Final = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?",
    re.ASCII,
)

_HTTP_STATUS: Final = re.compile(r"[45][0-9][0-9]")

_CONTEXT: Final = re.compile(
    r"context (?:length|window|size)|maximum (?:prompt|model|input) length|(?:prompt|input) is too long", re.IGNORECASE
)
"""How servers without a code of their own say that a conversation is too long."""


_MODEL: Final = re.compile(
    r"model not found|is not a valid model|model \S{1,200} does not exist|invalid model[ :]"
    r"|supported API model names are",
    re.IGNORECASE,
)
"""How xAI, OpenRouter, Perplexity, Groq and DeepSeek, which answer with status 400, say that a model is unknown."""


_AGAIN: Final = re.compile(
    r"(?:try again|retry) (?:in|after) (\d[\d.dhms]{0,30})( ?seconds?)?", re.IGNORECASE | re.ASCII
)
"""How OpenAI, Groq and Azure say when to come back, where no header does."""


_KEY: Final = re.compile(r"(?:incorrect|invalid) api key|api key not valid", re.IGNORECASE)
"""How xAI and Gemini, which answer with status 400, say that the key is wrong."""


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Read an error: the body of a failed call, or, with status 200, a chunk of a stream that holds one.

    By `code` and `type` where they are known, by status otherwise. `headers` are looked up by lower-case name.
    """
    message, kind, code, param = _fields(body)
    if status == 200 and _HTTP_STATUS.fullmatch(code):
        # OpenRouter and vLLM write the status as the code of an error within a stream.
        status = int(code)
    reason = _reason(status, kind, code, message)
    if reason == errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED:
        # The provider's own text would tell the caller of a key that is not his.
        message = "The provider refused the gateway's own key."
    return GatewayError(
        reason,
        message[:_MOST_TEXT] or f"The provider answered with status {status}.",
        param=param,
        retry_after=retry_after(headers) or _told(message) if status in (429, 503, 529) else None,
        provider_status=status,
    )


def _fields(body: bytes) -> tuple[str, str, str, str | None]:
    """Message, type, code and parameter, wherever the server puts them."""
    try:
        value = loads(body)
    except GatewayError:
        return _plain(body), "", "", None
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return (value if isinstance(value, str) else ""), "", "", None
    error = value.get("error")
    if isinstance(error, str):
        return error, "", _word(value.get("code")), None
    inner = error if isinstance(error, dict) else value
    message = inner.get("message") or value.get("message") or value.get("detail") or ""
    if not isinstance(message, str):
        message = _detail(message)
    metadata = inner.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        # OpenRouter hides the reason behind `Provider returned error`.
        message = f"{message}: {metadata['raw']}"
    param = inner.get("param")
    return (
        message,
        _word(inner.get("type")),
        _word(inner.get("code") or inner.get("status")),
        param if isinstance(param, str) and param else None,
    )


def _detail(value: Json) -> str:
    """FastAPI's form: a list of objects with `msg` and `loc`."""
    if isinstance(value, list):
        return "; ".join(str(item["msg"]) for item in value if isinstance(item, dict) and "msg" in item)
    return str(value["message"]) if isinstance(value, dict) and "message" in value else ""


def _plain(body: bytes) -> str:
    """The text of a body that is no JSON, such as a proxy's HTML page: its title, or its first line."""
    text = body[:65536].decode("utf-8", "replace")
    title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
    if title is not None:
        return title[1].strip()
    return "" if "<" in text[:64] else text.strip().split("\n", 1)[0][:200]


def _word(value: Json) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _reason(status: int, kind: str, code: str, message: str) -> ErrorReason.ValueType:
    known = _BY_CODE.get(code.lower()) or _BY_CODE.get(kind.lower())
    known = known or _BY_STATUS.get(status) or _BY_TYPE.get(kind.lower()) or _BY_TYPE.get(code.lower())
    if status == 429 and known not in (errors_pb2.ERROR_REASON_QUOTA_EXCEEDED, None):
        known = errors_pb2.ERROR_REASON_RATE_LIMITED
    if known == errors_pb2.ERROR_REASON_INVALID_REQUEST:
        if _CONTEXT.search(message):
            return errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED
        if _KEY.search(message):
            return errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
        if _MODEL.search(message):
            return errors_pb2.ERROR_REASON_NOT_FOUND
    return known or errors_pb2.ERROR_REASON_PROVIDER_FAILED


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long to wait, by `retry-after-ms`, `retry-after`, or the reset times of OpenAI's rate-limit headers."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return timedelta(milliseconds=milliseconds)
    value = headers.get("retry-after")
    if value is not None:
        seconds = _number(value)
        if seconds is None:
            seconds = _until(value, headers.get("date"))
        if seconds is not None:
            return timedelta(seconds=seconds)
    resets = [
        _duration(headers[f"x-ratelimit-reset-{what}"])
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0" and f"x-ratelimit-reset-{what}" in headers
    ]
    known = [reset for reset in resets if reset is not None]
    return max(known) if known else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number < 1e9 else None


def _until(date: str, now: str | None) -> float | None:
    """Seconds from the answer's own `date` to an HTTP date."""
    try:
        return max(0.0, (parsedate_to_datetime(date) - parsedate_to_datetime(now or "")).total_seconds())
    except (ValueError, TypeError):
        return None


def _told(message: str) -> timedelta | None:
    match = _AGAIN.search(message)
    if match is None:
        return None
    word = match[1].rstrip(".")
    return _duration(f"{word}s" if match[2] else word)


def _duration(text: str) -> timedelta | None:
    """A duration such as `1s`, `6m0s` or `120ms`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds, milliseconds = (float(group or 0) for group in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)


def encode_error(error: GatewayError) -> dict[str, Json]:
    """Write an error object."""
    row = error.row
    return {
        "error": {
            "message": error.message,
            "type": row.openai_type,
            "param": error.param,
            "code": row.openai_code,
        }
    }
