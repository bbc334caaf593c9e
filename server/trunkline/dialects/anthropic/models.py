"""Models, as Anthropic lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from trunkline.dialects.wire import Json
from trunkline.errors import invalid_request
from trunkline.v1.models_pb2 import Model

_LIMIT = 20
_MOST = 1000


def encode_model(model: Model, created: int) -> dict[str, Json]:
    """Write one model. `created`, in seconds since the epoch, stands in where a model's own is not known."""
    made = datetime.fromtimestamp(model.create_time.seconds or created, UTC)
    wire: dict[str, Json] = {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name or model.id,
        "created_at": made.isoformat().replace("+00:00", "Z"),
        "lifecycle": "active",
    }
    if model.HasField("context_tokens"):
        wire["max_input_tokens"] = model.context_tokens
    if model.HasField("max_output_tokens"):
        wire["max_tokens"] = model.max_output_tokens
    return wire


def encode_models(models: Sequence[Model], created: int, query: Mapping[str, str]) -> dict[str, Json]:
    """Write a page: that of the query's `after_id` or `before_id`, `limit` models long.

    Raises `GatewayError` (INVALID_REQUEST) where the limit is none.
    """
    limit = _limit(query.get("limit"))
    ids = [model.id for model in models]
    after, before = query.get("after_id"), query.get("before_id")
    if before is not None:
        end = ids.index(before) if before in ids else len(ids)
        start = max(0, end - limit)
        more = start > 0
    else:
        start = ids.index(after) + 1 if after in ids else 0
        end = min(len(ids), start + limit)
        more = end < len(ids)
    page = models[start:end]
    return {
        "data": [encode_model(model, created) for model in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return _LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST:
        raise invalid_request(f"`limit` must be between 1 and {_MOST}.", "limit")
    return int(text)
