"""Embeddings through the gateway: by OpenAI's SDK, over gRPC, and divided where a provider takes fewer at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import openai
import pytest
from aiohttp import web
from e2e.conftest import Running, running

from trunkline.v1.embeddings_pb2 import EmbedRequest
from trunkline.v1.embeddings_pb2_grpc import EmbeddingServiceStub


@asynccontextmanager
async def cohere_server(bodies: list[Any], *, failing: bool = False) -> AsyncIterator[str]:
    """A server that embeds each text as its length, and takes 96 of them; `failing` refuses every second call."""

    async def embed(request: web.Request) -> web.Response:
        body = await request.json()
        bodies.append(body)
        if failing and len(bodies) % 2 == 0:
            return web.json_response({"message": "too many requests"}, status=429)
        if len(body["texts"]) > 96:
            return web.json_response({"message": "invalid request: too many texts"}, status=400)
        vectors = [[float(len(text))] for text in body["texts"]]
        meta = {"billed_units": {"input_tokens": len(vectors)}}
        return web.json_response({"id": "e", "embeddings": {"float": vectors}, "meta": meta})

    app = web.Application()
    app.router.add_post("/v2/embed", embed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def sdk(gateway: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0)


async def test_by_the_sdk(gateway: Running) -> None:
    """The SDK asks for base64 and gives numbers; asked for numbers, it gets the same ones."""
    async with sdk(gateway) as client:
        packed = await client.embeddings.create(model="fake/embed", input=["one fish", "two fish", "a bicycle"])
        plain = await client.embeddings.create(
            model="fake/embed", input=["one fish", "two fish", "a bicycle"], encoding_format="float"
        )
        tokens = await client.embeddings.create(model="fake/embed", input=[[1, 2], [3]], dimensions=8)

    vectors = [one.embedding for one in packed.data]
    assert vectors == [one.embedding for one in plain.data]
    assert len(vectors[0]) == 256
    assert sum(map(float.__mul__, vectors[0], vectors[1])) > sum(map(float.__mul__, vectors[0], vectors[2]))
    assert packed.usage.prompt_tokens > 0
    assert [one.index for one in packed.data] == [0, 1, 2]
    assert [len(one.embedding) for one in tokens.data] == [8, 8]


async def test_over_grpc(gateway: Running) -> None:
    """The contract's own service, and its JSON over HTTP, say the same."""
    request = EmbedRequest(model="fake/embed", dimensions=4)
    request.inputs.add(text="fish")
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        answer = await EmbeddingServiceStub(channel).Embed(request)
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        told = await http.post(
            "/trunkline/v1/embeddings", json={"model": "fake/embed", "dimensions": 4, "inputs": [{"text": "fish"}]}
        )

    assert len(answer.embeddings[0].values) == 4
    assert answer.provider == "fake"
    assert told.json()["embeddings"][0]["values"] == pytest.approx(list(answer.embeddings[0].values))


async def test_more_inputs_than_the_provider_takes() -> None:
    """They are divided, and the answer is one, in the order of the inputs, with the usage of all."""
    bodies: list[Any] = []
    inputs = ["x" * length for length in range(1, 251)]
    async with (
        cohere_server(bodies) as url,
        running(providers={"cohere": {"kind": "cohere", "base_url": url}}, models={}) as gateway,
        sdk(gateway) as client,
    ):
        answer = await client.embeddings.create(
            model="cohere/embed-v4.0", input=inputs, extra_body={"input_type": "search_query"}
        )

    assert sorted(len(body["texts"]) for body in bodies) == [58, 96, 96]
    assert {body["input_type"] for body in bodies} == {"search_query"}
    assert [one.embedding for one in answer.data] == [[float(length)] for length in range(1, 251)]
    assert answer.usage.total_tokens == 250


async def test_a_part_that_fails_fails_all() -> None:
    """No vector is missing silently."""
    async with (
        cohere_server([], failing=True) as url,
        running(providers={"cohere": {"kind": "cohere", "base_url": url}}, models={}) as gateway,
        sdk(gateway) as client,
    ):
        with pytest.raises(openai.RateLimitError):
            await client.embeddings.create(model="cohere/embed-v4.0", input=["x"] * 100)


async def test_errors(gateway: Running) -> None:
    """An unknown model, a model that embeds nothing, and a broken input are told in OpenAI's shape."""
    async with sdk(gateway) as client:
        with pytest.raises(openai.NotFoundError):
            await client.embeddings.create(model="nobody/embed", input="a")
        with pytest.raises(openai.NotFoundError):
            await client.embeddings.create(model="fake/echo", input="a")
        with pytest.raises(openai.BadRequestError) as refused:
            await client.embeddings.create(model="fake/embed", input=[])
    assert refused.value.param == "input"


async def test_a_provider_that_embeds_nothing() -> None:
    """Anthropic has no embeddings, and the caller is told so."""
    providers = {"claude": {"kind": "anthropic", "base_url": "http://127.0.0.1:9", "api_key": "k"}}
    async with running(providers=providers, models={}) as gateway, sdk(gateway) as client:
        with pytest.raises(openai.BadRequestError, match="embeds nothing"):
            await client.embeddings.create(model="claude/embed", input="a")


async def test_strict(gateway: Running) -> None:
    """What would be lost is named, and refused where the caller is strict."""
    request: Any = {"model": "fake/embed", "input": "a", "input_type": "query"}
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        told = await http.post("/v1/embeddings", json=request)
        refused = await http.post("/v1/embeddings", json=request, headers={"x-trunkline-strict": "true"})

    assert told.headers["x-trunkline-dropped"] == "input_type"
    assert refused.status_code == 400
    assert "input_type" in refused.json()["error"]["message"]
