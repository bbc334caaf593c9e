"""What routing.run's clients are told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from web.skins.asked import NOBODY, REASONS, THEIRS, UNKNOWN, call_of, failure

from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse
from trunkline.web.skins.routing_run import TABLE, RoutingRunSkin

SKIN = RoutingRunSkin()

ROWS: list[tuple[str, dict[str, Any], int, str]] = [
    ("INVALID_REQUEST", {}, 400, "INVALID_REQUEST"),
    ("CONTEXT_LENGTH_EXCEEDED", {}, 400, "CONTEXT_LENGTH_EXCEEDED"),
    ("CONTENT_FILTERED", {}, 400, "CONTENT_FILTERED"),
    ("UNSUPPORTED", {}, 400, "INVALID_REQUEST"),
    ("UNAUTHENTICATED", {}, 401, "AUTHENTICATION_ERROR"),
    ("PERMISSION_DENIED", {}, 403, "MODEL_NOT_ALLOWED"),
    ("NOT_FOUND", {}, 404, "NOT_FOUND"),
    ("NOT_FOUND", NOBODY, 404, "NOT_FOUND"),
    ("NOT_FOUND", UNKNOWN, 400, "INVALID_MODEL"),
    ("NOT_FOUND", THEIRS, 502, "PROVIDER_ERROR"),
    ("REQUEST_TOO_LARGE", {}, 413, "REQUEST_TOO_LARGE"),
    ("RATE_LIMITED", {}, 429, "RATE_LIMIT_ERROR"),
    ("RATE_LIMITED", {"retry_after": timedelta(minutes=1)}, 429, "RATE_LIMIT_ERROR"),
    ("RATE_LIMITED", {"retry_after": timedelta(hours=5)}, 429, "DAILY_REQUEST_LIMIT_EXCEEDED"),
    ("RATE_LIMITED", {**THEIRS, "retry_after": timedelta(hours=5)}, 429, "RATE_LIMIT_ERROR"),
    ("QUOTA_EXCEEDED", {}, 402, "QUOTA_EXCEEDED"),
    ("QUOTA_EXCEEDED", THEIRS, 502, "PROVIDER_ERROR"),
    ("PROVIDER_UNAVAILABLE", THEIRS, 502, "PROVIDER_ERROR"),
    ("PROVIDER_UNAUTHENTICATED", THEIRS, 502, "PROVIDER_ERROR"),
    ("PROVIDER_FAILED", THEIRS, 502, "PROVIDER_ERROR"),
    ("PROVIDER_TIMEOUT", THEIRS, 504, "PROVIDER_TIMEOUT"),
    ("CANCELLED", {}, 499, "CANCELLED"),
    ("INTERNAL", {}, 500, "INTERNAL_ERROR"),
    ("UNAVAILABLE", {}, 503, "UNAVAILABLE"),
]


@pytest.mark.parametrize("surface", ["openai", "responses", "anthropic"])
@pytest.mark.parametrize(("reason", "fields", "status", "code"), ROWS)
def test_errors(surface: Any, reason: str, fields: dict[str, Any], status: int, code: str) -> None:
    """Nothing but the message, in plain text, with the code in a header."""
    refusal = SKIN.refusal(failure(reason, **fields), call_of(surface))

    assert refusal is not None
    assert (refusal.status, refusal.body) == (status, b"So it is.")
    assert refusal.headers == {"x-error-code": code}
    assert refusal.content_type == "text/plain; charset=utf-8"


def test_every_reason_has_a_row() -> None:
    """No reason is without."""
    assert sorted(TABLE) == REASONS


def test_a_stream_that_breaks_off() -> None:
    """One line of JSON, whatever the reason; clients of Messages are told in their own way."""
    told = SKIN.broken(failure("PROVIDER_FAILED"), call_of(), {}) or b""

    assert json.loads(told.removeprefix(b"data: ")) == {"error": {"message": "So it is.", "type": "api_error"}}
    assert SKIN.broken(failure("PROVIDER_FAILED"), call_of("anthropic"), {}) is None


def test_the_model_is_called_as_it_was_asked_for() -> None:
    """In an answer and in each chunk."""
    whole, event = ChatResponse(model="real"), ChatEvent()
    event.start.model = "real"
    SKIN.dress(whole, call_of())
    SKIN.dress_event(event, call_of())
    SKIN.dress_event(ChatEvent(), call_of())

    assert whole.model == event.start.model == "asked/model"


def test_fields() -> None:
    """How long it took, and the provider's id of the answer."""
    call = call_of("openai", "groq")
    call.attempts[0].upstream_id = "up-1"
    told = dict(SKIN.fields(call))

    assert isinstance(told.pop("latency_ms"), int)
    assert told == {"upstream_id": "up-1"}
    assert SKIN.fields(call_of())["upstream_id"] == ""
