"""OpenRouter's queries of the list of models."""

from __future__ import annotations

import pytest

from trunkline.dialects.openrouter.models import encode_model, encode_models
from trunkline.dialects.openrouter.query import page, select
from trunkline.errors import GatewayError
from trunkline.v1.models_pb2 import Endpoint, Model, PriceList, PriceTier


def model(name: str, dollars: float | None, **fields: object) -> Model:
    """A model that costs so many dollars per million tokens read, or is unpriced."""
    endpoint = Endpoint(provider="p", model=name, unpriced=dollars is None)
    if dollars is not None:
        endpoint.price.CopyFrom(PriceList(version="v", input_nano_usd=int(dollars * 1e9), output_nano_usd=0))
    return Model(id=name, endpoints=[endpoint], **fields)  # type: ignore[arg-type]  # fields of the message


MODELS = [
    model(
        "cheap", 1, owner="openai", context_tokens=1000, supported_parameters=["tools", "temperature"], providers=["a"]
    ),
    model("dear", 30, owner="anthropic", context_tokens=9000, supported_parameters=["tools"], providers=["b"]),
    model("free", 0, owner="google", input_modalities=["text", "image"], output_modalities=["text"]),
    model("unknown", None),
    model("vectors", 0.1, output_modalities=["embeddings"], owner="openai"),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["cheap", "dear", "free", "unknown"]),
        ({"output_modalities": "all"}, ["cheap", "dear", "free", "unknown", "vectors"]),
        ({"output_modalities": "embeddings"}, ["vectors"]),
        ({"input_modalities": "image"}, ["free"]),
        ({"supported_parameters": "tools"}, ["cheap", "dear"]),
        ({"supported_parameters": "tools,temperature"}, ["cheap"]),
        ({"model_authors": "OpenAI,google"}, ["cheap", "free"]),
        ({"providers": "b"}, ["dear"]),
        ({"arch": "claude"}, ["dear"]),
        ({"q": "EA"}, ["cheap", "dear"]),
        ({"context": "1001"}, ["dear"]),
        ({"max_price": "1"}, ["cheap", "free"]),
        ({"min_price": "1"}, ["cheap", "dear"]),
        ({"zdr": "true"}, []),
        ({"zdr": "false", "category": "programming"}, ["cheap", "dear", "free", "unknown"]),
        ({"sort": "pricing-low-to-high"}, ["free", "cheap", "dear", "unknown"]),
        ({"sort": "pricing-high-to-low"}, ["dear", "cheap", "free", "unknown"]),
        ({"sort": "context-high-to-low", "max_price": "99"}, ["dear", "cheap", "free"]),
        ({"sort": "most-popular"}, ["cheap", "dear", "free", "unknown"]),
    ],
)
def test_queries(query: dict[str, str], found: list[str]) -> None:
    """Each parameter leaves what meets it, in the order that is asked for; what is unpriced is never the cheapest."""
    assert [one.id for one in select(MODELS, query)] == found


def test_pages() -> None:
    """Following the links gives every model once; without bounds all come at once."""
    assert page(MODELS, {}) == (MODELS, None)
    first = encode_models(MODELS, 0, {"limit": "3", "q": ""})
    assert (len(first["data"]), first["total_count"]) == (3, 4)  # type: ignore[arg-type]  # a list
    assert first["links"] == {"next": "/api/v1/models?limit=3&q=&offset=3"}
    second = encode_models(MODELS, 0, {"limit": "3", "offset": "3"})
    assert ([one["id"] for one in second["data"]], "links" in second) == (["unknown"], False)  # type: ignore[index,union-attr,call-overload]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "x"),
        ("offset", "-1"),
        ("offset", "9" * 400),
        ("max_price", "nan"),
        ("min_price", "inf"),
        ("context", "٣"),
        ("sort", "best"),
    ],
)
def test_bad_queries(name: str, value: str) -> None:
    """What no parameter may be is refused by its name."""
    with pytest.raises(GatewayError) as caught:
        encode_models(MODELS, 0, {name: value})
    assert caught.value.param == name


def test_prices_are_decimal_text() -> None:
    """Dollars for one token, exactly, without exponents; tiers as overrides; what is unpriced says so."""
    priced = model("m", 2.5)
    priced.endpoints[0].price.output_nano_usd = 7
    priced.endpoints[0].price.cached_input_nano_usd = 0
    priced.endpoints[0].price.request_nano_usd = 5_000_000
    priced.endpoints[0].price.tiers.append(
        PriceTier(above_input_tokens=200_000, price=PriceList(input_nano_usd=5_000_000_000, output_nano_usd=10**10))
    )
    wire = encode_model(priced, 0)
    assert wire["pricing"] == {
        "prompt": "0.0000025",
        "completion": "0.000000000000007",
        "input_cache_read": "0",
        "request": "0.005",
        "overrides": [{"min_prompt_tokens": 200_001, "prompt": "0.000005", "completion": "0.00001", "request": "0"}],
    }
    unpriced = encode_model(MODELS[3], 0)
    assert (unpriced["pricing"], unpriced["unpriced"]) == ({"prompt": "-1", "completion": "-1"}, True)
