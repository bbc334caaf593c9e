"""Errors of a call, as each provider that speaks Responses tells them."""

from __future__ import annotations

import pytest
from dialects.responses.cases import cases, each
from wire.recordings import Recording

from trunkline.dialects import responses
from trunkline.dialects.wire import dumps
from trunkline.errors import TABLE, GatewayError
from trunkline.v1.errors_pb2 import ErrorReason

_RECORDED = {
    "dd-trace-response-create-error": "NOT_FOUND",
    "handles-context-length-exceeded-e": "CONTEXT_LENGTH_EXCEEDED",
    "vercel-ai-openai-error-1": "QUOTA_EXCEEDED",
}
"""The end of a recording's id -> its reason; INVALID_REQUEST for all else."""


@each(lambda one: one.status != 200)
def test_a_recorded_error_has_its_reason(recording: Recording) -> None:
    """With the provider's own words, its status, and the field at fault."""
    error = responses.decode_error(recording.status, recording.headers, recording.body)
    expected = next((name for end, name in _RECORDED.items() if recording.id.endswith(end)), "INVALID_REQUEST")
    assert (error.name, error.provider_status) == (expected, recording.status)
    assert error.message.encode()[:20] in recording.body


def test_there_are_recorded_errors() -> None:
    """The law above is not empty."""
    assert sum(one.status != 200 for one in cases()) >= 7


@pytest.mark.parametrize(
    ("status", "body", "name"),
    [
        (401, b'{"error":{"message":"Wrong key: sk-1","code":"invalid_api_key"}}', "PROVIDER_UNAUTHENTICATED"),
        (400, b'{"code":"x","error":"Incorrect API key provided: xai-1."}', "PROVIDER_UNAUTHENTICATED"),
        (429, b'{"error":{"code":"429","message":"Too many"}}', "RATE_LIMITED"),
        (503, b"upstream connect error", "PROVIDER_UNAVAILABLE"),
        (502, b"<html><title>Bad gateway</title></html>", "PROVIDER_FAILED"),
        (500, b"{", "PROVIDER_FAILED"),
    ],
)
def test_errors_of_many_shapes(status: int, body: bytes, name: str) -> None:
    """xAI's text, Azure's codes in digits, proxies' pages, truncated JSON; never a word of the gateway's key."""
    error = responses.decode_error(status, {}, body)
    assert error.name == name
    assert "sk-1" not in error.message
    assert "xai-1" not in error.message


def test_how_long_to_wait() -> None:
    """By the headers."""
    error = responses.decode_error(429, {"retry-after": "7"}, b"{}")
    assert error.retry_after is not None
    assert error.retry_after.total_seconds() == 7


@pytest.mark.parametrize("reason", TABLE)
def test_every_reason_has_a_shape(reason: ErrorReason.ValueType) -> None:
    """OpenAI's, with a type and a text."""
    error = responses.encode_error(GatewayError(reason, "m", param="input"))["error"]
    assert error["type"] == TABLE[reason].openai_type
    assert (error["message"], error["param"]) == ("m", "input")
    assert responses.decode_error(TABLE[reason].http, {}, dumps({"error": error})).row.http >= 400
