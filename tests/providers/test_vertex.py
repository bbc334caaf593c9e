"""The provider `vertex`, through the gateway's own core, against a server that is as strict as Google."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fakes.gemini_server import KEY, TOKEN, GeminiServer
from google.auth.credentials import TokenState
from providers.google_house import MODEL, House, asking, calling, house_of, provider_of

from trunkline.config.model import ProviderConfig
from trunkline.errors import GatewayError
from trunkline.providers import google_credentials, vertex
from trunkline.providers.google_credentials import GoogleCredentials
from trunkline.v1 import errors_pb2

PRIVATE_KEY = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)


def service_account(folder: Path, token_url: str) -> str:
    """The file of a service account whose tokens come from `token_url`."""
    file = folder / "service-account.json"
    fields = {
        "type": "service_account",
        "project_id": "house",
        "private_key_id": "k",
        "private_key": PRIVATE_KEY,
        "client_email": "gateway@house.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_url,
    }
    file.write_text(json.dumps(fields))
    return str(file)


@asynccontextmanager
async def opened(folder: Path, **more: Any) -> AsyncIterator[House]:
    """A gateway in front of the fake, which presents the tokens of a service account."""
    async with GeminiServer() as server:
        options = {"credentials": service_account(folder, f"{server.url}/token"), **more.pop("options", {})}
        provider = provider_of("vertex", server.url, options=options, **more)
        yield house_of(server, provider)
        await provider.close()


@pytest.mark.parametrize("streamed", [False, True])
async def test_tokens_of_a_service_account(tmp_path: Path, *, streamed: bool) -> None:
    """The project is that of the credential, the place `global`, and one token serves all calls."""
    async with opened(tmp_path) as house:
        asked = (house.ask(asking("Hello"), streamed=streamed) for _ in range(5))
        for response in await asyncio.gather(*asked):
            assert response.choices[0].message.parts[0].text == "You said: Hello"
            assert response.provider == "vertex"
        received = house.server.asked
        method = ":streamGenerateContent?alt=sse" if streamed else ":generateContent"
        assert received.path == f"/v1/projects/house/locations/global/publishers/google/models/{MODEL}{method}"
        assert received.headers["authorization"] == f"Bearer {TOKEN}"
        assert "x-goog-api-key" not in received.headers
        assert house.server.tokens == 1


async def test_express_mode() -> None:
    """A key alone needs no project."""
    async with GeminiServer() as server:
        provider = provider_of("vertex", server.url, api_key=KEY)
        await house_of(server, provider).ask(asking("Hello"))
        await provider.close()
        assert server.asked.path == f"/v1/publishers/google/models/{MODEL}:generateContent"
        assert server.asked.headers["x-goog-api-key"] == KEY


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (MODEL, f"/publishers/google/models/{MODEL}:generateContent"),
        (f"google/{MODEL}", f"/publishers/google/models/{MODEL}:generateContent"),
        (f"models/{MODEL}", f"/publishers/google/models/{MODEL}:generateContent"),
        ("endpoints/123", "/endpoints/123:generateContent"),
    ],
)
async def test_names_of_models(tmp_path: Path, model: str, path: str) -> None:
    """A model may be named with its publisher, and one that was tuned by its endpoint."""
    async with opened(tmp_path, options={"location": "us-east5"}) as house:
        await house.ask(asking("Hello", model=model))
        assert house.server.asked.path == f"/v1/projects/house/locations/us-east5{path}"


async def test_names_of_models_cannot_leave_their_place(tmp_path: Path) -> None:
    """A name that a caller makes up is one name in the path, whatever is in it."""
    async with opened(tmp_path) as house:
        folder = "/v1/projects/house/locations/global/publishers"
        for name, sent in (
            ("../x", "google/models/..%2Fx:generateContent"),
            ("../../token", "google/models/..%2F..%2Ftoken:generateContent"),
            ("anthropic/../../x", "anthropic/models/..%2F..%2Fx:rawPredict"),
        ):
            with suppress(GatewayError):
                await house.ask(asking("Hello", model=name))
            assert house.server.asked.path == f"{folder}/{sent}"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", ["claude-sonnet-4-5@20250929", "anthropic/claude-sonnet-4-5@20250929"])
async def test_claude(tmp_path: Path, model: str, *, streamed: bool) -> None:
    """Anthropic's models answer in Anthropic's language, with the model in the path alone."""
    async with opened(tmp_path) as house:
        call = calling()
        response = await house.ask(asking("Who?", model=model, max_output_tokens=99), call, streamed=streamed)
        assert response.choices[0].message.parts[0].text == "I am Claude."
        assert (response.usage.input_tokens, response.provider) == (3, "vertex")
        method = "streamRawPredict" if streamed else "rawPredict"
        folder = "/v1/projects/house/locations/global/publishers/anthropic/models"
        assert house.server.asked.path == f"{folder}/claude-sonnet-4-5@20250929:{method}"
        assert house.server.asked.headers["authorization"] == f"Bearer {TOKEN}"
        assert house.server.asked.body.get("stream", False) is streamed


async def test_several_answers_of_claude(tmp_path: Path) -> None:
    """Claude writes one answer: several are several calls."""
    async with opened(tmp_path) as house:
        response = await house.ask(asking("Who?", model="claude-sonnet-4-5", choice_count=2, max_output_tokens=9))
        assert [choice.index for choice in response.choices] == [0, 1]


@pytest.mark.parametrize("model", [MODEL, "claude-sonnet-4-5"])
async def test_a_refused_credential(tmp_path: Path, model: str, caplog: pytest.LogCaptureFixture) -> None:
    """A credential that Google refuses is the gateway's fault; neither caller nor log reads what Google said."""
    async with opened(tmp_path) as house:
        house.server.refuse_tokens = True
        with pytest.raises(GatewayError) as caught:
            await house.ask(asking("Hello", model=model))
        assert caught.value.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
        assert caught.value.provider == "vertex"
        assert "hunter2" not in caught.value.message + caplog.text
        house.server.refuse_tokens = False
        await house.ask(asking("Hello", model=model, max_output_tokens=9))


async def test_an_unreachable_token_server(tmp_path: Path) -> None:
    """Where Google's token server is away, another target may answer."""
    async with GeminiServer() as server:
        gone = server.url
    async with GeminiServer() as server:
        options = {"credentials": service_account(tmp_path, f"{gone}/token")}
        provider = provider_of("vertex", server.url, options=options)
        with pytest.raises(GatewayError) as caught:
            await house_of(server, provider).ask(asking("Hello"))
        await provider.close()
    assert caught.value.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE


@pytest.mark.parametrize("text", [None, "{", '{"type":"service_account"}'])
async def test_a_credential_that_cannot_be_read(tmp_path: Path, text: str | None) -> None:
    """A file that is missing or damaged is told of when it is used, and not shown."""
    file = tmp_path / "credential.json"
    if text is not None:
        file.write_text(text)
    async with GeminiServer() as server:
        provider = provider_of("vertex", server.url, options={"credentials": str(file), "project": "house"})
        with pytest.raises(GatewayError) as caught:
            await house_of(server, provider).ask(asking("Hello"))
        await provider.close()
    assert caught.value.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
    assert str(file) not in caught.value.message


class Aging:
    """A credential that google-auth would give, which grows old as the test says."""

    def __init__(self) -> None:
        self.token_state = TokenState.FRESH
        self.token = "first"


async def test_a_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that still serves is used while the next is made; one that has expired is waited for."""
    made = asyncio.Event()
    loop = asyncio.get_running_loop()

    def renewed(credentials: Any, path: str | None) -> Any:
        credential = credentials or Aging()
        if credentials is not None:
            credential.token, credential.token_state = "second", TokenState.FRESH
            loop.call_soon_threadsafe(made.set)
        return credential

    monkeypatch.setattr(google_credentials, "_renewed", renewed)
    credentials = GoogleCredentials()
    assert await credentials.token() == "first"
    credentials._credentials.token_state = TokenState.STALE  # type: ignore[union-attr,misc]
    assert await credentials.token() == "first"
    await made.wait()
    assert await credentials.token() == "second"
    credentials._credentials.token_state = TokenState.INVALID  # type: ignore[union-attr,misc]
    assert await credentials.token() == "second"
    await credentials.close()


async def test_a_caller_that_leaves_does_not_take_the_token_away(tmp_path: Path) -> None:
    """Cancelling the call that began a renewal leaves it to the others."""
    async with opened(tmp_path) as house:
        first = asyncio.ensure_future(house.ask(asking("Hello")))
        second = asyncio.ensure_future(house.ask(asking("Hello")))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).choices
        assert house.server.tokens == 1


def made(**fields: Any) -> vertex.VertexProvider:
    """The provider of a configuration."""
    return vertex.make("v", ProviderConfig(kind="vertex", **fields))


@pytest.mark.parametrize(
    ("fields", "base_url", "path"),
    [
        ({"api_key": "x"}, "https://aiplatform.googleapis.com", "/v1/publishers/google/models/m"),
        (
            {"options": {"project": "p"}},
            "https://aiplatform.googleapis.com",
            "/v1/projects/p/locations/global/publishers/google/models/m",
        ),
        (
            {"options": {"project": "p", "location": "us-east5"}},
            "https://us-east5-aiplatform.googleapis.com",
            "/v1/projects/p/locations/us-east5/publishers/google/models/m",
        ),
        (
            {"options": {"project": "p", "location": "eu"}},
            "https://aiplatform.eu.rep.googleapis.com",
            "/v1/projects/p/locations/eu/publishers/google/models/m",
        ),
        (
            {"base_url": "https://h/v1beta1/projects/p/locations/l"},
            "https://h",
            "/v1beta1/projects/p/locations/l/publishers/google/models/m",
        ),
        ({"base_url": "https://h/v1", "api_key": "x"}, "https://h", "/v1/publishers/google/models/m"),
    ],
)
async def test_addresses(fields: dict[str, Any], base_url: str, path: str) -> None:
    """Each place has its address; a base URL may name version, project and location."""
    provider = made(**fields)
    assert provider._transport._base == base_url  # type: ignore[attr-defined]
    assert provider.path("m", stream=False) == f"{path}:generateContent"
    await provider.close()


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        ({}, r"providers\.v\.options\.project"),
        ({"options": {"region": "us"}}, r"providers\.v\.options\.region"),
    ],
)
def test_what_is_missing_or_unknown(fields: dict[str, Any], setting: str) -> None:
    """A project is needed where no key tells it, and a misspelt option is no option."""
    with pytest.raises(ValueError, match=setting):
        made(**fields)


async def test_models_are_those_of_the_configuration(tmp_path: Path) -> None:
    """Nothing is asked to list models."""
    async with opened(tmp_path, models=[MODEL]) as house:
        assert [model.id for model in await house.provider.list_models()] == [MODEL]
        assert house.server.requests == []
