"""An error as a `google.rpc.Status`, and back: the form of errors in gRPC and in the native HTTP surface."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import Final

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from trunkline.call import Call
from trunkline.errors import DOMAIN, TABLE, GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

# A status travels in the trailers of a call, for which a client takes about 8 KiB: the message once as it is, where
# each byte may become three, and once more in the details, where three bytes become four.
_MESSAGE: Final = 1024
_DESCRIPTION: Final = 512
_NAME: Final = 256

_LONGEST_DELAY: Final = timedelta(days=366)
_HTTP_STATUS: Final = re.compile(r"[0-9]{1,9}")

_BY_NAME: Final = {ErrorReason.Name(reason).removeprefix("ERROR_REASON_"): reason for reason in TABLE}

_BY_CODE: Final[dict[int, ErrorReason.ValueType]] = {
    code_pb2.CANCELLED: errors_pb2.ERROR_REASON_CANCELLED,
    code_pb2.INVALID_ARGUMENT: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    code_pb2.OUT_OF_RANGE: errors_pb2.ERROR_REASON_INVALID_REQUEST,
    code_pb2.DEADLINE_EXCEEDED: errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
    code_pb2.NOT_FOUND: errors_pb2.ERROR_REASON_NOT_FOUND,
    code_pb2.PERMISSION_DENIED: errors_pb2.ERROR_REASON_PERMISSION_DENIED,
    code_pb2.UNAUTHENTICATED: errors_pb2.ERROR_REASON_UNAUTHENTICATED,
    code_pb2.RESOURCE_EXHAUSTED: errors_pb2.ERROR_REASON_RATE_LIMITED,
    code_pb2.UNIMPLEMENTED: errors_pb2.ERROR_REASON_UNSUPPORTED,
    code_pb2.UNAVAILABLE: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
}
"""What a status without an `ErrorInfo` of ours says: it was not this gateway that wrote it. INTERNAL otherwise."""


def status_of(error: GatewayError, call: Call) -> status_pb2.Status:
    """What a caller is told of `error`: `ErrorInfo` always, `RetryInfo`, `BadRequest` and, of a limit of the gateway's
    own, `QuotaFailure` where there is something to tell. Texts are cut to what fits in the trailers of a call."""
    message = _cut(error.message, _MESSAGE)
    info = error_details_pb2.ErrorInfo(reason=error.name, domain=DOMAIN)
    known = {
        "requestId": call.id,
        "model": call.model,
        "provider": error.provider,
        "providerStatus": None if error.provider_status is None else str(error.provider_status),
    }
    for key, value in known.items():
        if value:
            info.metadata[key] = _cut(value, _NAME)
    status = status_pb2.Status(code=error.row.grpc, message=message)
    status.details.add().Pack(info)
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(min(max(error.retry_after, timedelta()), _LONGEST_DELAY))
        status.details.add().Pack(retry)
    if error.row.grpc == code_pb2.RESOURCE_EXHAUSTED and not error.provider:
        quota = error_details_pb2.QuotaFailure()
        quota.violations.add(subject=_cut(call.owner.account, _NAME), description=_cut(message, _DESCRIPTION))
        status.details.add().Pack(quota)
    if error.param is not None:
        bad = error_details_pb2.BadRequest()
        bad.field_violations.add(field=_cut(error.param, _NAME), description=_cut(message, _DESCRIPTION))
        status.details.add().Pack(bad)
    return status


def error_of(status: status_pb2.Status) -> GatewayError:
    """The error that `status` tells of, the inverse of `status_of`. A status of another's making keeps its message, and
    its code decides the reason."""
    error = GatewayError(_BY_CODE.get(status.code, errors_pb2.ERROR_REASON_INTERNAL), status.message)
    for detail in status.details:
        with suppress(DecodeError):  # one that cannot be read tells nothing; the others still do
            _read(detail, error)
    return error


def _read(detail: any_pb2.Any, error: GatewayError) -> None:
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    bad = error_details_pb2.BadRequest()
    if detail.Unpack(info):
        if info.domain != DOMAIN:
            return
        error.reason = _BY_NAME.get(info.reason, error.reason)
        error.provider = info.metadata.get("provider")
        given = info.metadata.get("providerStatus", "")
        error.provider_status = int(given) if _HTTP_STATUS.fullmatch(given) else None
    elif detail.Unpack(retry):
        seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        error.retry_after = timedelta(seconds=min(max(seconds, 0.0), _LONGEST_DELAY.total_seconds()))
    elif detail.Unpack(bad) and bad.field_violations:
        error.param = bad.field_violations[0].field


def _cut(text: str, size: int) -> str:
    """At most `size` bytes of `text` in UTF-8; what UTF-8 cannot hold becomes `?`."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
