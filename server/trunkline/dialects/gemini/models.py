"""Models, as Google lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trunkline.dialects.wire import Json
from trunkline.errors import invalid_request
from trunkline.v1.models_pb2 import Model

_SIZE = 50
_MOST = 1000
_EMBED_METHODS = ("embedContent", "batchEmbedContents")
_METHODS = ("generateContent", "streamGenerateContent", "countTokens")


def encode_model(model: Model) -> dict[str, Json]:
    """Write one model."""
    wire: dict[str, Json] = {
        "name": f"models/{model.id}",
        "baseModelId": model.id,
        "version": "001",
        "displayName": model.display_name or model.id,
        "supportedGenerationMethods": list(_EMBED_METHODS if "embeddings" in model.output_modalities else _METHODS),
    }
    if model.HasField("context_tokens"):
        wire["inputTokenLimit"] = model.context_tokens
    if model.HasField("max_output_tokens"):
        wire["outputTokenLimit"] = model.max_output_tokens
    return wire


def encode_models(models: Sequence[Model], query: Mapping[str, str]) -> dict[str, Json]:
    """Write the page of the query's `pageToken`, `pageSize` models long.

    Raises `GatewayError` (INVALID_REQUEST) where the size is none.
    """
    size = _size(query.get("pageSize") or query.get("page_size"))
    token = query.get("pageToken") or query.get("page_token") or ""
    rest = [model for model in models if model.id > token]
    wire: dict[str, Json] = {"models": [encode_model(model) for model in rest[:size]]}
    if len(rest) > size:
        wire["nextPageToken"] = rest[size - 1].id
    return wire


def _size(text: str | None) -> int:
    if text is None:
        return _SIZE
    if not text.isascii() or not text.isdigit() or not int(text[:9]) >= 0:
        raise invalid_request("`pageSize` must be a whole number.", "pageSize")
    return min(int(text[:9]) or _SIZE, _MOST)
