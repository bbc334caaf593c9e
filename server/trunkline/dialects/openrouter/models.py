"""Models, endpoints and providers, as OpenRouter lists them.

https://openrouter.ai/docs/api-reference/list-available-models, .../list-endpoints-for-a-model, .../list-providers. What
only OpenRouter could know, as how often a model is used, is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from trunkline.dialects.openai.catalogue import architecture, pricing
from trunkline.dialects.openai.models import encode_model as encode_openai_model
from trunkline.dialects.openrouter.query import page, select
from trunkline.dialects.wire import Json
from trunkline.v1.models_pb2 import Endpoint, Model

_UNKNOWN: Final = (
    "uptime_last_5m",
    "uptime_last_30m",
    "uptime_last_1d",
    "latency_last_30m",
    "throughput_last_30m",
)
"""What is told of an endpoint's last minutes, of which the list knows nothing."""


def encode_model(model: Model, created: int) -> dict[str, Json]:
    """Write one model: what OpenAI's list has of it, and what OpenRouter's has beyond that."""
    context: Json = model.context_tokens if model.HasField("context_tokens") else None
    most: Json = model.max_output_tokens if model.HasField("max_output_tokens") else None
    return {
        **encode_openai_model(model, created),
        "canonical_slug": model.id,
        "hugging_face_id": None,
        "description": "",
        "context_length": context,
        "top_provider": {"context_length": context, "max_completion_tokens": most, "is_moderated": False},
        "per_request_limits": None,
        "default_parameters": {},
        "links": {"details": f"/api/v1/models/{model.id}/endpoints"},
    }


def encode_models(models: Sequence[Model], created: int, query: Mapping[str, str]) -> dict[str, Json]:
    """Write those of `models` that `query` asks for. Raises `GatewayError` (INVALID_REQUEST)."""
    found = select(models, query)
    shown, following = page(found, query)
    wire: dict[str, Json] = {"object": "list", "data": [encode_model(model, created) for model in shown]}
    wire["total_count"] = len(found)
    if following is not None:
        wire["links"] = {"next": f"/api/v1/models?{urlencode({**query, 'offset': following})}"}
    return wire


def encode_endpoints(model: Model, created: int) -> dict[str, Json]:
    """Write one model with the endpoints that serve it."""
    return {
        "data": {
            "id": model.id,
            "name": model.display_name or model.id,
            "created": model.create_time.seconds or created,
            "description": "",
            "architecture": architecture(model),
            "endpoints": [_endpoint(model, endpoint) for endpoint in model.endpoints],
        }
    }


def encode_providers(models: Sequence[Model]) -> dict[str, Json]:
    """Write the providers that serve one of `models`."""
    names = sorted({endpoint.provider for model in models for endpoint in model.endpoints})
    return {
        "data": [
            {
                "name": name,
                "slug": name,
                "privacy_policy_url": None,
                "terms_of_service_url": None,
                "status_page_url": None,
                "headquarters": None,
                "datacenters": None,
            }
            for name in names
        ]
    }


def _endpoint(model: Model, endpoint: Endpoint) -> dict[str, Json]:
    most: Json = endpoint.max_output_tokens if endpoint.HasField("max_output_tokens") else None
    return {
        "name": f"{endpoint.provider} | {endpoint.model}",
        "model_id": model.id,
        "model_name": model.display_name or model.id,
        "context_length": endpoint.context_tokens if endpoint.HasField("context_tokens") else None,
        "pricing": pricing(endpoint),
        "unpriced": endpoint.unpriced,
        "provider_name": endpoint.provider,
        "tag": endpoint.provider,
        "quantization": endpoint.quantization or None,
        "max_completion_tokens": most,
        "max_prompt_tokens": None,
        "supported_parameters": list(endpoint.supported_parameters),
        "supports_implicit_caching": endpoint.price.HasField("cached_input_nano_usd"),
        "status": 0,
        **dict.fromkeys(_UNKNOWN),
    }
