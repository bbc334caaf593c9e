"""Errors, as OpenRouter tells them.

https://openrouter.ai/docs/api-reference/errors-and-debugging
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from trunkline.call import Attempt, Call
from trunkline.dialects.openrouter.names import display_name
from trunkline.dialects.wire import Json
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

_DOCS: Final = "https://openrouter.ai/docs/api-reference/errors-and-debugging"
_MOST_ATTEMPTS: Final = 16


class Told(NamedTuple):
    """What is said of one error: the HTTP status, which is the code, and the type, which is the stable one."""

    status: int
    kind: str


TABLE: Final[dict[ErrorReason.ValueType, Told]] = {
    errors_pb2.ERROR_REASON_INVALID_REQUEST: Told(400, "invalid_request"),
    errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED: Told(400, "context_length_exceeded"),
    errors_pb2.ERROR_REASON_CONTENT_FILTERED: Told(400, "content_policy_violation"),
    errors_pb2.ERROR_REASON_UNSUPPORTED: Told(400, "invalid_request"),
    errors_pb2.ERROR_REASON_UNAUTHENTICATED: Told(401, "authentication"),
    errors_pb2.ERROR_REASON_PERMISSION_DENIED: Told(403, "permission_denied"),
    errors_pb2.ERROR_REASON_NOT_FOUND: Told(404, "not_found"),
    errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE: Told(413, "payload_too_large"),
    errors_pb2.ERROR_REASON_RATE_LIMITED: Told(429, "rate_limit_exceeded"),
    errors_pb2.ERROR_REASON_QUOTA_EXCEEDED: Told(402, "payment_required"),
    errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE: Told(503, "provider_overloaded"),
    errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED: Told(502, "provider_unavailable"),
    errors_pb2.ERROR_REASON_PROVIDER_FAILED: Told(502, "provider_unavailable"),
    errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT: Told(504, "timeout"),
    errors_pb2.ERROR_REASON_CANCELLED: Told(499, "unmapped"),
    errors_pb2.ERROR_REASON_INTERNAL: Told(500, "server"),
    errors_pb2.ERROR_REASON_UNAVAILABLE: Told(503, "provider_overloaded"),
}

_UNKNOWN_MODEL: Final = Told(400, "invalid_request")

_MESSAGES_TYPES: Final = {
    "authentication": "authentication_error",
    "permission_denied": "permission_error",
    "payment_required": "billing_error",
    "not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
    "provider_overloaded": "overloaded_error",
    "timeout": "timeout_error",
}
"""The types that Anthropic's clients are told; what else is the caller's fault is an `invalid_request_error`."""

_RESPONSES_CODES: Final = {
    "rate_limit_exceeded": "rate_limit_exceeded",
    "context_length_exceeded": "invalid_prompt",
    "invalid_request": "invalid_prompt",
    "content_policy_violation": "image_content_policy_violation",
}
"""The codes that clients of Responses are told; what else there is, is a `server_error`."""

_EXCLUDED_BY: Final = {
    "allowed_providers": "allowed_providers",
    "ignored_providers": "allowed_providers",
    "data_collection": "data_policy:training",
    "zero_data_retention": "data_policy:zdr",
    "distillable_text": "data_policy:training",
    "max_price": "max_price",
    "not free": "max_price",
    "quantizations": "quantization",
}
"""What left a target out -> OpenRouter's word; all else is a parameter that the target does not take."""

_TOO_LONG: Final = ("a context of ", "an answer of ")
"""How the reasons of targets begin that cannot read, or write, as much as is asked."""

_UNTOLD: Final = frozenset({401, 402, 429, 500})
"""The statuses that no route is told beside: who may not call, or called too often, did not come so far."""


def told(error: GatewayError, call: Call) -> Told:
    """What is said of `error`. A name that is no model's is the caller's mistake; one that nobody serves is missing."""
    return _UNKNOWN_MODEL if _is_unknown(error, call) else TABLE[error.reason]


def tells_route(error: GatewayError, call: Call) -> bool:
    """Whether the route is told beside `error`, where the caller wants it."""
    return told(error, call).status not in _UNTOLD


def encode_error(error: GatewayError, call: Call) -> dict[str, Json]:
    """Write the value of `error`."""
    status, kind = told(error, call)
    metadata: dict[str, Json] = {"error_type": kind}
    provider = error.provider or call.provider
    if provider:
        metadata["provider_name"] = display_name(provider)
    if error.provider_status is not None and status != 500:
        metadata["provider_code"] = error.provider_status
    previous = [_attempt(one) for one in _failed_before(error, call.attempts)]
    if previous:
        metadata["previous_errors"] = previous
    wire: dict[str, Json] = {"code": status, "message": error.message, "metadata": metadata}
    if error.param:
        # OpenRouter tells no parameter; OpenAI's clients look for it here.
        wire["param"] = error.param
    availability = _availability(error, call)
    if availability is not None:
        # OpenRouter's own examples have both of these here, and no code.
        wire |= {"error_type": kind, "http_status": status, "availability": availability}
    return wire


def encode_messages_error(error: GatewayError, call: Call, request_id: str) -> dict[str, Json]:
    """Write the error of Messages."""
    status, kind = told(error, call)
    fault = "invalid_request_error" if status < 500 else "api_error"
    inner = {"type": _MESSAGES_TYPES.get(kind, fault), "message": error.message, "error_type": kind}
    return {"type": "error", "error": inner, "request_id": request_id}


def responses_code(error: GatewayError, call: Call) -> str:
    """The code of a response that failed."""
    return _RESPONSES_CODES.get(told(error, call).kind, "server_error")


def _is_unknown(error: GatewayError, call: Call) -> bool:
    """Whether the name of a model is at fault, where it was not the address of what was asked for."""
    return error.unknown_model and call.operation != "get_model"


def _failed_before(error: GatewayError, attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    failed = [one for one in attempts if one.error is not None and one.error is not error]
    return failed[-_MOST_ATTEMPTS:]


def _attempt(attempt: Attempt) -> dict[str, Json]:
    code = TABLE[attempt.error.reason].status if attempt.error is not None else None
    return {"provider": display_name(attempt.provider), "code": code, "status": attempt.status}


def _availability(error: GatewayError, call: Call) -> dict[str, Json] | None:
    """Whether and when the model may be had; None where that is not what failed."""
    code, retryable = _availability_code(error, call)
    if not code:
        return None
    wire: dict[str, Json] = {"code": code, "retryable": retryable, "requested_models": [call.model]}
    if retryable and error.retry_after is not None:
        wire["retry_after"] = max(0, math.ceil(error.retry_after.total_seconds()))
    affected = sorted({display_name(one.provider) for one in call.attempts})
    if affected:
        wire["affected_providers"] = affected
    excluded_by = sorted({_excluded_by(reason) for reason in error.excluded_by})
    if excluded_by:
        wire["excluded_by"] = excluded_by
    wire["docs_url"] = _DOCS
    return wire


def _excluded_by(reason: str) -> str:
    return "context_length" if reason.startswith(_TOO_LONG) else _EXCLUDED_BY.get(reason, "require_parameters")


def _availability_code(error: GatewayError, call: Call) -> tuple[str, bool]:
    if _is_unknown(error, call):
        return "model_not_found", False
    match error.reason:
        case errors_pb2.ERROR_REASON_NOT_FOUND if error.provider is not None:
            return "model_unavailable_upstream", False
        case errors_pb2.ERROR_REASON_NOT_FOUND if error.param == "routing":
            return "constraint_filtered", False
        case errors_pb2.ERROR_REASON_RATE_LIMITED if error.provider is not None:
            return "capacity_exhausted", True
        case errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE:
            return "temporarily_unavailable", True
    return "", False
