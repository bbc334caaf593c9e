"""Errors as `google.rpc.Status`: what is told, what fits, and the way back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from trunkline.call import Call
from trunkline.core.status import error_of, status_of
from trunkline.errors import DOMAIN, TABLE, GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

REASONS = st.sampled_from(sorted(TABLE))
SHORT = st.text(st.characters(codec="utf-8"), max_size=60)
ANY_TEXT = st.text(st.characters(), max_size=3000)


def _call(model: str = "m") -> Call:
    call = Call(id="req_1", surface="grpc")
    call.model = model
    return call


@given(
    st.builds(
        GatewayError,
        REASONS,
        SHORT,
        param=st.none() | SHORT,
        retry_after=st.none() | st.timedeltas(timedelta(), timedelta(days=366)),
        provider=st.none() | SHORT.filter(bool),
        provider_status=st.none() | st.integers(100, 599),
    )
)
def test_way_back(error: GatewayError) -> None:
    """`error_of` is the inverse of `status_of`, for every reason."""
    assert vars(error_of(status_of(error, _call()))) == vars(error)


@given(
    st.builds(
        GatewayError,
        REASONS,
        ANY_TEXT,
        param=ANY_TEXT,
        retry_after=st.timedeltas(),
        provider=ANY_TEXT,
        provider_status=st.integers(),
    ),
    ANY_TEXT,
)
def test_any_text_fits(error: GatewayError, model: str) -> None:
    """Whatever the texts hold, and however long they are, a status is made, and small."""
    status = status_of(error, _call(model))
    assert len(status.message.encode()) <= 1024
    assert status.ByteSize() < 4096
    assert error_of(status).reason == error.reason


def test_each_detail_once_and_only_where_known() -> None:
    """An error that knows nothing more has its `ErrorInfo` alone, with the id of the call."""
    call = Call(id="req_1", surface="native")
    status = status_of(GatewayError(errors_pb2.ERROR_REASON_INTERNAL, "Oh."), call)
    assert (status.code, status.message) == (code_pb2.INTERNAL, "Oh.")
    info = error_details_pb2.ErrorInfo()
    [detail] = status.details
    assert detail.Unpack(info)
    assert info == error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"requestId": "req_1"})


@pytest.mark.parametrize("reason", TABLE, ids=ErrorReason.Name)
def test_code_of_each_row(reason: ErrorReason.ValueType) -> None:
    """The code is the table's, and alone it tells as much as it can."""
    status = status_of(GatewayError(reason, "Oh."), _call())
    assert status.code == TABLE[reason].grpc
    del status.details[:]
    assert error_of(status).message == "Oh."


@given(st.integers(0, 20), st.lists(st.binary(max_size=40)), st.sampled_from(["ErrorInfo", "RetryInfo", "BadRequest"]))
def test_any_status_is_read(code: int, details: list[bytes], name: str) -> None:
    """A status of another's making, however broken, is some error."""
    status = status_pb2.Status(code=code, message="Oh.")
    for value in details:
        status.details.append(any_pb2.Any(type_url=f"type.googleapis.com/google.rpc.{name}", value=value))
    assert error_of(status).reason in TABLE


def test_info_of_another_domain() -> None:
    """The reason of another domain is not taken for ours."""
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="Oh.")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="RATE_LIMITED", domain="googleapis.com"))
    assert error_of(status).name == "PROVIDER_UNAVAILABLE"


def test_reason_of_a_newer_gateway() -> None:
    """A reason that is not known yet is read by its code."""
    status = status_pb2.Status(code=code_pb2.NOT_FOUND, message="Oh.")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="LOST_AT_SEA", domain=DOMAIN))
    assert error_of(status).name == "NOT_FOUND"
