"""Errors: read from every server, written for clients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire.recordings import Recording, each_chat

from trunkline.dialects import openai
from trunkline.dialects.openai.errors import retry_after
from trunkline.dialects.wire import dumps
from trunkline.errors import TABLE, GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

_SENSIBLE: dict[int, set[ErrorReason.ValueType]] = {
    400: {
        errors_pb2.ERROR_REASON_INVALID_REQUEST,
        errors_pb2.ERROR_REASON_UNSUPPORTED,
        errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED,
        errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
    },
    401: {errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED},
    404: {errors_pb2.ERROR_REASON_NOT_FOUND},
    422: {errors_pb2.ERROR_REASON_INVALID_REQUEST},
    429: {errors_pb2.ERROR_REASON_RATE_LIMITED, errors_pb2.ERROR_REASON_QUOTA_EXCEEDED},
    503: {errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE},
}


@each_chat(lambda recording: recording.is_error)
def test_a_recorded_error_has_a_sensible_reason(recording: Recording) -> None:
    """And a text that says what happened, in which no key stands."""
    error = openai.decode_error(recording.status, recording.headers, recording.body)
    assert error.reason in _SENSIBLE[recording.status]
    assert error.provider_status == recording.status
    assert len(error.message) >= 10
    if "key" in recording.body.decode().lower() and "auth" in recording.id:
        assert error.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
        assert error.message == "The provider refused the gateway's own key."


@pytest.mark.parametrize(
    ("status", "body", "reason", "message"),
    [
        (400, {"code": "x", "error": "Incorrect API key provided: in***ey."}, "PROVIDER_UNAUTHENTICATED", "own key"),
        (401, {"detail": "Invalid API Key"}, "PROVIDER_UNAUTHENTICATED", "own key"),
        (400, {"message": "Nope", "request_id": "r"}, "INVALID_REQUEST", "Nope"),
        (400, {"object": "error", "message": "Nope", "type": "invalid_model", "code": 1500}, "NOT_FOUND", "Nope"),
        (422, {"detail": [{"loc": ["body"], "msg": "Field required"}]}, "INVALID_REQUEST", "Field required"),
        (429, {"message": "Slow down", "type": "too_many_requests_error"}, "RATE_LIMITED", "Slow down"),
        (429, {"error": {"message": "Slow down", "code": "429"}}, "RATE_LIMITED", "Slow down"),
        (429, {"error": {"message": "No credit", "code": "insufficient_quota"}}, "QUOTA_EXCEEDED", "No credit"),
        (402, {"error": {"message": "Insufficient Balance"}}, "QUOTA_EXCEEDED", "Insufficient"),
        (404, {"error": {"message": "No model", "code": 404}}, "NOT_FOUND", "No model"),
        (404, {"error": "model 'x' not found"}, "NOT_FOUND", "model 'x'"),
        (400, [{"error": {"message": "Nope", "status": "INVALID_ARGUMENT"}}], "INVALID_REQUEST", "Nope"),
        (200, {"error": {"message": "Busy", "code": 503}}, "PROVIDER_UNAVAILABLE", "Busy"),
        (200, {"error": {"message": "Broke", "code": "\u00b2"}}, "PROVIDER_FAILED", "Broke"),
        (
            400,
            {"error": {"message": "This model's maximum context length is 8 tokens", "code": None}},
            "CONTEXT_LENGTH_EXCEEDED",
            "maximum",
        ),
        (400, {"code": "invalid-argument", "error": "Model not found: grok-9"}, "NOT_FOUND", "grok-9"),
        (400, {"error": {"message": "a/b is not a valid model ID", "code": 400}}, "NOT_FOUND", "a/b"),
        (400, {"error": {"message": "Model a/b does not exist", "code": 400}}, "NOT_FOUND", "a/b"),
        (400, {"error": {"message": "Invalid model 'x'. Permitted models are", "code": 400}}, "NOT_FOUND", "Permitted"),
        (
            400,
            {"error": {"message": "request (9 tokens) exceeds the available context size (8 tokens)", "code": 400}},
            "CONTEXT_LENGTH_EXCEEDED",
            "9 tokens",
        ),
        (
            400,
            {"code": "invalid-argument", "error": "This model's maximum prompt length is 8 but the request has 9."},
            "CONTEXT_LENGTH_EXCEEDED",
            "maximum",
        ),
        (500, {"error": {"message": "Provider returned error", "metadata": {"raw": "why"}}}, "PROVIDER_FAILED", "why"),
        (500, 7, "PROVIDER_FAILED", "status 500"),
        (500, {"error": {"message": {"a": 1}}}, "PROVIDER_FAILED", "status 500"),
    ],
)
def test_an_error_goes_by_many_shapes(status: int, body: Any, reason: str, message: str) -> None:
    """xAI's, Mistral's four, FastAPI's, Cerebras' without a wrapper, Azure's and OpenRouter's codes, Gemini's list."""
    error = openai.decode_error(status, {}, dumps(body))
    assert error.name == reason
    assert message in error.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"upstream connect error", "upstream connect error"),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        (b"", "The provider answered with status 503."),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_an_error_need_not_be_json(body: bytes, message: str) -> None:
    """A proxy's page, a line of text, nothing."""
    error = openai.decode_error(503, {}, body)
    assert error.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
    assert error.message == message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e400"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "120ms"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9" * 400 + "d"}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """By the headers that servers send; what cannot be read tells nothing."""
    assert retry_after(headers) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Limit 10000, Used 9000, Requested 2000. Please try again in 6m0.5s. Visit", 360.5),
        ("Rate limit reached. Please try again in 120ms.", 0.12),
        ("Exceeded call rate limit. Please retry after 20 seconds.", 20),
        ("Please retry after 1 second.", 1),
        ("Please try again in a while.", None),
        ("Please try again in 20 minutes.", None),
        ("Please try again in " + "9" * 40, None),
    ],
)
def test_how_long_to_wait_in_words(message: str, seconds: float | None) -> None:
    """OpenAI, Groq and Azure say it so, where no header does; a header tells better."""
    body = dumps({"error": {"message": message, "code": "rate_limit_exceeded"}})
    told = None if seconds is None else timedelta(seconds=seconds)
    assert openai.decode_error(429, {}, body).retry_after == told
    assert openai.decode_error(429, {"retry-after": "3"}, body).retry_after == timedelta(seconds=3)
    assert openai.decode_error(400, {}, body).retry_after is None


@given(
    st.integers(100, 599), st.binary(max_size=100), st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text())
)
def test_any_error_can_be_read(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Whatever the body and the headers hold."""
    assert openai.decode_error(status, headers, body).reason in TABLE


def test_every_reason_has_a_row() -> None:
    """And each row an error object of OpenAI's shape."""
    assert set(TABLE) == set(ErrorReason.values()) - {errors_pb2.ERROR_REASON_UNSPECIFIED}
    for reason, row in TABLE.items():
        assert openai.encode_error(GatewayError(reason, "What.", param="a.b")) == {
            "error": {"message": "What.", "type": row.openai_type, "param": "a.b", "code": row.openai_code}
        }


@pytest.mark.parametrize("reason", sorted(TABLE))
def test_an_error_of_the_gateway_is_read_as_it_was_written(reason: ErrorReason.ValueType) -> None:
    """By another gateway of the same make. A key that it refuses is this one's own by then."""
    row = TABLE[reason]
    wire = dumps(openai.encode_error(GatewayError(reason, "What.")))
    read = openai.decode_error(row.http, {}, wire)
    expected = {
        errors_pb2.ERROR_REASON_UNAUTHENTICATED: errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
        errors_pb2.ERROR_REASON_PERMISSION_DENIED: errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED,
        errors_pb2.ERROR_REASON_CANCELLED: errors_pb2.ERROR_REASON_PROVIDER_FAILED,
        errors_pb2.ERROR_REASON_INTERNAL: errors_pb2.ERROR_REASON_PROVIDER_FAILED,
        errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED: errors_pb2.ERROR_REASON_PROVIDER_FAILED,
        errors_pb2.ERROR_REASON_UNAVAILABLE: errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
    }
    assert read.reason == expected.get(reason, reason)
