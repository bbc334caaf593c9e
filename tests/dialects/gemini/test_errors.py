"""Errors: by Google's own words, with the time to wait, and none of the gateway's secrets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dialects.gemini.cases import ERRORS, each
from google.genai.errors import APIError
from wire.recordings import Recording

from trunkline.dialects import gemini
from trunkline.dialects.wire import dumps
from trunkline.errors import TABLE, GatewayError
from trunkline.v1 import errors_pb2

REASONS = {
    400: {errors_pb2.ERROR_REASON_INVALID_REQUEST},
    403: {errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED},
    404: {errors_pb2.ERROR_REASON_NOT_FOUND},
    429: {errors_pb2.ERROR_REASON_RATE_LIMITED},
    503: {errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE},
}


@each(ERRORS)
def test_recorded_errors(recording: Recording) -> None:
    """Each recorded error has the reason that its status means, and a text."""
    error = gemini.decode_error(recording.status, recording.headers, recording.body)
    assert error.reason in REASONS[recording.status]
    assert error.message
    assert error.provider_status == recording.status


def read(status: int, error: Any, headers: dict[str, str] | None = None) -> GatewayError:
    """Read an error object."""
    return gemini.decode_error(status, headers or {}, dumps({"error": error}))


def info(reason: str) -> dict[str, str]:
    """A detail that tells the reason."""
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


@pytest.mark.parametrize(
    "error",
    [
        {"code": 400, "status": "INVALID_ARGUMENT", "message": "secret", "details": [info("API_KEY_INVALID")]},
        {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key expired. Please renew the API key."},
        {"code": 401, "status": "UNAUTHENTICATED", "message": "secret"},
        {"code": 403, "status": "PERMISSION_DENIED", "message": "secret project 12345"},
    ],
)
def test_bad_key_is_our_own(error: dict[str, Any]) -> None:
    """A bad key, which Google calls a bad request, is the gateway's fault, and its text tells nothing of the key."""
    found = read(error["code"], error)
    assert found.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
    assert found.message == "The provider refused the gateway's own key."


@pytest.mark.parametrize("reason", [["API_KEY_INVALID"], {}, None, 7])
def test_a_reason_that_is_no_text(reason: Any) -> None:
    """It tells nothing, and the rest of the error is read."""
    found = read(400, {"code": 400, "status": "INVALID_ARGUMENT", "message": "Wrong.", "details": [info(reason)]})
    assert (found.reason, found.message) == (errors_pb2.ERROR_REASON_INVALID_REQUEST, "Wrong.")


def test_context_length() -> None:
    """A prompt that is too long is told with its numbers."""
    text = "The input token count (1200001) exceeds the maximum number of tokens allowed (1048576)."
    found = read(400, {"code": 400, "status": "INVALID_ARGUMENT", "message": text})
    assert (found.reason, found.message) == (errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED, text)


@pytest.mark.parametrize(("delay", "seconds"), [("48s", 48.0), ("0.5s", 0.5), ("soon", None)])
def test_time_to_wait(delay: str, seconds: float | None) -> None:
    """How long to wait is in the details."""
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    found = read(429, {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Slow.", "details": [detail]})
    assert found.reason == errors_pb2.ERROR_REASON_RATE_LIMITED
    assert found.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_time_to_wait_in_a_header() -> None:
    """A proxy before Google says it in a header."""
    assert read(503, {"status": "UNAVAILABLE"}, {"retry-after": "7"}).retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("quota", "reason"),
    [
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", errors_pb2.ERROR_REASON_QUOTA_EXCEEDED),
        ("GenerateContentPaidTierInputTokensPerModelPerMinute", errors_pb2.ERROR_REASON_RATE_LIMITED),
    ],
)
def test_allowance_of_a_day(quota: str, reason: int) -> None:
    """Where the allowance of a day is used up, waiting for seconds does not help."""
    detail = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}, 1]}
    assert read(429, {"status": "RESOURCE_EXHAUSTED", "details": [detail, 1]}).reason == reason


@pytest.mark.parametrize(
    ("status", "body", "reason", "message"),
    [
        (
            503,
            b'[{"error":{"code":503,"status":"UNAVAILABLE","message":"Busy."}}]',
            errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
            "Busy.",
        ),
        (
            200,
            b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Slow."}}',
            errors_pb2.ERROR_REASON_RATE_LIMITED,
            "Slow.",
        ),
        (
            200,
            b'{"error":{"message":"?"}}',
            errors_pb2.ERROR_REASON_PROVIDER_FAILED,
            "?",
        ),
        (
            404,
            b"<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title>",
            errors_pb2.ERROR_REASON_NOT_FOUND,
            "Error 404 (Not Found)!!1",
        ),
        (502, b"upstream connect error", errors_pb2.ERROR_REASON_PROVIDER_FAILED, "upstream connect error"),
        (413, b"", errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE, "The provider answered with status 413."),
        (
            500,
            b'{"error":{"status":"INTERNAL"',
            errors_pb2.ERROR_REASON_PROVIDER_FAILED,
            '{"error":{"status":"INTERNAL"',
        ),
        (400, b'{"error":"invalid_scope","error_description":"Bad."}', errors_pb2.ERROR_REASON_INVALID_REQUEST, "Bad."),
        (500, b"[]", errors_pb2.ERROR_REASON_PROVIDER_FAILED, "The provider answered with status 500."),
    ],
)
def test_shapes(status: int, body: bytes, reason: int, message: str) -> None:
    """Errors come in arrays, within streams, as a proxy's page, cut off and empty."""
    found = gemini.decode_error(status, {}, body)
    assert (found.reason, found.message) == (reason, message)


@pytest.mark.parametrize("reason", TABLE)
def test_every_reason_is_an_error_to_the_sdk(reason: int) -> None:
    """What is written of each reason has Google's form, and is read with the status that the table names."""
    error = GatewayError(reason, "No.", param="contents[0]", retry_after=timedelta(seconds=1.5))  # type: ignore[arg-type]
    wire = gemini.encode_error(error)
    raised = APIError(wire["error"]["code"], wire)
    assert (raised.code, raised.message) == (error.row.http, "No.")
    assert raised.status == wire["error"]["status"]
    details = {detail["@type"].rpartition(".")[2]: detail for detail in wire["error"]["details"]}
    assert details["ErrorInfo"]["reason"] == error.name
    assert details["RetryInfo"]["retryDelay"] == "1.500s"
    assert details["BadRequest"]["fieldViolations"][0]["field"] == "contents[0]"
    read = gemini.decode_error(wire["error"]["code"], {}, dumps(wire))
    assert read.retry_after == (timedelta(seconds=1.5) if error.row.http in (429, 500, 503) else None)
