"""How OpenRouter tells what one call used, and what was used by the day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from trunkline.dialects.openai.finish import encode_finish
from trunkline.dialects.openrouter.names import display_name, generation_name
from trunkline.dialects.wire import Json
from trunkline.v1.chat_pb2 import Finish
from trunkline.v1.ledger_pb2 import LedgerAttempt, LedgerEntry
from trunkline.v1.usage_pb2 import LedgerRecord, UsageRow

_NANO: Final = 1_000_000_000
_TYPES: Final = {"embed": "embeddings"}
"""Operations -> OpenRouter's types of API, where they are not `completions`."""


def generation_id_of(entry: LedgerEntry) -> str:
    """The id of what a recorded call made: as it was told when it was made."""
    # To the microsecond and more, so that the float is the one that it was.
    return generation_name(entry.call_id, entry.start_time.seconds + entry.start_time.nanos / _NANO)


def encode_generation(record: LedgerRecord) -> Json:
    """https://openrouter.ai/docs/api/api-reference/generations/get-generation: what is not known is null."""
    entry, usage = record.entry, record.entry.usage
    cost = record.cost.total_nanos / _NANO
    first = entry.first_event_ms if entry.streamed and entry.HasField("first_event_ms") else 0
    return {
        "data": {
            "id": generation_id_of(entry),
            "request_id": entry.call_id,
            "upstream_id": entry.upstream_id or None,
            "total_cost": cost,
            "usage": cost,
            "upstream_inference_cost": None,
            "cache_discount": None,
            "created_at": entry.start_time.ToDatetime(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "model": entry.served_model or entry.model,
            "provider_name": display_name(entry.provider) or None,
            "app_id": None,
            "streamed": entry.streamed,
            "cancelled": entry.outcome == "cancelled",
            "latency": entry.duration_ms,
            "moderation_latency": None,
            "generation_time": entry.duration_ms - first,
            "finish_reason": encode_finish(Finish(reason=entry.finish_reason))[0] if entry.finish_reason else None,
            "native_finish_reason": None,
            "tokens_prompt": usage.input_tokens,
            "tokens_completion": usage.output_tokens,
            "native_tokens_prompt": usage.input_tokens,
            "native_tokens_completion": usage.output_tokens,
            "native_tokens_reasoning": usage.reasoning_output_tokens,
            "native_tokens_cached": usage.cached_input_tokens,
            "native_tokens_completion_images": None,
            "num_media_prompt": None,
            "num_media_completion": None,
            "num_search_results": None,
            "origin": "",
            "is_byok": False,
            "external_user": None,
            "api_type": _TYPES.get(entry.operation, "completions"),
            "router": None,
            "service_tier": entry.service_tier or None,
            "provider_responses": [_attempt(attempt) for attempt in entry.attempts],
        }
    }


def encode_activity(rows: Iterable[UsageRow]) -> Json:
    """https://openrouter.ai/docs/api/api-reference/analytics/get-user-activity: of rows by the day, by the model that
    was asked for, by that which answered, and by the provider."""
    return {"data": [_day(row) for row in rows]}


def _attempt(attempt: LedgerAttempt) -> Json:
    took = attempt.end_time.ToMilliseconds() - attempt.start_time.ToMilliseconds()
    return {
        "id": attempt.upstream_id or None,
        "model_permaslug": attempt.model,
        "provider_name": display_name(attempt.provider),
        "status": attempt.status if attempt.HasField("status") else None,
        "latency": took if attempt.HasField("end_time") else None,
        "is_byok": False,
    }


def _day(row: UsageRow) -> Json:
    return {
        "date": datetime.fromtimestamp(row.start_time.seconds, UTC).strftime("%Y-%m-%d"),
        "model": row.group.model,
        "model_permaslug": row.group.served_model or row.group.model,
        "endpoint_id": f"{row.group.provider}/{row.group.served_model}",
        "provider_name": display_name(row.group.provider),
        "usage": row.cost.total_nanos / _NANO,
        "byok_usage_inference": 0,
        "requests": row.calls,
        "prompt_tokens": row.tokens.input_tokens,
        "completion_tokens": row.tokens.output_tokens,
        "reasoning_tokens": row.tokens.reasoning_output_tokens,
    }
