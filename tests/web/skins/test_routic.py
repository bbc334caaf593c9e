"""What Routic's clients are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from web.skins.asked import NOBODY, THEIRS, UNKNOWN, call_of, failure

from trunkline.web.skins.routic import RouticSkin

SKIN = RouticSkin()

ROWS: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("INVALID_REQUEST", {}, 400, "invalid_request_error", "invalid_request_error"),
    ("INVALID_REQUEST", {"param": "messages"}, 400, "invalid_request_error", "invalid_request_error"),
    ("INVALID_REQUEST", {"param": "messages[0].role"}, 400, "invalid_request_error", "invalid_message_format"),
    ("CONTEXT_LENGTH_EXCEEDED", {}, 400, "invalid_request_error", "context_length_exceeded"),
    ("CONTENT_FILTERED", {}, 400, "invalid_request_error", "content_filter"),
    ("UNSUPPORTED", {}, 400, "invalid_request_error", "unsupported_parameter"),
    ("UNAUTHENTICATED", {}, 401, "authentication_error", "invalid_api_key"),
    ("PERMISSION_DENIED", {}, 403, "invalid_request_error", "permission_denied"),
    ("NOT_FOUND", UNKNOWN, 400, "invalid_request_error", "invalid_model"),
    ("NOT_FOUND", NOBODY, 404, "invalid_request_error", "not_found"),
    ("NOT_FOUND", {**THEIRS, **UNKNOWN}, 404, "invalid_request_error", "model_not_found"),
    ("REQUEST_TOO_LARGE", {}, 413, "invalid_request_error", "request_too_large"),
    ("RATE_LIMITED", {}, 429, "rate_limit_error", "rate_limit_exceeded"),
    ("QUOTA_EXCEEDED", {}, 402, "insufficient_quota", "insufficient_quota"),
    ("PROVIDER_UNAVAILABLE", THEIRS, 503, "server_error", "provider_unavailable"),
    ("PROVIDER_UNAUTHENTICATED", THEIRS, 502, "server_error", "provider_unauthenticated"),
    ("PROVIDER_FAILED", THEIRS, 502, "server_error", "provider_error"),
    ("PROVIDER_TIMEOUT", THEIRS, 504, "server_error", "timeout"),
    ("CANCELLED", {}, 499, "server_error", "cancelled"),
    ("INTERNAL", {}, 500, "server_error", "internal_error"),
    ("UNAVAILABLE", {}, 503, "server_error", "gateway_unavailable"),
]


@pytest.mark.parametrize(("reason", "fields", "status", "kind", "code"), ROWS)
def test_errors(reason: str, fields: dict[str, Any], status: int, kind: str, code: str) -> None:
    """OpenAI's object and the id of the call, at once and within a stream; a bad model is told from a bad request."""
    error = failure(reason, **fields)
    refusal = SKIN.refusal(error, call_of())
    assert refusal is not None
    told = json.loads(refusal.body)

    assert refusal.status == status
    assert told["error"] == {
        "message": "So it is.",
        "type": kind,
        "code": code,
        "param": fields.get("param"),
        "request_id": "req_1",
    }
    assert json.loads((SKIN.broken(error, call_of(), {}) or b"").removeprefix(b"data: ")) == told


def test_messages_keep_anthropics_errors() -> None:
    """Routic publishes no shape of its own for them."""
    assert SKIN.refusal(failure("INTERNAL"), call_of("anthropic")) is None
    assert SKIN.broken(failure("INTERNAL"), call_of("anthropic"), {}) is None
