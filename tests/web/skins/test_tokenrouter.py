"""What TokenRouter's clients are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from web.skins.asked import NOBODY, REASONS, THEIRS, UNKNOWN, call_of, failure

from trunkline.web.skins.tokenrouter import TABLE, TokenRouterSkin

SKIN = TokenRouterSkin()

ROWS: list[tuple[str, dict[str, Any], int, str, str | None]] = [
    ("INVALID_REQUEST", {}, 400, "invalid_request_error", None),
    ("CONTEXT_LENGTH_EXCEEDED", {}, 400, "invalid_request_error", "context_length_exceeded"),
    ("CONTENT_FILTERED", {}, 400, "invalid_request_error", "content_filter"),
    ("UNSUPPORTED", {}, 400, "invalid_request_error", "unsupported_parameter"),
    ("UNAUTHENTICATED", {}, 401, "unauthorized_error", "invalid_api_key"),
    ("PERMISSION_DENIED", {}, 403, "authorization_error", "permission_denied"),
    ("NOT_FOUND", {}, 404, "not_found_error", "model_not_found"),
    ("NOT_FOUND", UNKNOWN, 400, "invalid_request_error", "model_not_found"),
    ("NOT_FOUND", NOBODY, 422, "routing_error", "model_not_found"),
    ("REQUEST_TOO_LARGE", {}, 413, "invalid_request_error", "request_too_large"),
    ("RATE_LIMITED", {}, 429, "rate_limit_error", "rate_limit_exceeded"),
    ("QUOTA_EXCEEDED", {}, 403, "authorization_error", "insufficient_quota"),
    ("PROVIDER_UNAVAILABLE", THEIRS, 503, "provider_error", "provider_unavailable"),
    ("PROVIDER_UNAUTHENTICATED", THEIRS, 502, "provider_error", "provider_unauthenticated"),
    ("PROVIDER_FAILED", THEIRS, 502, "provider_error", "provider_error"),
    ("PROVIDER_TIMEOUT", THEIRS, 504, "provider_error", "timeout"),
    ("CANCELLED", {}, 499, "server_error", "cancelled"),
    ("INTERNAL", {}, 500, "server_error", "internal_error"),
    ("UNAVAILABLE", {}, 503, "server_error", "gateway_unavailable"),
]


@pytest.mark.parametrize(("reason", "fields", "status", "kind", "code"), ROWS)
def test_errors(reason: str, fields: dict[str, Any], status: int, kind: str, code: str | None) -> None:
    """Each reason has its status and type; the status is in the body, too, and so is the provider at fault."""
    error = failure(reason, **fields)
    refusal = SKIN.refusal(error, call_of())
    assert refusal is not None
    told = json.loads(refusal.body)["error"]
    message = told.pop("message")

    assert refusal.status == status
    assert told == {
        "type": kind,
        "code": code,
        "provider": fields.get("provider"),
        "http_status": status,
        "raw": None,
    }
    assert message.endswith("So it is.")
    assert json.loads((SKIN.broken(error, call_of(), {}) or b"").removeprefix(b"data: "))["error"]["type"] == kind


def test_every_reason_has_a_row() -> None:
    """No reason is without."""
    assert sorted(TABLE) == REASONS


def test_a_quota_is_called_so() -> None:
    """Its clients tell a quota from a missing permission by the word alone."""
    refusal = SKIN.refusal(failure("QUOTA_EXCEEDED"), call_of())

    assert refusal is not None
    assert "quota" in refusal.body.decode()


def test_fields() -> None:
    """An answer tells how long it took, how its target was chosen, and its id."""
    told = dict(SKIN.fields(call_of(routing_mode="balance")))

    assert isinstance(told.pop("latency_ms"), int)
    assert told == {"routing_mode": "balance", "x_request_id": "req_1"}
    assert SKIN.fields(call_of())["routing_mode"] == "direct"


def test_a_response_tells_its_route_in_its_metadata() -> None:
    """Beside what its caller put there."""
    body: dict[str, Any] = {"metadata": {"mine": "1"}}
    SKIN.settle(body, call_of("responses", "groq", routing_mode="cost"), None)

    assert body["metadata"].pop("latency_ms").isdigit()
    assert body["metadata"] == {"mine": "1", "provider": "groq", "routing_mode": "cost", "request_id": "req_1"}


def test_messages_keep_anthropics_errors() -> None:
    """TokenRouter has none."""
    assert SKIN.refusal(failure("INTERNAL"), call_of("anthropic")) is None
    assert SKIN.broken(failure("INTERNAL"), call_of("anthropic"), {}) is None
