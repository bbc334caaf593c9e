"""The one way in which a call fails, and the one table of what each surface says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from google.rpc import code_pb2

from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

DOMAIN: Final = "trunkline"
"""The `domain` of every `google.rpc.ErrorInfo` that the gateway sends."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the surfaces and the core do about one `ErrorReason`.

    `grpc` is a `google.rpc.Code`. `openai_type` and `openai_code` fill OpenAI's error object; `anthropic_type` and
    `anthropic_http` Anthropic's. `retry` tells whether the same target may be asked again, `fall_back` whether another
    one may.
    """

    grpc: int
    http: int
    openai_type: str
    openai_code: str | None
    anthropic_type: str
    anthropic_http: int
    retry: bool
    fall_back: bool


def _row(
    grpc: int,
    http: int,
    openai: tuple[str, str | None],
    anthropic: tuple[str, int],
    *,
    retry: bool = False,
    fall_back: bool = False,
) -> Row:
    return Row(grpc, http, *openai, *anthropic, retry=retry, fall_back=fall_back)


_INVALID = "invalid_request_error"

TABLE: Final[dict[ErrorReason.ValueType, Row]] = {
    errors_pb2.ERROR_REASON_INVALID_REQUEST: _row(code_pb2.INVALID_ARGUMENT, 400, (_INVALID, None), (_INVALID, 400)),
    errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED: _row(
        code_pb2.INVALID_ARGUMENT, 400, (_INVALID, "context_length_exceeded"), (_INVALID, 400), fall_back=True
    ),
    errors_pb2.ERROR_REASON_CONTENT_FILTERED: _row(
        code_pb2.INVALID_ARGUMENT, 400, (_INVALID, "content_filter"), (_INVALID, 400)
    ),
    errors_pb2.ERROR_REASON_UNSUPPORTED: _row(
        code_pb2.INVALID_ARGUMENT, 400, (_INVALID, "unsupported_parameter"), (_INVALID, 400), fall_back=True
    ),
    errors_pb2.ERROR_REASON_UNAUTHENTICATED: _row(
        code_pb2.UNAUTHENTICATED, 401, (_INVALID, "invalid_api_key"), ("authentication_error", 401)
    ),
    errors_pb2.ERROR_REASON_PERMISSION_DENIED: _row(
        code_pb2.PERMISSION_DENIED, 403, (_INVALID, "permission_denied"), ("permission_error", 403)
    ),
    errors_pb2.ERROR_REASON_NOT_FOUND: _row(
        code_pb2.NOT_FOUND, 404, (_INVALID, "model_not_found"), ("not_found_error", 404), fall_back=True
    ),
    errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE: _row(
        code_pb2.INVALID_ARGUMENT, 413, (_INVALID, "request_too_large"), ("request_too_large", 413), fall_back=True
    ),
    errors_pb2.ERROR_REASON_RATE_LIMITED: _row(
        code_pb2.RESOURCE_EXHAUSTED,
        429,
        ("rate_limit_error", "rate_limit_exceeded"),
        ("rate_limit_error", 429),
        retry=True,
        fall_back=True,
    ),
    errors_pb2.ERROR_REASON_QUOTA_EXCEEDED: _row(
        code_pb2.RESOURCE_EXHAUSTED,
        429,
        ("insufficient_quota", "insufficient_quota"),
        ("billing_error", 402),
        fall_back=True,
    ),
    errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE: _row(
        code_pb2.UNAVAILABLE,
        503,
        ("server_error", "provider_unavailable"),
        ("overloaded_error", 529),
        retry=True,
        fall_back=True,
    ),
    errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED: _row(
        code_pb2.FAILED_PRECONDITION,
        502,
        ("server_error", "provider_unauthenticated"),
        ("api_error", 502),
        fall_back=True,
    ),
    errors_pb2.ERROR_REASON_PROVIDER_FAILED: _row(
        code_pb2.UNKNOWN, 502, ("server_error", "provider_error"), ("api_error", 502), retry=True, fall_back=True
    ),
    errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT: _row(
        code_pb2.DEADLINE_EXCEEDED, 504, ("server_error", "timeout"), ("timeout_error", 504), fall_back=True
    ),
    errors_pb2.ERROR_REASON_CANCELLED: _row(code_pb2.CANCELLED, 499, ("server_error", "cancelled"), ("api_error", 499)),
    errors_pb2.ERROR_REASON_INTERNAL: _row(
        code_pb2.INTERNAL, 500, ("server_error", "internal_error"), ("api_error", 500)
    ),
    errors_pb2.ERROR_REASON_UNAVAILABLE: _row(
        code_pb2.UNAVAILABLE, 503, ("server_error", "gateway_unavailable"), ("overloaded_error", 529)
    ),
}


class GatewayError(Exception):
    """A call failed, for a reason that every surface can tell.

    `param` names the field at fault as the caller wrote it, such as `messages[2].content[0].image_url`. `retry_after`
    is how long to wait, where that is known. `provider` and `provider_status` tell whose answer it was. `excluded_by`
    are the reasons that left nobody who may answer, where that is the error.
    """

    def __init__(
        self,
        reason: ErrorReason.ValueType,
        message: str,
        *,
        param: str | None = None,
        retry_after: timedelta | None = None,
        provider: str | None = None,
        provider_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.reason: ErrorReason.ValueType = reason
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.provider = provider
        self.provider_status = provider_status
        self.excluded_by: Sequence[str] = ()

    @property
    def row(self) -> Row:
        """What the surfaces say about it."""
        return TABLE[self.reason]

    @property
    def unknown_model(self) -> bool:
        """Whether the gateway itself knows no model of the name that was asked for."""
        return self.reason == errors_pb2.ERROR_REASON_NOT_FOUND and self.param == "model" and self.provider is None

    @property
    def name(self) -> str:
        """The reason without its prefix, such as `RATE_LIMITED`."""
        return ErrorReason.Name(self.reason).removeprefix("ERROR_REASON_")

    def __repr__(self) -> str:
        return f"GatewayError({self.name}, {self.message!r}, param={self.param!r})"


def invalid_request(message: str, param: str | None = None) -> GatewayError:
    """The request is malformed; `param` names the field at fault."""
    return GatewayError(errors_pb2.ERROR_REASON_INVALID_REQUEST, message, param=param)


def unsupported(message: str, param: str | None = None) -> GatewayError:
    """The request asks for what the target cannot do."""
    return GatewayError(errors_pb2.ERROR_REASON_UNSUPPORTED, message, param=param)


def not_found(message: str, param: str | None = None) -> GatewayError:
    """No such model, or no such path."""
    return GatewayError(errors_pb2.ERROR_REASON_NOT_FOUND, message, param=param)


def provider_failed(message: str, *, provider: str | None = None, status: int | None = None) -> GatewayError:
    """The provider answered with an error, or with what cannot be read."""
    return GatewayError(errors_pb2.ERROR_REASON_PROVIDER_FAILED, message, provider=provider, provider_status=status)


def unavailable(message: str) -> GatewayError:
    """The gateway can take no more calls for now."""
    return GatewayError(errors_pb2.ERROR_REASON_UNAVAILABLE, message)


def internal(message: str) -> GatewayError:
    """The gateway itself is at fault; the message must not tell its inside."""
    return GatewayError(errors_pb2.ERROR_REASON_INTERNAL, message)
