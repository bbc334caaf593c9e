"""The lists of models on every surface: what they tell, and that the vendors' own clients take it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import grpc
import openai
import pytest
from google import genai
from google.genai import types

from trunkline.v1.models_pb2 import GetModelRequest, ListModelsRequest
from trunkline.v1.models_pb2_grpc import ModelServiceStub

from .conftest import Running, Start

PROVIDERS = {
    "openai": {"kind": "openai", "api_key": "k", "models": ["gpt-4o", "o3", "text-embedding-3-small"]},
    "anthropic": {"kind": "anthropic", "api_key": "k", "models": ["claude-opus-4-6"]},
    "local": {"kind": "ollama", "models": ["llama3.1", "mystery"]},
    "sim": {"kind": "sim", "models": ["echo"]},
}
NAMES = [
    "anthropic/claude-opus-4-6",
    "best",
    "local/llama3.1",
    "local/mystery",
    "openai/gpt-4o",
    "openai/o3",
    "openai/text-embedding-3-small",
    "sim/echo",
]


@pytest.fixture
async def house(start: Start) -> AsyncIterator[Running]:
    """A gateway that lists models of several kinds, and one name for two of them."""
    listed = {name: {**provider, "list_models": True} for name, provider in PROVIDERS.items()}
    models = {"best": {"targets": ["anthropic/claude-opus-4-6", "local/mystery"]}}
    catalog = {"local/llama3.1": {"quantization": "q4", "zero_data_retention": True}}
    async with start(providers=listed, models=models, catalog=catalog) as gateway:
        yield gateway


async def get(house: Running, path: str, status: int = 200, **headers: str) -> Any:
    """The answer of a path, as JSON."""
    async with aiohttp.ClientSession() as session, session.get(f"{house.url}{path}", headers=headers) as response:
        assert response.status == status
        return await response.json()


async def test_openai_shape(house: Running) -> None:
    """OpenAI's list has what its clients need, and tells beyond that what a model takes and costs."""
    listed = {one["id"]: one for one in (await get(house, "/v1/models"))["data"]}
    assert sorted(listed) == NAMES
    gpt = listed["openai/gpt-4o"]
    assert (gpt["object"], gpt["owned_by"], gpt["context_length"], gpt["max_output_tokens"]) == (
        "model", "openai", 128_000, 16_384,
    )  # fmt: skip
    assert (gpt["pricing"]["prompt"], gpt["pricing"]["completion"], gpt["unpriced"]) == ("0.0000025", "0.00001", False)
    assert gpt["architecture"]["modality"] == "text+image+file->text"
    assert {"tools", "structured_outputs", "temperature"} <= set(gpt["supported_parameters"])
    assert "temperature" not in listed["openai/o3"]["supported_parameters"]
    assert "reasoning" in listed["openai/o3"]["supported_parameters"]
    assert (listed["local/mystery"]["unpriced"], listed["local/mystery"]["pricing"]["prompt"]) == (True, "-1")
    assert (listed["sim/echo"]["unpriced"], listed["sim/echo"]["pricing"]["prompt"]) == (False, "0")


async def test_openrouter_shape(house: Running) -> None:
    """OpenRouter's list, its queries, endpoints, count and providers."""
    everything = await get(house, "/api/v1/models?output_modalities=all")
    assert [one["id"] for one in everything["data"]] == NAMES
    cheapest = await get(house, "/api/v1/models?sort=pricing-low-to-high&limit=2")
    assert [one["id"] for one in cheapest["data"]] == ["sim/echo", "openai/o3"]
    assert cheapest["links"]["next"].endswith("&offset=2")
    assert (await get(house, "/api/v1/models/count"))["data"]["count"] == len(NAMES) - 1
    assert (await get(house, "/api/v1/model/openai/o3"))["data"]["top_provider"]["max_completion_tokens"] == 100_000
    assert [one["id"] for one in (await get(house, "/api/v1/embeddings/models"))["data"]] == [NAMES[6]]
    providers = (await get(house, "/api/v1/providers"))["data"]
    assert [one["slug"] for one in providers] == ["anthropic", "local", "openai", "sim"]

    best = (await get(house, "/api/v1/models/best/endpoints"))["data"]
    assert [one["provider_name"] for one in best["endpoints"]] == ["anthropic", "local"]
    assert [one["unpriced"] for one in best["endpoints"]] == [False, True]
    local = (await get(house, "/api/v1/models/local/llama3.1/endpoints"))["data"]["endpoints"]
    assert [one["quantization"] for one in local] == ["q4"]
    # A model that is not listed has its endpoint all the same.
    other = (await get(house, "/api/v1/models/openai/gpt-4.1/endpoints"))["data"]
    assert (other["name"], other["endpoints"][0]["pricing"]["prompt"]) == ("GPT-4.1", "0.000002")


async def test_refusals(house: Running) -> None:
    """A query or a name that is wrong is refused in OpenAI's shape, by the name of what is wrong."""
    assert (await get(house, "/api/v1/models?limit=0", 400))["error"]["param"] == "limit"
    assert (await get(house, "/api/v1/models/nobody/x/endpoints", 404))["error"]["param"] == "model"


@pytest.mark.parametrize("base", ["/v1", "/api/v1"])
async def test_openai_client(house: Running, base: str) -> None:
    """OpenAI's client reads both lists, and one model of each."""
    async with openai.AsyncOpenAI(base_url=f"{house.url}{base}", api_key="k", max_retries=0) as client:
        listed = await client.models.list()
        one = await client.models.retrieve("openai/gpt-4o")
    assert {"openai/gpt-4o", "best"} <= {model.id for model in listed.data}
    assert (one.id, one.object, one.owned_by) == ("openai/gpt-4o", "model", "openai")
    assert one.created == 1_715_558_400


async def test_anthropic_client(house: Running) -> None:
    """Anthropic's client reads the names and the days of release."""
    async with anthropic.AsyncAnthropic(base_url=house.url, api_key="k", max_retries=0) as client:
        listed = [model async for model in client.models.list(limit=3)]
    assert [model.id for model in listed] == NAMES
    assert (listed[0].display_name, f"{listed[0].created_at:%Y-%m-%d}") == ("Claude Opus 4.6", "2026-02-05")


async def test_google_client(house: Running) -> None:
    """Google's client reads the limits, and what can be asked of a model."""

    def ask() -> dict[str, types.Model]:
        options = types.HttpOptions(base_url=house.url, api_version="v1beta")
        with genai.Client(api_key="k", http_options=options) as client:
            return {str(model.name): model for model in client.models.list()}

    listed = await asyncio.to_thread(ask)
    assert sorted(listed) == [f"models/{name}" for name in NAMES]
    assert listed["models/openai/o3"].output_token_limit == 100_000
    assert "embedContent" in (listed["models/openai/text-embedding-3-small"].supported_actions or [])


async def test_grpc(house: Running) -> None:
    """The contract tells of each endpoint what it is, and its prices as integers."""
    async with grpc.aio.insecure_channel(house.grpc) as channel:
        stub = ModelServiceStub(channel)
        listed = await stub.ListModels(ListModelsRequest())
        best = await stub.GetModel(GetModelRequest(id="best"))
    assert [model.id for model in listed.models] == NAMES
    assert [(one.provider, one.kind, one.unpriced) for one in best.endpoints] == [
        ("anthropic", "anthropic", False),
        ("local", "ollama", True),
    ]
    price = best.endpoints[0].price
    assert (price.input_nano_usd, price.output_nano_usd, price.cached_input_nano_usd) == (
        5 * 10**9,
        25 * 10**9,
        5 * 10**8,
    )
    assert (best.display_name, best.owner, best.context_tokens) == ("Claude Opus 4.6", "anthropic", 1_000_000)
    assert list(best.providers) == ["anthropic", "local"]
