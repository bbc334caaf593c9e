"""What a model takes and costs, as OpenRouter's list tells it, and servers of OpenAI's language after it.

https://openrouter.ai/docs/api-reference/list-available-models
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from trunkline.dialects.wire import Json
from trunkline.v1.models_pb2 import Endpoint, Model, PriceList

_UNPRICED: Final = "-1"
"""What OpenRouter writes where it cannot tell a price beforehand."""

_TOKENS: Final = {
    "prompt": "input_nano_usd",
    "completion": "output_nano_usd",
    "input_cache_read": "cached_input_nano_usd",
    "input_cache_write": "cache_write_nano_usd",
    "internal_reasoning": "reasoning_nano_usd",
    "image_token": "input_image_nano_usd",
    "image_output": "output_image_nano_usd",
    "audio": "input_audio_nano_usd",
    "audio_output": "output_audio_nano_usd",
    "input_audio_cache": "cached_audio_nano_usd",
}
"""OpenRouter's word -> what the contract tells for a million tokens."""

_TOKENIZERS: Final[Mapping[str, str]] = {
    "anthropic": "Claude",
    "cohere": "Cohere",
    "deepseek": "DeepSeek",
    "google": "Gemini",
    "meta-llama": "Llama3",
    "mistralai": "Mistral",
    "openai": "GPT",
    "qwen": "Qwen",
    "x-ai": "Grok",
}


def best_endpoint(model: Model) -> Endpoint:
    """The endpoint whose prices stand for those of the model: its first that has any."""
    first = model.endpoints[0] if model.endpoints else Endpoint(unpriced=True)
    return next((one for one in model.endpoints if not one.unpriced), first)


def pricing(endpoint: Endpoint) -> dict[str, Json]:
    """The prices, in US dollars for one token, one request or one search, as decimal text."""
    if not endpoint.HasField("price"):
        return {"prompt": _UNPRICED, "completion": _UNPRICED}
    wire = _rates(endpoint.price)
    overrides: list[Json] = [
        {"min_prompt_tokens": tier.above_input_tokens + 1, **_rates(tier.price)} for tier in endpoint.price.tiers
    ]
    if overrides:
        wire["overrides"] = overrides
    return wire


def architecture(model: Model) -> dict[str, Json]:
    """What a model reads and writes."""
    inputs = list(model.input_modalities) or ["text"]
    outputs = list(model.output_modalities) or ["text"]
    return {
        "modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}",
        "input_modalities": inputs,
        "output_modalities": outputs,
        "tokenizer": _TOKENIZERS.get(model.owner, "Other"),
        "instruct_type": None,
    }


def _rates(price: PriceList) -> dict[str, Json]:
    told = {field.name for field, _ in price.ListFields()} | {"input_nano_usd", "output_nano_usd"}
    wire: dict[str, Json] = {
        word: _dollars(getattr(price, field), 15) for word, field in _TOKENS.items() if field in told
    }
    wire["request"] = _dollars(price.request_nano_usd, 9)
    if price.search_nano_usd:
        wire["web_search"] = _dollars(price.search_nano_usd, 9)
    return wire


def _dollars(count: int, decimals: int) -> str:
    """`count` units of so many decimals, without an exponent and without zeros at its end."""
    text = f"{Decimal(count).scaleb(-decimals):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
