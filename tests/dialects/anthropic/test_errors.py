"""Errors: every one of Anthropic's has a reason, and every reason an error of Anthropic's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from dialects.anthropic.cases import ERRORS, each
from wire.recordings import Recording

from trunkline.dialects.anthropic import decode_error, encode_error
from trunkline.dialects.wire import dumps
from trunkline.errors import TABLE, GatewayError, invalid_request
from trunkline.v1.errors_pb2 import ErrorReason


def said(kind: str, message: str = "so it is") -> bytes:
    """The body of an error."""
    return dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})


@each(ERRORS)
def test_recorded_errors(recording: Recording) -> None:
    """Each recorded error has the reason of its status, and never tells of the gateway's key."""
    error = decode_error(recording.status, recording.headers, recording.body)
    names = {401: "PROVIDER_UNAUTHENTICATED", 404: "NOT_FOUND", 500: "PROVIDER_FAILED"}
    assert error.name == names[recording.status]
    assert error.provider_status == recording.status
    assert "x-api-key" not in error.message


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, "invalid_request_error", "INVALID_REQUEST"),
        (401, "authentication_error", "PROVIDER_UNAUTHENTICATED"),
        (402, "billing_error", "QUOTA_EXCEEDED"),
        (403, "permission_error", "PROVIDER_UNAUTHENTICATED"),
        (404, "not_found_error", "NOT_FOUND"),
        (413, "request_too_large", "REQUEST_TOO_LARGE"),
        (429, "rate_limit_error", "RATE_LIMITED"),
        (500, "api_error", "PROVIDER_FAILED"),
        (503, "api_error", "PROVIDER_UNAVAILABLE"),
        (504, "timeout_error", "PROVIDER_TIMEOUT"),
        (529, "overloaded_error", "PROVIDER_UNAVAILABLE"),
        (401, "invalid_request_error", "PROVIDER_UNAUTHENTICATED"),
        (418, "new_error", "PROVIDER_FAILED"),
        (400, "", "INVALID_REQUEST"),
    ],
)
def test_reasons(status: int, kind: str, name: str) -> None:
    """By its type where that is known, by its status otherwise."""
    assert decode_error(status, {}, said(kind)).name == name


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("prompt is too long: 219866 tokens > 200000 maximum", "CONTEXT_LENGTH_EXCEEDED"),
        (
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length",
            "CONTEXT_LENGTH_EXCEEDED",
        ),
        ("Your credit balance is too low to access the Anthropic API.", "QUOTA_EXCEEDED"),
        ("You have reached your specified API usage limits.", "QUOTA_EXCEEDED"),
        ("Output blocked by content filtering policy", "CONTENT_FILTERED"),
        ("messages.0: all messages must have non-empty content", "INVALID_REQUEST"),
    ],
)
def test_reasons_that_only_the_text_tells(message: str, name: str) -> None:
    """What `invalid_request_error` alone does not tell is read from its text, which stays: it has the numbers."""
    error = decode_error(400, {}, said("invalid_request_error", message))
    assert (error.name, error.message) == (name, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        (b"upstream connect error", "upstream connect error"),
        (b'{"type":"error","error":{"type":"api_er', '{"type":"error","error":{"type":"api_er'),
        (b"", "The provider answered with status 502."),
        (b'{"message":"from a proxy"}', "from a proxy"),
        (b'{"Message":"from AWS"}', "from AWS"),
        (b'{"error":"a text"}', "a text"),
        (b'[{"error":{"message":"from Google"}}]', "from Google"),
        (b"7", "The provider answered with status 502."),
    ],
)
def test_bodies_of_others(body: bytes, message: str) -> None:
    """The body of a proxy, or half of one, is read as far as it goes."""
    error = decode_error(502, {}, body)
    assert (error.name, error.message) == ("PROVIDER_FAILED", message)


def test_long_texts_are_cut() -> None:
    """The provider's text is at most a kilobyte."""
    assert len(decode_error(400, {}, said("invalid_request_error", "x" * 5000)).message) == 1024


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, timedelta(seconds=7)),
        ({}, None),
        (
            {
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
                "anthropic-ratelimit-requests-remaining": "3",
                "anthropic-ratelimit-requests-reset": "2026-11-21T10:05:00Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-21T10:00:30Z",
                "anthropic-ratelimit-output-tokens-remaining": "0",
                "anthropic-ratelimit-output-tokens-reset": "2026-11-21T10:00:10Z",
            },
            timedelta(seconds=30),
        ),
        (
            {
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-21T09:00:00Z",
            },
            timedelta(),
        ),
        (
            {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2026-11-21T10:00:00Z"},
            None,
        ),
        (
            {
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "soon",
            },
            None,
        ),
        (
            {
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-21T10:00:30",
            },
            None,
        ),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], wait: timedelta | None) -> None:
    """By `retry-after`, else by the reset of whatever is used up, measured from the answer's own date."""
    assert decode_error(429, headers, said("rate_limit_error")).retry_after == wait


@pytest.mark.parametrize("reason", TABLE)
def test_every_reason_is_written(reason: ErrorReason.ValueType) -> None:
    """Every reason has an error object of Anthropic's shape."""
    wire = encode_error(GatewayError(reason, "so it is"))
    assert wire == {"type": "error", "error": {"type": TABLE[reason].anthropic_type, "message": "so it is"}}


def test_threads_are_refused_so_that_clients_go_on_without() -> None:
    """The refusal of a `thread` holds the code by which Anthropic's SDKs send the whole conversation instead."""
    wire = encode_error(invalid_request("`thread` is not supported.", "thread"))
    assert wire["error"]["details"] == {"error_code": "thread_unsupported_request"}
