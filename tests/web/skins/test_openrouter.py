"""What OpenRouter's clients are told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from web.skins.asked import NOBODY, REASONS, THEIRS, UNKNOWN, call_of, failure

from trunkline.call import Surface
from trunkline.dialects.openrouter.errors import TABLE
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, Choice, ChoiceEnd, Finish
from trunkline.v1.embeddings_pb2 import EmbedResponse
from trunkline.v1.routes_pb2 import RouteReport
from trunkline.web.skins.openrouter import OpenRouterSkin

SKIN = OpenRouterSkin()
WANTED = {"x-openrouter-metadata": "Enabled"}

# reason, what else the error has -> status, type, code of the availability, type in Messages, code in Responses
ROWS: list[tuple[str, dict[str, Any], int, str, str, str, str]] = [
    ("INVALID_REQUEST", {}, 400, "invalid_request", "", "invalid_request_error", "invalid_prompt"),
    ("CONTEXT_LENGTH_EXCEEDED", {}, 400, "context_length_exceeded", "", "invalid_request_error", "invalid_prompt"),
    (
        "CONTENT_FILTERED",
        {},
        400,
        "content_policy_violation",
        "",
        "invalid_request_error",
        "image_content_policy_violation",
    ),
    ("UNSUPPORTED", {}, 400, "invalid_request", "", "invalid_request_error", "invalid_prompt"),
    ("UNAUTHENTICATED", {}, 401, "authentication", "", "authentication_error", "server_error"),
    ("PERMISSION_DENIED", {}, 403, "permission_denied", "", "permission_error", "server_error"),
    ("NOT_FOUND", {}, 404, "not_found", "", "not_found_error", "server_error"),
    ("NOT_FOUND", UNKNOWN, 400, "invalid_request", "model_not_found", "invalid_request_error", "invalid_prompt"),
    ("NOT_FOUND", NOBODY, 404, "not_found", "constraint_filtered", "not_found_error", "server_error"),
    ("NOT_FOUND", THEIRS, 404, "not_found", "model_unavailable_upstream", "not_found_error", "server_error"),
    ("REQUEST_TOO_LARGE", {}, 413, "payload_too_large", "", "invalid_request_error", "server_error"),
    ("RATE_LIMITED", {}, 429, "rate_limit_exceeded", "", "rate_limit_error", "rate_limit_exceeded"),
    (
        "RATE_LIMITED",
        THEIRS,
        429,
        "rate_limit_exceeded",
        "capacity_exhausted",
        "rate_limit_error",
        "rate_limit_exceeded",
    ),
    ("QUOTA_EXCEEDED", {}, 402, "payment_required", "", "billing_error", "server_error"),
    (
        "PROVIDER_UNAVAILABLE",
        THEIRS,
        503,
        "provider_overloaded",
        "temporarily_unavailable",
        "overloaded_error",
        "server_error",
    ),
    ("PROVIDER_UNAUTHENTICATED", THEIRS, 502, "provider_unavailable", "", "api_error", "server_error"),
    ("PROVIDER_FAILED", THEIRS, 502, "provider_unavailable", "", "api_error", "server_error"),
    ("PROVIDER_TIMEOUT", THEIRS, 504, "timeout", "", "timeout_error", "server_error"),
    ("CANCELLED", {}, 499, "unmapped", "", "invalid_request_error", "server_error"),
    ("INTERNAL", {}, 500, "server", "", "api_error", "server_error"),
    ("UNAVAILABLE", {}, 503, "provider_overloaded", "", "overloaded_error", "server_error"),
]


def refused(surface: Surface, reason: str, fields: dict[str, Any], **of_call: Any) -> tuple[int, dict[str, Any]]:
    """The status and the body of an error."""
    refusal = SKIN.refusal(failure(reason, **fields), call_of(surface, **of_call))
    assert refusal is not None
    return refusal.status, json.loads(refusal.body)


@pytest.mark.parametrize(("reason", "fields", "status", "kind", "availability", "of_messages", "of_responses"), ROWS)
def test_errors(
    reason: str,
    fields: dict[str, Any],
    status: int,
    kind: str,
    availability: str,
    of_messages: str,
    of_responses: str,
) -> None:
    """Each reason has its status, which is its code, and its type, on each surface in its own shape."""
    told, body = refused("openai", reason, fields)
    of_chat = body["error"]
    messages_status, messages = refused("anthropic", reason, fields)
    responses_status, responses = refused("responses", reason, fields)

    assert told == of_chat["code"] == messages_status == responses_status == status
    assert of_chat["message"] == messages["error"]["message"] == responses["error"]["message"] == "So it is."
    assert of_chat["metadata"]["error_type"] == messages["error"]["error_type"] == responses["error_type"] == kind
    assert of_chat.get("availability", {}).get("code", "") == availability
    assert (messages["type"], messages["error"]["type"]) == ("error", of_messages)
    assert responses["error"]["code"] == of_responses
    assert responses["metadata"] is None


def test_every_reason_has_a_row() -> None:
    """No reason is without."""
    assert sorted(TABLE) == REASONS


def test_an_error_tells_whose_it_is_and_what_was_tried_before() -> None:
    """The provider by its shown name, its own status, the failures before, and when to come again."""
    call = call_of("openai", "groq", "my-vllm", "openai")
    last = failure("RATE_LIMITED", retry_after=timedelta(seconds=1.2), **THEIRS)
    call.attempts[0].error, call.attempts[0].status = failure("PROVIDER_TIMEOUT"), None
    call.attempts[1].error, call.attempts[1].status = failure("PROVIDER_FAILED"), 500
    call.attempts[2].error, call.attempts[2].status = last, 418
    refusal = SKIN.refusal(last, call)
    assert refusal is not None
    error = json.loads(refusal.body)["error"]

    assert error["metadata"]["provider_name"] == "OpenAI"
    assert error["metadata"]["provider_code"] == 418
    assert error["metadata"]["previous_errors"] == [
        {"provider": "Groq", "code": 504, "status": None},
        {"provider": "my-vllm", "code": 502, "status": 500},
    ]
    assert error["availability"] == {
        "code": "capacity_exhausted",
        "retryable": True,
        "requested_models": ["asked/model"],
        "retry_after": 2,
        "affected_providers": ["Groq", "OpenAI", "my-vllm"],
        "docs_url": "https://openrouter.ai/docs/api-reference/errors-and-debugging",
    }
    assert (error["error_type"], error["http_status"]) == ("rate_limit_exceeded", 429)


def test_an_error_tells_what_left_everybody_out() -> None:
    """In OpenRouter's words, each once."""
    error = failure("NOT_FOUND", **NOBODY)
    error.excluded_by = (
        "ignored_providers",
        "allowed_providers",
        "zero_data_retention",
        "a context of 9 tokens",
        "tools",
    )
    refusal = SKIN.refusal(error, call_of())
    assert refusal is not None

    assert json.loads(refusal.body)["error"]["availability"]["excluded_by"] == [
        "allowed_providers",
        "context_length",
        "data_policy:zdr",
        "require_parameters",
    ]


def test_a_model_asked_for_by_its_address_is_missing() -> None:
    """`GET /models/x` of an unknown name is 404: the request is not at fault."""
    assert refused("openai", "NOT_FOUND", UNKNOWN, operation="get_model")[0] == 404


def test_other_surfaces_keep_their_own_errors() -> None:
    """Google's clients are told in Google's shape."""
    assert SKIN.refusal(failure("INTERNAL"), call_of("gemini")) is None


@pytest.mark.parametrize(("reason", "told"), [("PROVIDER_FAILED", True), ("RATE_LIMITED", False), ("INTERNAL", False)])
def test_the_route_is_told_beside_errors_that_have_one(reason: str, told: bool) -> None:
    """Where it is asked for; never where the caller may not call, called too often, or the gateway failed."""
    _, body = refused("openai", reason, {}, headers=WANTED)
    _, unasked = refused("openai", reason, {}, headers={"x-openrouter-metadata": "yes"})

    assert ("openrouter_metadata" in body) is told
    assert "openrouter_metadata" not in unasked


def test_the_route() -> None:
    """Who could answer, who did, and what was tried."""
    report = RouteReport(model="asked/model", mode="balance")
    report.candidates.add(provider="groq", model="small")
    report.candidates.add(provider="openai", model="small")
    call = call_of("openai", "groq", "openai", headers=WANTED, routing_mode="balance", report=lambda: report)
    call.attempts[0].error, call.attempts[0].status = failure("RATE_LIMITED"), 429
    call.attempts[1].whole, call.attempts[1].status = True, 200
    call.answered = call.attempts[1]
    call.plugins = {"web.results": 3, "web.calls": 1}

    assert SKIN.fields(call) == SKIN.last_message_fields(call)
    assert SKIN.fields(call)["openrouter_metadata"] == {
        "requested": "asked/model",
        "strategy": "auto",
        "region": None,
        "summary": "OpenAI, small: ok at attempt 2 of 2.",
        "attempt": 2,
        "is_byok": False,
        "endpoints": {
            "total": 2,
            "available": [
                {"provider": "Groq", "model": "small", "selected": False},
                {"provider": "OpenAI", "model": "small", "selected": True},
            ],
        },
        "attempts": [
            {"provider": "Groq", "model": "small", "status": 429},
            {"provider": "OpenAI", "model": "small", "status": 200},
        ],
        "pipeline": [{"type": "plugin", "name": "web"}],
    }


def test_a_stream_that_breaks_off() -> None:
    """The last chunk repeats what all have, has the error, and ends its choice with it."""
    head = {"id": "gen-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "provider": "OpenAI"}
    data = SKIN.broken(failure("PROVIDER_FAILED", **THEIRS), call_of(), head) or b""
    chunk = json.loads(data.removeprefix(b"data: "))
    texts = SKIN.broken(failure("PROVIDER_FAILED"), call_of(), {**head, "object": "text_completion"}) or b""

    assert data.endswith(b"}\n\n")
    assert chunk.items() >= head.items()
    assert (chunk["error"]["code"], chunk["error"]["message"]) == (502, "So it is.")
    assert chunk["choices"] == [
        {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": "error"}
    ]
    assert json.loads(texts.removeprefix(b"data: "))["choices"][0]["text"] == ""


def test_one_id_for_answers_chunks_and_headers() -> None:
    """It is a generation's, and the same wherever it is told of the same call."""
    call = call_of("openai", "openai")
    whole, streamed, vectors = ChatResponse(id="x", provider="openai"), ChatEvent(), EmbedResponse(provider="my-vllm")
    streamed.start.provider = "bedrock"
    SKIN.dress(whole, call)
    SKIN.dress(vectors, call)
    SKIN.dress_event(streamed, call)
    told = SKIN.headers(call)["x-generation-id"]

    assert told.startswith("gen-1700000000-")
    assert len(told.rpartition("-")[2]) == 20
    assert whole.id == streamed.start.id == vectors.id == told
    assert (whole.provider, streamed.start.provider) == ("OpenAI", "Amazon Bedrock")
    assert vectors.provider == "my-vllm"


def test_the_providers_own_word_for_the_end_is_always_told() -> None:
    """In an answer and in a chunk, also where it is OpenAI's; what is held beside it stays."""
    finish = Finish(reason=chat_pb2.FINISH_REASON_STOP, native_reason="stop")
    whole = ChatResponse(choices=[Choice(finish=finish, extras={"openai": '{"x":1}'})])
    end = ChatEvent(choice_end=ChoiceEnd(finish=finish))
    silent = ChatEvent(choice_end=ChoiceEnd())
    for event in (end, silent):
        SKIN.dress_event(event, call_of())
    SKIN.dress(whole, call_of())

    assert json.loads(whole.choices[0].extras["openai"]) == {"x": 1, "native_finish_reason": "stop"}
    assert json.loads(end.choice_end.extras["openai"]) == {"native_finish_reason": "stop"}
    assert not silent.choice_end.extras


def test_a_response_that_failed() -> None:
    """It has OpenRouter's code and type in place of OpenAI's."""
    body: dict[str, Any] = {"status": "failed", "error": {"code": "server_error", "message": "So it is."}}
    SKIN.settle(body, call_of("responses"), failure("CONTEXT_LENGTH_EXCEEDED"))

    assert body["error"] == {"code": "invalid_prompt", "message": "So it is."}
    assert body["error_type"] == "context_length_exceeded"
