"""Errors: each has its reason, by its type, its status or its words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects import bedrock


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, "ValidationException", "INVALID_REQUEST"),
        (429, "ThrottlingException", "RATE_LIMITED"),
        (429, "ModelNotReadyException", "PROVIDER_UNAVAILABLE"),
        (400, "ServiceQuotaExceededException", "QUOTA_EXCEEDED"),
        (403, "AccessDeniedException", "PROVIDER_UNAUTHENTICATED"),
        (403, "ExpiredTokenException", "PROVIDER_UNAUTHENTICATED"),
        (403, "InvalidSignatureException", "PROVIDER_UNAUTHENTICATED"),
        (403, "IncompleteSignature", "PROVIDER_UNAUTHENTICATED"),
        (404, "ResourceNotFoundException", "NOT_FOUND"),
        (408, "ModelTimeoutException", "PROVIDER_TIMEOUT"),
        (424, "ModelErrorException", "PROVIDER_FAILED"),
        (500, "InternalServerException", "PROVIDER_FAILED"),
        (503, "ServiceUnavailableException", "PROVIDER_UNAVAILABLE"),
        (429, "SomethingNewException", "RATE_LIMITED"),
        (500, "SomethingNewException", "PROVIDER_FAILED"),
        (413, "", "REQUEST_TOO_LARGE"),
        (418, "", "PROVIDER_FAILED"),
    ],
)
def test_the_type_tells_more_than_the_status(status: int, kind: str, name: str) -> None:
    """The type stands in a header, with an address behind it, or in the body, with a namespace in front."""
    address = "http://internal.amazon.com/coral/com.amazon.bedrock/"
    body = json.dumps({"message": "words"}).encode()
    headers = {"x-amzn-errortype": f"{kind}:{address}"} if kind else {}
    assert bedrock.decode_error(status, headers, body).name == name
    inside = json.dumps({"__type": f"com.amazon.coral.service#{kind}", "Message": "words"}).encode()
    error = bedrock.decode_error(status, {}, inside)
    assert error.name == name
    if name != "PROVIDER_UNAUTHENTICATED":
        assert error.message == "words"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Input is too long for requested model.", "CONTEXT_LENGTH_EXCEEDED"),
        ("prompt is too long: 210000 tokens > 200000 maximum", "CONTEXT_LENGTH_EXCEEDED"),
        ("Too many input tokens. Max input tokens: 8192, request input token count: 9000", "CONTEXT_LENGTH_EXCEEDED"),
        ("input length and `max_tokens` exceed context limit: 195000 + 21333 > 200000", "CONTEXT_LENGTH_EXCEEDED"),
        ("This model's maximum context length is 8192 tokens.", "CONTEXT_LENGTH_EXCEEDED"),
        ("The provided model identifier is invalid.", "NOT_FOUND"),
        ("This model version has reached the end of its life.", "NOT_FOUND"),
        ("Output blocked by content filtering policy", "CONTENT_FILTERED"),
        ("This model doesn't support the toolConfig.toolChoice.any field.", "UNSUPPORTED"),
        ("Messages can't contain duplicate document names.", "INVALID_REQUEST"),
    ],
)
def test_the_words_of_a_validation_error(text: str, name: str) -> None:
    """What the type does not tell is told by the words, which stay as they are, with their numbers."""
    headers = {"x-amzn-errortype": "ValidationException:http://x/"}
    error = bedrock.decode_error(400, headers, json.dumps({"message": text}).encode())
    assert (error.name, error.message) == (name, text)


def test_how_long_to_wait() -> None:
    """The time that a header tells is told."""
    error = bedrock.decode_error(429, {"x-amzn-errortype": "ThrottlingException:x", "retry-after": "7"}, b"{}")
    assert error.retry_after is not None
    assert error.retry_after.total_seconds() == 7
    assert error.message == "The provider answered with status 429."


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><title>Bad Gateway</title></html>", "Bad Gateway"),
        (b"<html>", "The provider answered with status 502."),
        (b"upstream is down\nline 2", "upstream is down"),
        (b'"words"', "words"),
        (b"[]", "The provider answered with status 502."),
        (b'{"message":5}', "The provider answered with status 502."),
        (b'{"message":"cut', '{"message":"cut'),
        (b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}', ""),
    ],
)
def test_bodies_of_other_shapes(body: bytes, message: str) -> None:
    """A proxy's page, a plain text and cut JSON are errors like any other."""
    error = bedrock.decode_error(502, {}, body)
    assert error.name == ("PROVIDER_FAILED" if message else "NOT_FOUND")
    assert error.message == (message or "The provider answered with status 502.")


def test_long_words_are_cut() -> None:
    """What a provider says is bounded."""
    body: Any = json.dumps({"message": "x" * 5000}).encode()
    assert len(bedrock.decode_error(400, {}, body).message) == 1024
