"""An error as the status and the trailing metadata of a gRPC call, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from trunkline.call import Call
from trunkline.core.status import error_of, status_of
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

DETAILS: Final = "grpc-status-details-bin"
"""The trailing metadata that holds the whole `google.rpc.Status`."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def to_trailers(error: GatewayError, call: Call) -> tuple[grpc.StatusCode, str, tuple[str, bytes]]:
    """The code and the details that a call ends with, and the metadatum to send after it."""
    status = status_of(error, call)
    return _CODES[status.code], status.message, (DETAILS, status.SerializeToString())


def from_rpc_error(error: grpc.RpcError) -> GatewayError:
    """The error that a call of a stub, aio or not, failed with; from its code alone where it did not come from a
    gateway."""
    code, message = error.code(), error.details() or ""
    # Pairs, whatever the stubs say; bytes where the key ends in `-bin`.
    trailers = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in trailers:
        if key == DETAILS and isinstance(value, bytes):
            try:
                return error_of(status_pb2.Status.FromString(value))
            except DecodeError:
                break
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message:
        return GatewayError(errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE, message)
    return error_of(status_pb2.Status(code=code.value[0], message=message))
