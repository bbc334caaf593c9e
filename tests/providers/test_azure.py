"""The kind `azure`, through the gateway's own core, against a resource with both of Azure's APIs, and Entra ID."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.identity.aio import DefaultAzureCredential
from fakes import entra_server, responses_server
from fakes.azure_server import KEY, TOKEN, AzureServer
from fakes.entra_server import EntraServer
from fakes.responses_server import ResponsesServer
from openai import AsyncAzureOpenAI, AsyncOpenAI, BadRequestError
from providers.house import House, answering, asking, calling, house_of, provider_of, texts_of

from trunkline.config.model import ProviderConfig
from trunkline.errors import GatewayError
from trunkline.providers import azure_credentials
from trunkline.providers.azure import make
from trunkline.providers.azure_credentials import AzureCredentials
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import Function, JsonSchema, ResponseFormat, Tool, ToolChoice
from trunkline.v1.content_pb2 import Media

MODEL = "house-gpt"
VERSION = "2024-10-21"
TOOLS = [Tool(function=Function(name=name)) for name in ("weather", "time")]

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


@pytest.fixture
async def server() -> AsyncIterator[AzureServer]:
    """The fake."""
    async with AzureServer() as server:
        yield server


@pytest.fixture(params=["v1", "deployments"])
async def house(request: pytest.FixtureRequest, server: AzureServer) -> AsyncIterator[House]:
    """A gateway in front of one of the fake's two APIs."""
    options = {"api_version": VERSION} if request.param == "deployments" else {}
    provider = provider_of("azure", server.origin, api_key=KEY, options=options, models=[MODEL])
    yield house_of(provider)
    await provider.close()


@streamed_or_not
async def test_a_text(house: House, streamed: bool) -> None:
    """A text comes back, with what Azure found in prompt and answer kept, though its first chunk names nothing."""
    call = calling(strict=True)
    response = await house.ask(asking("Hello", model=MODEL), call, streamed=streamed)
    assert texts_of(response) == ["You said: Hello"]
    assert (response.id, response.model) == ("chat-1", MODEL)
    assert (response.usage.input_tokens, response.usage.output_tokens) == (20, 5)
    assert call.attempts[0].upstream_id == "req_1"
    [found] = json.loads(response.extras["openai"])["prompt_filter_results"]
    assert found["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    if not streamed:
        assert "content_filter_results" in json.loads(response.choices[0].extras["openai"])


@pytest.mark.parametrize(
    ("base", "options", "path"),
    [
        ("", {}, "/openai/v1/chat/completions"),
        ("/openai", {}, "/openai/v1/chat/completions"),
        ("/openai/v1", {}, "/openai/v1/chat/completions"),
        ("/openai/v1/", {"api_version": "v1"}, "/openai/v1/chat/completions"),
        ("", {"api_version": "preview"}, "/openai/v1/chat/completions?api-version=preview"),
        ("", {"api_version": VERSION}, f"/openai/deployments/house%20mini/chat/completions?api-version={VERSION}"),
        (
            "/openai/v1",
            {"api_version": VERSION},
            f"/openai/deployments/house%20mini/chat/completions?api-version={VERSION}",
        ),
        (
            "/openai/deployments/house-gpt",
            {"api_version": VERSION},
            f"/openai/deployments/house-gpt/chat/completions?api-version={VERSION}",
        ),
    ],
)
async def test_where_it_goes(server: AzureServer, base: str, options: dict[str, str], path: str) -> None:
    """A resource's address is enough; a version that is a date asks for the API with deployments in its paths."""
    provider = provider_of("azure", server.origin + base, api_key=KEY, options=options)
    await house_of(provider).ask(asking("Hello", model="house mini"))
    await provider.close()
    [received] = server.requests
    assert (received.method, received.path) == ("POST", path)
    assert received.headers["api-key"] == KEY
    assert "authorization" not in received.headers


async def test_the_models_of_foundry() -> None:
    """Are named in the body, with a version in the query."""
    options = {"api_version": "2024-05-01-preview"}
    config = ProviderConfig(
        kind="azure", base_url="https://a.services.ai.azure.com/models", api_key=KEY, options=options
    )
    provider = make("a", config)
    assert provider.path("grok-4", stream=True) == "/chat/completions?api-version=2024-05-01-preview"
    assert provider.embed_path("e") == "/embeddings?api-version=2024-05-01-preview"
    await provider.close()


async def test_a_name_does_not_lead_elsewhere() -> None:
    """A caller's name of a model stays one step of the path."""
    config = ProviderConfig(kind="azure", base_url="https://a", api_key=KEY, options={"api_version": VERSION})
    provider = make("a", config)
    path = provider.path("../../secrets?x=", stream=False)
    assert path == f"/deployments/..%2F..%2Fsecrets%3Fx%3D/chat/completions?api-version={VERSION}"
    assert provider.embed_path("e") == f"/deployments/e/embeddings?api-version={VERSION}"
    completions = provider.completions()
    assert completions is not None
    assert completions.path("c", stream=False) == f"/deployments/c/completions?api-version={VERSION}"
    await provider.close()


@streamed_or_not
async def test_parallel_tools_and_their_results(house: House, streamed: bool) -> None:
    """Calls come with their arguments, and their results are taken in any order."""
    request = asking("tools", model=MODEL, tools=TOOLS)
    message = (await house.ask(request, calling(strict=True), streamed=streamed)).choices[0].message
    assert [part.tool_call.name for part in message.parts] == ["weather", "time"]
    assert [json.loads(part.tool_call.arguments_json) for part in message.parts] == [{"city": "Zürich"}] * 2
    request.messages.extend([message, *answering(message, ["a", "b"])])
    assert texts_of(await house.ask(request, calling(strict=True), streamed=streamed)) == ["You said: tools"]
    forced = asking("Hi", model=MODEL, tools=TOOLS, tool_choice=ToolChoice(name="time"))
    [part] = (await house.ask(forced, streamed=streamed)).choices[0].message.parts
    assert part.tool_call.name == "time"


@streamed_or_not
async def test_structured_output(house: House, streamed: bool) -> None:
    """JSON by a schema, by the server's own means."""
    schema = (
        '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false}'
    )
    form = ResponseFormat(json_schema=JsonSchema(name="person", schema_json=schema, strict=True))
    request = asking("Who?", model=MODEL, response_format=form, max_output_tokens=99)
    response = await house.ask(request, calling(strict=True), streamed=streamed)
    assert json.loads(texts_of(response)[0]) == {"name": "x"}


@streamed_or_not
async def test_several_answers(house: House, server: AzureServer, streamed: bool) -> None:
    """Come from one call."""
    response = await house.ask(asking("Hi", model=MODEL, choice_count=2), calling(strict=True), streamed=streamed)
    assert [choice.index for choice in response.choices] == [0, 1]
    assert len(server.requests) == 1


async def test_images(house: House, server: AzureServer) -> None:
    """An image reaches the server as it came."""
    request = asking("Look", model=MODEL)
    request.messages[0].parts.add().media.MergeFrom(Media(media_type="image/png", uri="data:image/png;base64,AA=="))
    await house.ask(request, calling(strict=True))
    assert server.requests[0].body["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,AA=="


@streamed_or_not
@pytest.mark.parametrize(
    ("word", "name", "status", "wait"),
    [
        ("limited", "RATE_LIMITED", 429, 7),
        ("overloaded", "PROVIDER_UNAVAILABLE", 503, None),
        ("poor", "QUOTA_EXCEEDED", 429, None),
        ("broken", "PROVIDER_FAILED", 500, None),
        ("long", "CONTEXT_LENGTH_EXCEEDED", 400, None),
    ],
)
async def test_errors(house: House, word: str, name: str, status: int, wait: int | None, streamed: bool) -> None:
    """Errors have their reason, their status and how long to wait."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking(word, model=MODEL), streamed=streamed)
    error = caught.value
    assert (error.name, error.provider_status, error.provider) == (name, status, "azure")
    assert (error.retry_after.total_seconds() if error.retry_after is not None else None) == wait


@streamed_or_not
async def test_a_prompt_that_is_filtered(house: House, streamed: bool) -> None:
    """The error tells for what; an answer that is filtered says so."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking("filtered", model=MODEL), streamed=streamed)
    assert (caught.value.name, caught.value.param) == ("CONTENT_FILTERED", "prompt")
    assert caught.value.message.endswith("Filtered: violence (medium), jailbreak.")
    response = await house.ask(asking("unsafe", model=MODEL), streamed=streamed)
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_CONTENT_FILTER


async def test_an_unknown_deployment_and_a_wrong_key(house: House, server: AzureServer) -> None:
    """A deployment that there is not is not found; the gateway's key is not the caller's affair."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking("Hello", model="gpt-none"))
    assert (caught.value.name, caught.value.provider_status) == ("NOT_FOUND", 404)
    provider = provider_of("azure", server.url, api_key="wrong")
    with pytest.raises(GatewayError) as caught:
        await house_of(provider).ask(asking("Hello", model=MODEL))
    await provider.close()
    assert caught.value.name == "PROVIDER_UNAUTHENTICATED"


@pytest.mark.parametrize(("word"), ["fails", "breaks", "ends"])
async def test_a_stream_that_comes_to_nothing(house: House, word: str) -> None:
    """It ends in an error: nothing that was cut looks finished."""
    told = []
    with pytest.raises(GatewayError) as caught:
        async for event in house.events(asking(word, model=MODEL)):
            told.append(event)  # noqa: PERF401
    assert caught.value.name == "PROVIDER_FAILED"
    assert not any(event.HasField("choice_end") for event in told)


async def test_a_client_that_leaves(house: House, server: AzureServer) -> None:
    """Leaving a stream leaves Azure's."""
    async with aclosing(house.events(asking("hangs", model=MODEL))) as events:
        async for event in events:
            if event.HasField("part_delta"):
                break
    await asyncio.wait_for(server.abandoned.wait(), 10)


async def test_models_are_those_of_the_configuration(house: House, server: AzureServer) -> None:
    """Azure would list what it has, not what is deployed."""
    assert [model.id for model in await house.provider.list_models()] == [MODEL]
    assert server.requests == []


@streamed_or_not
async def test_responses_where_they_are_needed(streamed: bool) -> None:
    """What only Responses can answer goes there; the rest stays where it is."""
    async with ResponsesServer() as server:
        headers: dict[str, Any] = {"authorization": f"Bearer {responses_server.KEY}"}
        provider = provider_of("azure", server.url, headers=headers, options={"api_version": "preview"})
        house = house_of(provider)
        assert texts_of(await house.ask(asking("Hello", model="gpt-5-pro"), streamed=streamed)) == ["You said: Hello"]
        await house.ask(asking("Hello", model="gpt-5.1"))
        await provider.close()
        assert [received.path for received in server.requests] == [
            "/v1/responses?api-version=preview",
            "/v1/chat/completions?api-version=preview",
        ]


@pytest.fixture
async def entra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[EntraServer]:
    """Entra ID, and an environment that holds a client's secret."""
    async with EntraServer() as server:
        authority = tmp_path / "authority.pem"
        server.authority.cert_pem.write_to_path(authority)
        for name, value in {
            "AZURE_TENANT_ID": entra_server.TENANT,
            "AZURE_CLIENT_ID": entra_server.CLIENT,
            "AZURE_CLIENT_SECRET": entra_server.SECRET,
            "AZURE_AUTHORITY_HOST": server.url,
        }.items():
            monkeypatch.setenv(name, value)
        # Nothing but whom it trusts is told to azure-identity.
        own = {"connection_verify": str(authority)}
        monkeypatch.setattr(azure_credentials, "_found", lambda: DefaultAzureCredential(**own))
        yield server


@pytest.mark.parametrize("options", [{}, {"scope": "https://ai.azure.com/.default"}, {"api_version": VERSION}])
async def test_entra_id(server: AzureServer, entra: EntraServer, options: dict[str, str]) -> None:
    """Without a key the gateway signs in by its environment, once for all calls."""
    server.tokens = {"entra-token-0"}
    provider = provider_of("azure", server.origin, options=options)
    house = house_of(provider)
    answers = await asyncio.gather(*(house.ask(asking("Hello", model=MODEL)) for _ in range(5)))
    await provider.close()
    assert [texts_of(answer) for answer in answers] == [["You said: Hello"]] * 5
    assert {received.headers["authorization"] for received in server.requests} == {"Bearer entra-token-0"}
    assert entra.tokens == ["entra-token-0"]
    assert entra.scopes == [options.get("scope", azure_credentials.SCOPE)]


async def test_entra_id_refuses(
    server: AzureServer, entra: EntraServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no fault of the caller's; no secret is told, and the next call tries again."""
    server.tokens = {"entra-token-0"}
    provider = provider_of("azure", server.origin)
    house = house_of(provider)
    entra.refuse = True
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking("Hello", model=MODEL))
    assert (caught.value.name, caught.value.provider) == ("PROVIDER_UNAUTHENTICATED", "azure")
    own = "".join(record.getMessage() for record in caplog.records if record.name == "trunkline")
    assert entra_server.SECRET not in caught.value.message + own
    entra.refuse = False
    await house.ask(asking("Hello", model=MODEL))
    await provider.close()


class Aging:
    """A credential whose tokens serve for as long as the test says."""

    def __init__(self, *lives: float) -> None:
        self.lives = list(lives)
        self.given = 0
        self.asked = asyncio.Event()
        self.closed = False

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """The next token."""
        life = self.lives.pop(0)
        self.given += 1
        self.asked.set()
        return AccessToken(f"token-{self.given}", int(time.time() + life))

    async def close(self) -> None:
        """Nothing is open."""
        self.closed = True


async def test_a_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that still serves is presented while the next is made; one that hardly serves is waited for."""
    credential = Aging(3600, 100, 3, 3600)
    monkeypatch.setattr(azure_credentials, "_found", lambda: credential)
    credentials = AzureCredentials()
    assert [await credentials.token(), await credentials.token()] == ["token-1", "token-1"]
    credentials._token = AccessToken("old", int(time.time() + 60))
    credential.asked.clear()
    assert await credentials.token() == "old"
    await credential.asked.wait()
    await asyncio.sleep(0)
    assert await credentials.token() == "token-2"
    credentials._token = AccessToken("older", int(time.time()))
    assert await credentials.token() == "token-3"
    await credentials.close()
    assert credential.closed


async def test_entra_id_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another target may answer then."""

    class Away(Aging):
        async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            raise TimeoutError

    monkeypatch.setattr(azure_credentials, "_found", Away)
    credentials = AzureCredentials()
    with pytest.raises(GatewayError) as caught:
        await credentials.token()
    await credentials.close()
    assert caught.value.name == "PROVIDER_UNAVAILABLE"


async def test_a_caller_that_leaves_does_not_take_the_token_away(server: AzureServer, entra: EntraServer) -> None:
    """Cancelling the call that began a renewal leaves it to the others."""
    server.tokens = {"entra-token-0"}
    provider = provider_of("azure", server.origin)
    house = house_of(provider)
    first = asyncio.ensure_future(house.ask(asking("Hello", model=MODEL)))
    second = asyncio.ensure_future(house.ask(asking("Hello", model=MODEL)))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).choices
    await provider.close()
    assert entra.tokens == ["entra-token-0"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, r"providers\.a\.base_url.*required"),
        ({"base_url": "https://a", "options": {"version": "1"}}, r"providers\.a\.options\.version"),
    ],
)
def test_what_is_missing_or_unknown(fields: dict[str, Any], words: str) -> None:
    """A resource has an address, and a misspelt option is no option."""
    with pytest.raises(ValueError, match=words):
        make("a", ProviderConfig(kind="azure", **fields))


def test_without_azure_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, the remedy is named; a key needs none of it."""
    monkeypatch.delitem(sys.modules, "trunkline.providers.azure_credentials")
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    with pytest.raises(ValueError, match=r"`providers\.a\.api_key` is required.*`trunkline\[azure\]`"):
        make("a", ProviderConfig(kind="azure", base_url="https://a"))
    assert make("a", ProviderConfig(kind="azure", base_url="https://a", api_key="k"))


async def test_the_fake_is_taken_for_azure(server: AzureServer) -> None:
    """OpenAI's clients for both of Azure's APIs read what the fake says, whole and streamed, and its errors."""
    asked: Any = [{"role": "user", "content": "Hello"}]
    older = AsyncAzureOpenAI(azure_endpoint=server.origin, api_key=KEY, api_version=VERSION, max_retries=0)
    signed = AsyncAzureOpenAI(azure_endpoint=server.origin, azure_ad_token=TOKEN, api_version=VERSION, max_retries=0)
    newer = AsyncOpenAI(base_url=server.url, api_key=KEY, max_retries=0)
    for client in (older, signed, newer):
        async with client:
            whole = await client.chat.completions.create(model=MODEL, messages=asked)
            assert whole.choices[0].message.content == "You said: Hello"
            stream = await client.chat.completions.create(model=MODEL, messages=asked, stream=True)
            chunks = [chunk async for chunk in stream]
            assert (chunks[0].choices, chunks[-1].choices[0].finish_reason) == ([], "stop")
            with pytest.raises(BadRequestError) as caught:
                await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "filtered"}])
            assert caught.value.code == "content_filter"
