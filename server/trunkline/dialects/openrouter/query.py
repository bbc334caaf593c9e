"""Which models a caller of OpenRouter's list asks for, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trunkline.dialects.openai.catalogue import architecture, best_endpoint
from trunkline.errors import invalid_request
from trunkline.v1.models_pb2 import Model

_LIMIT: Final = 500
_MOST: Final = 1000
_MILLIONTH: Final = 1e9
"""Nano-dollars in a dollar: prices are asked for in dollars per million tokens."""


def _input_price(model: Model) -> float:
    """Dollars per million tokens read; infinite where the model is unpriced."""
    endpoint = best_endpoint(model)
    return math.inf if endpoint.unpriced else endpoint.price.input_nano_usd / _MILLIONTH


_ORDERS: Final[Mapping[str, Callable[[Model], float] | None]] = {
    "pricing-low-to-high": _input_price,
    "pricing-high-to-low": lambda model: math.inf if math.isinf(price := _input_price(model)) else -price,
    "context-high-to-low": lambda model: -model.context_tokens,
    "newest": lambda model: -model.create_time.seconds,
    "throughput-high-to-low": None,
    "latency-low-to-high": None,
    "most-popular": None,
    "top-weekly": None,
}
"""How models are sorted; None where the list does not know what OpenRouter sorts by: they stay as they are."""


def select(models: Sequence[Model], query: Mapping[str, str]) -> list[Model]:
    """The models that `query` asks for, in its order. Raises `GatewayError` (INVALID_REQUEST), naming the parameter.

    What is asked of a model of which nothing is known counts as not met. Parameters that the data cannot serve, such as
    `category`, are not looked at.
    """
    tests = _tests(query)
    found = [model for model in models if all(test(model) for test in tests)]
    sort = query.get("sort", "")
    if sort and sort not in _ORDERS:
        raise invalid_request(f"`sort` must be one of {', '.join(f'`{word}`' for word in _ORDERS)}.", "sort")
    key = _ORDERS.get(sort)
    return found if key is None else sorted(found, key=key)


def page(models: Sequence[Model], query: Mapping[str, str]) -> tuple[Sequence[Model], int | None]:
    """The models from the query's `offset` on, at most its `limit`, and where the next page begins, if there is one.

    Without both, all. Raises `GatewayError` (INVALID_REQUEST).
    """
    if "offset" not in query and "limit" not in query:
        return models, None
    start = int(_number(query, "offset", 0, 2**31)) if "offset" in query else 0
    size = int(_number(query, "limit", 1, _MOST)) if "limit" in query else _LIMIT
    end = start + size
    return models[start:end], end if end < len(models) else None


def _tests(query: Mapping[str, str]) -> list[Callable[[Model], bool]]:
    tests: list[Callable[[Model], bool]] = []
    writes = _words(query, "output_modalities") or {"text"}
    if "all" not in writes:
        tests.append(lambda model: writes <= set(model.output_modalities or ("text",)))
    if reads := _words(query, "input_modalities"):
        tests.append(lambda model: reads <= set(model.input_modalities or ("text",)))
    if wanted := _words(query, "supported_parameters"):
        tests.append(lambda model: wanted <= set(model.supported_parameters))
    if makers := _words(query, "model_authors"):
        tests.append(lambda model: model.owner.lower() in makers)
    if served_by := _words(query, "providers"):
        tests.append(lambda model: any(name.lower() in served_by for name in model.providers))
    if families := _words(query, "arch"):
        tests.append(lambda model: str(architecture(model)["tokenizer"]).lower() in families)
    if text := query.get("q", "").lower():
        tests.append(lambda model: text in model.id.lower() or text in model.display_name.lower())
    if "context" in query:
        context = _number(query, "context", 0, 2**31)
        tests.append(lambda model: model.context_tokens >= context)
    if "min_price" in query:
        least = _number(query, "min_price", 0, math.inf)
        tests.append(lambda model: least <= _input_price(model) < math.inf)
    if "max_price" in query:
        most = _number(query, "max_price", 0, math.inf)
        tests.append(lambda model: _input_price(model) <= most)
    if query.get("zdr", "").lower() == "true":
        tests.append(lambda model: any(endpoint.zero_data_retention for endpoint in model.endpoints))
    return tests


def _words(query: Mapping[str, str], name: str) -> set[str]:
    return {word.strip().lower() for word in query.get(name, "").split(",") if word.strip()}


def _number(query: Mapping[str, str], name: str, least: float, most: float) -> float:
    text = query[name]
    try:
        number = float(text) if len(text) <= 32 and text.isascii() else math.nan
    except ValueError:
        number = math.nan
    if not (least <= number <= most) or math.isinf(number):
        bounds = f"at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise invalid_request(f"`{name}` must be a number {bounds}.", name)
    return number
