"""What is told of a model: where it is served, what it takes and what it costs there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.facts import Facts
from trunkline.catalog.price import Price
from trunkline.v1.models_pb2 import Endpoint, Model, PriceList, PriceTier

PARAMETERS: Final[Mapping[str, str]] = {
    "temperature": "sampling",
    "top_p": "sampling",
    "top_k": "sampling",
    "frequency_penalty": "sampling",
    "presence_penalty": "sampling",
    "seed": "sampling",
    "logit_bias": "sampling",
    "max_tokens": "",
    "max_completion_tokens": "",
    "stop": "stop",
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "tools": "tools",
    "tool_choice": "tools",
    "parallel_tool_calls": "parallel_tools",
    "response_format": "",
    "structured_outputs": "",
    "reasoning": "reasoning",
    "reasoning_effort": "reasoning",
    "include_reasoning": "reasoning",
}
"""A parameter, in OpenRouter's words -> the feature that a model must have to take it, if any. Where a model knows no
JSON, the gateway brings it to write some."""

_MODALITIES: Final = ("text", "image", "file", "audio", "video", "embeddings")
_NO_RATES: Final = ("version", "tiers")
_RATES: Final = tuple(
    (field.name, f"{field.name}_nano_usd") for field in fields(Price) if field.init and field.name not in _NO_RATES
)

Takes = Callable[[str], frozenset[str]]
"""Kind of provider -> the parameters that it takes."""


class Describer:
    """Describes models from what the catalogue knows. `kinds` are those of the providers, by their names."""

    def __init__(self, catalog: Catalog, kinds: Mapping[str, str], takes: Takes) -> None:
        self._catalog = catalog
        self._kinds = kinds
        self._takes = takes

    def model(self, name: str, targets: Iterable[tuple[str, str]], listed: Model | None = None) -> Model:
        """The model that `name` stands for, served by `targets`: names of providers and their names for it.

        What a provider itself said of it, `listed`, goes before what the catalogue knows.
        """
        model = Model(id=name)
        for provider, own in dict.fromkeys(targets):
            kind = self._kinds.get(provider, "")
            facts = self._catalog.facts(kind, own, provider)
            model.endpoints.append(self._endpoint(provider, kind, own, facts))
            if facts is not None:
                _fill(model, facts)
        if listed is not None and listed.HasField("context_tokens"):
            model.context_tokens = listed.context_tokens
        if listed is not None and listed.HasField("max_output_tokens"):
            model.max_output_tokens = listed.max_output_tokens
        model.providers.extend(dict.fromkeys(endpoint.provider for endpoint in model.endpoints))
        taken = {word for endpoint in model.endpoints for word in endpoint.supported_parameters}
        model.supported_parameters.extend(word for word in PARAMETERS if word in taken)
        return model

    def _endpoint(self, provider: str, kind: str, model: str, facts: Facts | None) -> Endpoint:
        endpoint = Endpoint(provider=provider, kind=kind, model=model)
        endpoint.supported_parameters.extend(self._supported(kind, facts))
        if facts is not None:
            endpoint.quantization = facts.quantization
            _set(endpoint, "context_tokens", facts.context)
            _set(endpoint, "max_output_tokens", facts.max_output)
            _set(endpoint, "retains_data", facts.retains_data)
            _set(endpoint, "zero_data_retention", facts.zero_data_retention)
        price = self._catalog.price(kind, model, provider)
        if price is None:
            endpoint.unpriced = True
        else:
            endpoint.price.CopyFrom(price_list(price))
        return endpoint

    def _supported(self, kind: str, facts: Facts | None) -> Sequence[str]:
        takes = self._takes(kind) if kind else frozenset(PARAMETERS)
        # A model of which no feature is known is taken to have all.
        features = facts.features if facts is not None else frozenset()
        if facts is not None and "text" not in facts.output:
            return ()
        return [
            word
            for word, feature in PARAMETERS.items()
            if word in takes and (not feature or not features or feature in features)
        ]


def price_list(price: Price) -> PriceList:
    """The message that tells `price`."""
    told = PriceList(version=price.version)
    for name, field in _RATES:
        _set(told, field, getattr(price, name))
    told.tiers.extend(PriceTier(above_input_tokens=above, price=price_list(tier)) for above, tier in price.tiers)
    return told


def _fill(model: Model, facts: Facts) -> None:
    """Tell what `model` does not tell yet."""
    model.display_name = model.display_name or facts.name
    model.owner = model.owner or facts.author
    if facts.created and not model.HasField("create_time"):
        model.create_time.CopyFrom(Timestamp(seconds=facts.created))
    if not model.HasField("context_tokens"):
        _set(model, "context_tokens", facts.context)
    if not model.HasField("max_output_tokens"):
        _set(model, "max_output_tokens", facts.max_output)
    if not model.input_modalities:
        model.input_modalities.extend(word for word in _MODALITIES if word in facts.input)
        model.output_modalities.extend(word for word in _MODALITIES if word in facts.output)


def _set(message: Endpoint | Model | PriceList, field: str, value: int | bool | None) -> None:
    if value is not None:
        setattr(message, field, value)
