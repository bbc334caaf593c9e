"""Errors, as Amazon Bedrock tells them: their type stands in a header, or in `__type`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline.dialects.openai.errors import retry_after
from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

_MOST_TEXT: Final = 1024

_BY_TYPE: Final[dict[str, ErrorReason.ValueType]] = {
    "validation": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "serialization": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "throttling": errors_pb2.ERROR_REASON_RATE_LIMITED,
    "toomanyrequests": errors_pb2.ERROR_REASON_RATE_LIMITED,
    "servicequotaexceeded": errors_pb2.ERROR_REASON_QUOTA_EXCEEDED,
    "resourcenotfound": errors_pb2.ERROR_REASON_NOT_FOUND,
    "unknownoperation": errors_pb2.ERROR_REASON_NOT_FOUND,
    "modelnotready": errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    "serviceunavailable": errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    "modeltimeout": errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    "internalserver": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    "internalfailure": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    "modelerror": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    "modelstreamerror": errors_pb2.ERROR_REASON_PROVIDER_FAILED,
    **dict.fromkeys(
        (
            "accessdenied",
            "expiredtoken",
            "incompletesignature",
            "invalidclienttokenid",
            "invalidsignature",
            "missingauthenticationtoken",
            "optinrequired",
            "requestexpired",
            "signaturedoesnotmatch",
            "unauthorized",
            "unrecognizedclient",
        ),
        errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    ),
}
"""The type of an error, in lower case and without `Exception`."""

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
    529: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
}

_BY_TEXT: Final[tuple[tuple[re.Pattern[str], ErrorReason.ValueType], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (
            (
                r"input is too long|prompt is too long|input tokens exceeded|too many input tokens"
                r"|number of (?:input )?tokens? .{0,64}exceed|exceed.{0,64}context (?:limit|window|length)"
                r"|maximum context length|maximum number of (?:input )?tokens"
            ),
            errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED,
        ),
        (
            r"model identifier is invalid|model id(?:entifier)? .{0,2048}(?:not found|does not exist)|end of its life",
            errors_pb2.ERROR_REASON_NOT_FOUND,
        ),
        (r"blocked by (?:the )?content filter", errors_pb2.ERROR_REASON_CONTENT_FILTERED),
        (
            r"this model does(?:n't| not) support|is not supported (?:for|by) this model",
            errors_pb2.ERROR_REASON_UNSUPPORTED,
        ),
    )
)
"""What a validation error alone does not tell."""


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Read an error: the body of a failed call, or, with status 200, an exception within a stream.

    By its type where that is known, by status otherwise. `headers` are looked up by lower-case name.
    """
    message, kind, original = _fields(body)
    kind = headers.get("x-amzn-errortype", "") or kind
    reason = _BY_TYPE.get(_plain(kind)) or _BY_STATUS.get(status) or errors_pb2.ERROR_REASON_PROVIDER_FAILED
    if reason == errors_pb2.ERROR_REASON_PROVIDER_FAILED and original is not None:
        # The model's own failure tells its status within.
        told = _BY_STATUS.get(original, reason)
        reason = told if original >= 429 else reason
    if reason == errors_pb2.ERROR_REASON_INVALID_REQUEST:
        reason = next((known for pattern, known in _BY_TEXT if pattern.search(message)), reason)
    if reason == errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED:
        # The provider's own text would tell the caller of an account that is not his.
        message = "The provider refused the gateway's own credentials."
    return GatewayError(
        reason,
        message[:_MOST_TEXT] or f"The provider answered with status {status}.",
        retry_after=retry_after(headers) if status in (429, 503, 529) else None,
        provider_status=status,
    )


def _plain(kind: str) -> str:
    """A type in lower case, without the namespace in front, the address behind and the word `Exception`."""
    return kind.rpartition("#")[2].partition(":")[0].strip().lower().removesuffix("exception")


def _fields(body: bytes) -> tuple[str, str, int | None]:
    """Message, type, and the status that the model itself answered with; of a body that is no JSON, such as a proxy's
    HTML page, its title or first line."""
    try:
        value = loads(body)
    except GatewayError:
        text = body[:65536].decode("utf-8", "replace")
        title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
        if title is not None:
            return title[1].strip(), "", None
        return ("" if "<" in text[:64] else text.strip().split("\n", 1)[0][:200]), "", None
    if isinstance(value, dict) and isinstance(value.get("Output"), dict):
        # The front of the service, where it does not know the path.
        value = value["Output"]
    if not isinstance(value, dict):
        return (value if isinstance(value, str) else ""), "", None
    original = value.get("originalStatusCode")
    message = _text(value, "message", "Message", "originalMessage")
    return message, _text(value, "__type", "code"), original if type(original) is int else None


def _text(value: dict[str, Json], *keys: str) -> str:
    return next((text for key in keys if isinstance(text := value.get(key), str) and text), "")
