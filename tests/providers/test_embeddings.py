"""Embeddings at Bedrock and at Vertex AI, through the gateway's own core, against servers that are as strict."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session
from fakes import aws_door, bedrock_embeddings, vertex_embeddings
from fakes.bedrock_server import BedrockServer
from fakes.gemini_server import KEY, TOKEN, GeminiServer
from google import genai
from google.genai import types
from google.genai.errors import APIError
from google.oauth2.credentials import Credentials
from providers.house import House, calling, house_of, losses_of, provider_of

from trunkline.call import Attempt, Loss
from trunkline.errors import GatewayError
from trunkline.providers.batches import Batches, Most
from trunkline.v1 import embeddings_pb2
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse

BEDROCK = (
    bedrock_embeddings.TITAN,
    bedrock_embeddings.OLD_TITAN,
    bedrock_embeddings.COHERE,
    bedrock_embeddings.OLD_COHERE,
)
VERTEX = (vertex_embeddings.TEXT, vertex_embeddings.SINGLE, vertex_embeddings.NEWER)


@pytest.fixture
async def bedrock() -> AsyncIterator[House]:
    """A gateway in front of a region."""
    async with BedrockServer() as server:
        provider = provider_of("bedrock", server.url, api_key=aws_door.BEARER)
        yield house_of(provider, server)
        await provider.close()


@pytest.fixture
async def vertex() -> AsyncIterator[House]:
    """A gateway in front of a project."""
    async with GeminiServer() as server:
        url = f"{server.url}/v1/projects/house/locations/europe-west4"
        provider = provider_of("vertex", url, headers={"authorization": f"Bearer {TOKEN}"})
        yield house_of(provider, server)
        await provider.close()


def embedding(model: str, texts: Sequence[str], **more: Any) -> EmbedRequest:
    """A request to embed `texts`."""
    request = EmbedRequest(model=model, **more)
    for text in texts:
        request.inputs.add(text=text)
    return request


@pytest.mark.parametrize("model", BEDROCK)
async def test_bedrock(bedrock: House, model: str) -> None:
    """Each model embeds every input, in their order, in as many calls as it takes; all are counted."""
    texts = ["x" * length for length in range(1, 101)]
    response = await bedrock.gateway.embed(embedding(model, texts), calling(strict=True))

    assert [list(one.values)[-1] for one in response.embeddings] == [0.5] * 100
    assert [one.values[0] for one in response.embeddings] == [float(length) for length in range(1, 101)]
    assert response.usage.input_tokens == 300
    assert (response.model, response.provider) == (model, "bedrock")
    assert len(bedrock.server.requests) == (100 if "titan" in model else 2)
    assert {one.path for one in bedrock.server.requests} == {f"/model/{model}/invoke"}


@pytest.mark.parametrize("model", VERTEX)
async def test_vertex(vertex: House, model: str) -> None:
    """Each model embeds every input, in their order, in as many calls as it takes; all are counted."""
    texts = ["x" * length for length in range(1, 301)]
    response = await vertex.gateway.embed(embedding(model, texts, dimensions=4), calling(strict=True))

    assert [one.values[0] for one in response.embeddings] == [float(length) for length in range(1, 301)]
    assert {len(one.values) for one in response.embeddings} == {4}
    assert response.usage.input_tokens > 0
    assert (response.model, response.provider) == (model, "vertex")
    text = model == vertex_embeddings.TEXT
    # 300 texts, of 45 150 characters.
    assert len(vertex.server.requests) == (3 if text else 300)
    method = "embedContent" if model == vertex_embeddings.NEWER else "predict"
    place = "/v1/projects/house/locations/europe-west4/publishers/google/models"
    assert vertex.server.asked.path == f"{place}/{model}:{method}"


async def test_long_texts_at_vertex(vertex: House) -> None:
    """No call holds more tokens than Google takes, and a text that alone does is Google's to judge."""
    texts = ["x" * 15_000] * 4
    response = await vertex.gateway.embed(embedding(vertex_embeddings.TEXT, texts), calling())
    assert [len(one.body["instances"]) for one in vertex.server.requests] == [1, 1, 1, 1]
    assert len(response.embeddings) == 4
    with pytest.raises(GatewayError, match="token count") as caught:
        await vertex.gateway.embed(embedding(vertex_embeddings.TEXT, ["x" * 50_000]), calling())
    assert caught.value.provider_status == 400


async def test_losses(bedrock: House) -> None:
    """What a model cannot take is named once, however many calls are made, and refused for strict callers."""
    request = embedding(bedrock_embeddings.TITAN, ["a", "b"], task=embeddings_pb2.EMBED_TASK_QUERY)
    call = calling()
    await bedrock.gateway.embed(request, call)
    assert losses_of(call) == [Loss("input_type")]
    with pytest.raises(GatewayError, match="input_type") as caught:
        await bedrock.gateway.embed(request, calling(strict=True))
    assert caught.value.name == "UNSUPPORTED"


@pytest.mark.parametrize("model", ["amazon.nova-pro-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"])
async def test_a_model_of_bedrock_that_embeds_nothing(bedrock: House, model: str) -> None:
    """The caller is told which do, and nothing is asked."""
    with pytest.raises(GatewayError, match="titan-embed-text") as caught:
        await bedrock.gateway.embed(embedding(model, ["a"]), calling())
    assert (caught.value.name, caught.value.param) == ("UNSUPPORTED", "model")
    assert bedrock.server.requests == []


async def test_claude_at_vertex_embeds_nothing(vertex: House) -> None:
    """The caller is told so, and nothing is asked."""
    with pytest.raises(GatewayError, match="embeds nothing"):
        await vertex.gateway.embed(embedding("claude-sonnet-4-5", ["a"]), calling())
    assert vertex.server.requests == []


async def test_errors_name_the_input(bedrock: House) -> None:
    """That of the request, not that of the call which it went into."""
    request = embedding(bedrock_embeddings.TITAN, ["a", "b"])
    request.inputs.add().tokens.ids.append(1)
    with pytest.raises(GatewayError) as caught:
        await bedrock.gateway.embed(request, calling())
    assert caught.value.param == "input[2]"
    assert caught.value.message.startswith("`input[2]` must be a text")


async def test_what_bedrock_refuses(bedrock: House) -> None:
    """Its own words reach the caller."""
    with pytest.raises(GatewayError, match="not a valid enum value") as caught:
        await bedrock.gateway.embed(embedding(bedrock_embeddings.TITAN, ["a"], dimensions=7), calling())
    assert caught.value.name == "INVALID_REQUEST"
    with pytest.raises(GatewayError) as caught:
        await bedrock.gateway.embed(embedding("cohere.embed-none", ["a"]), calling())
    assert caught.value.name == "NOT_FOUND"


async def test_a_key_embeds_nothing_at_vertex() -> None:
    """Vertex AI embeds for projects alone: a key is refused, which is the gateway's own affair."""
    async with GeminiServer() as server:
        provider = provider_of("vertex", server.url, api_key=KEY)
        with pytest.raises(GatewayError) as caught:
            await house_of(provider).gateway.embed(embedding(vertex_embeddings.TEXT, ["a"]), calling())
        await provider.close()
    assert (caught.value.name, caught.value.provider_status) == ("PROVIDER_UNAUTHENTICATED", 401)


async def test_signed_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that embeds is signed as every other."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws_door.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws_door.SECRET_KEY)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    async with BedrockServer() as server:
        provider = provider_of("bedrock", server.url, options={"region": aws_door.REGION})
        answer = await house_of(provider).gateway.embed(embedding(bedrock_embeddings.TITAN, ["abc"]), calling())
        await provider.close()
    assert list(answer.embeddings[0].values) == [3.0, 0.5]


class Counting:
    """A provider that embeds each text as its length, and keeps how many came at once."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    async def embed(self, request: EmbedRequest, attempt: Any) -> EmbedResponse:
        self.calls.append(len(request.inputs))
        response = EmbedResponse()
        for item in request.inputs:
            response.embeddings.add(values=[float(len(item.text))])
        return response


@pytest.mark.parametrize(
    ("most", "calls"),
    [
        (Most(9), [4]),
        (Most(4), [4]),
        (Most(3), [3, 1]),
        (Most(1), [1, 1, 1, 1]),
        (Most(9, 10), [4]),
        (Most(9, 9), [3, 1]),
        (Most(9, 5), [2, 1, 1]),
        (Most(9, 1), [1, 1, 1, 1]),
    ],
)
async def test_how_inputs_are_divided(most: Most, calls: list[int]) -> None:
    """By their number and by their length, an input that is too long by itself alone, and none is lost."""
    provider: Any = Counting()
    request = embedding("m", ["1", "22", "333", "4444"])
    answer = await Batches(provider, lambda model: most).embed(request, Attempt(calling(), "p", "m"))
    assert sorted(provider.calls, reverse=True) == sorted(calls, reverse=True)
    assert [one.values[0] for one in answer.embeddings] == [1.0, 2.0, 3.0, 4.0]


def ask_by_botocore(url: str) -> None:
    """Ask the fake by Amazon's own client. Blocks."""
    session = Session()
    session.set_credentials(aws_door.ACCESS_KEY, aws_door.SECRET_KEY)
    config = Config(retries={"max_attempts": 1})
    client = session.create_client("bedrock-runtime", region_name=aws_door.REGION, endpoint_url=url, config=config)

    def invoked(model: str, body: dict[str, Any]) -> Any:
        return json.load(client.invoke_model(modelId=model, body=json.dumps(body))["body"])

    titan = invoked(bedrock_embeddings.TITAN, {"inputText": "abc", "dimensions": 256, "normalize": True})
    assert titan == {
        "embedding": [3.0, *[0.5] * 255],
        "embeddingsByType": {"float": titan["embedding"]},
        "inputTextTokenCount": 3,
    }
    bare = invoked(bedrock_embeddings.OLD_COHERE, {"texts": ["abc"], "input_type": "search_query"})
    assert (bare["embeddings"], bare["response_type"]) == ([[3.0, 0.5]], "embeddings_floats")
    asked = {"texts": ["abc"], "input_type": "search_query", "embedding_types": ["float"]}
    assert invoked(bedrock_embeddings.COHERE, asked)["embeddings"] == {"float": [[3.0, 0.5]]}
    for model, body, words in (
        (bedrock_embeddings.TITAN, {"inputText": "a", "texts": ["a"]}, "extraneous key"),
        (bedrock_embeddings.OLD_TITAN, {"inputText": "a", "dimensions": 256}, "extraneous key"),
        (bedrock_embeddings.OLD_COHERE, {"texts": ["a"]}, "required key"),
        (bedrock_embeddings.COHERE, {"texts": ["a"] * 97, "input_type": "clustering"}, "maximum item count"),
    ):
        with pytest.raises(ClientError, match=words) as caught:
            invoked(model, body)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
    client.close()


async def test_amazons_own_client_takes_the_fake() -> None:
    """The fake is a Bedrock to botocore: vectors, signatures and errors."""
    async with BedrockServer() as server:
        await asyncio.to_thread(ask_by_botocore, server.url)


def ask_by_genai(url: str) -> None:
    """Ask the fake by Google's own client. Blocks."""
    options = types.HttpOptions(base_url=url, api_version="v1")
    token = Credentials(TOKEN)  # type: ignore[no-untyped-call]
    with genai.Client(
        vertexai=True, project="house", location="europe-west4", credentials=token, http_options=options
    ) as client:
        config = types.EmbedContentConfig(task_type="RETRIEVAL_DOCUMENT", title="T", output_dimensionality=4)
        for model, texts in (
            (vertex_embeddings.TEXT, ["a", "bc"]),
            (vertex_embeddings.NEWER, ["bc"]),
        ):
            answer = client.models.embed_content(model=model, contents=texts, config=config)
            assert answer.embeddings is not None
            assert [one.values for one in answer.embeddings] == [[float(len(text)), 0.5, 0.5, 0.5] for text in texts]
            assert answer.embeddings[0].statistics is not None
            assert answer.embeddings[0].statistics.token_count
        with pytest.raises(APIError, match="RETRIEVAL_DOCUMENT") as caught:
            client.models.embed_content(model=vertex_embeddings.TEXT, contents="a", config={"title": "T"})
        assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")


async def test_googles_own_client_takes_the_fake() -> None:
    """The fake is a Vertex AI to Google's own client: both methods, and errors."""
    async with GeminiServer() as server:
        await asyncio.to_thread(ask_by_genai, server.url)
