"""Models, as OpenAI lists them, with the extras that other servers of its language tell."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.dialects.openai.catalogue import architecture, best_endpoint, pricing
from trunkline.dialects.wire import Json
from trunkline.v1.models_pb2 import Model


def encode_model(model: Model, created: int) -> dict[str, Json]:
    """Write one model. `created`, in seconds since the epoch, stands in where a model's own is not known."""
    endpoint = best_endpoint(model)
    wire: dict[str, Json] = {
        "id": model.id,
        "object": "model",
        "created": model.create_time.seconds or created,
        "owned_by": model.owner or (model.providers[0] if model.providers else "trunkline"),
        "name": model.display_name or model.id,
        "providers": list(model.providers),
        "architecture": architecture(model),
        "supported_parameters": list(model.supported_parameters),
        "pricing": pricing(endpoint),
        "unpriced": endpoint.unpriced,
    }
    if model.HasField("context_tokens"):
        wire["context_length"] = model.context_tokens
    if model.HasField("max_output_tokens"):
        wire["max_output_tokens"] = model.max_output_tokens
    return wire


def encode_models(models: Iterable[Model], created: int) -> dict[str, Json]:
    """Write the whole list."""
    return {"object": "list", "data": [encode_model(model, created) for model in models]}
