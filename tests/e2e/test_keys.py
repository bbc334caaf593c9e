"""Virtual keys, as every client presents them and every dialect refuses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import grpc
import httpx
import openai
import pytest
from e2e.conftest import Running, Start
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.chat_pb2_grpc import ChatServiceStub
from trunkline.v1.content_pb2 import ROLE_USER
from trunkline.v1.keys_pb2 import CreateKeyRequest, Key, ListKeysRequest
from trunkline.v1.keys_pb2_grpc import KeyServiceStub

ADMIN = "an-admin-key-of-at-least-32-characters"
HELLO: Any = [{"role": "user", "content": "Hello"}]
MODEL = "fake/echo"


class House:
    """A gateway, its admin, and the keys that he makes."""

    def __init__(self, running: Running, http: httpx.AsyncClient) -> None:
        self.running = running
        self.http = http

    @property
    def url(self) -> str:
        """The address of the HTTP surfaces."""
        return self.running.url

    async def admin(self, method: str, path: str, **fields: Any) -> Any:
        """What an admin is answered."""
        answer = await self.http.request(
            method, f"/trunkline/v1/{path}", headers={"authorization": f"Bearer {ADMIN}"}, **fields
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def key(self, **fields: Any) -> tuple[str, str]:
        """The secret and the id of a new key."""
        made = await self.admin("POST", "keys", json={"key": {"name": "k", **fields}})
        return made["secret"], made["key"]["id"]

    async def chat(self, secret: str, model: str = MODEL) -> httpx.Response:
        """What a caller is answered."""
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        return await self.http.post("/v1/chat/completions", json={"model": model, "messages": HELLO}, headers=headers)


@pytest.fixture
async def house(start: Start) -> AsyncIterator[House]:
    """A gateway whose admin's key is configured."""
    async with (
        start(access={"admin_key": ADMIN}) as running,
        httpx.AsyncClient(base_url=running.url) as http,
    ):
        yield House(running, http)


async def test_open_until_the_first_key(house: House) -> None:
    """Everyone may call until there is a key that is no admin's, and not again when it is gone."""
    assert (await house.chat("")).status_code == 200
    assert (await house.chat("anything")).status_code == 200
    secret, name = await house.key()
    assert (await house.chat("")).status_code == 401
    assert (await house.chat("anything")).status_code == 401
    assert (await house.chat(secret)).status_code == 200
    await house.admin("DELETE", f"keys/{name}")
    assert (await house.chat(secret)).status_code == 401
    assert (await house.chat("")).status_code == 401


async def test_official_clients(house: House) -> None:
    """Each sends the key in its own header."""
    secret, _ = await house.key()
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=secret, max_retries=0) as client:
        told = await client.chat.completions.create(model=MODEL, messages=HELLO)
        assert told.choices[0].message.content == "Hello"
    for given in ({"api_key": secret}, {"api_key": None, "auth_token": secret}):
        async with anthropic.AsyncAnthropic(base_url=house.url, max_retries=0, **given) as one:
            message = await one.messages.create(model=MODEL, max_tokens=9, messages=HELLO)
            assert message.content[0].text == "Hello"  # type: ignore[union-attr]

    def ask() -> str | None:
        with genai.Client(api_key=secret, http_options=types.HttpOptions(base_url=house.url)) as google:
            return google.models.generate_content(model=MODEL, contents="Hello").text

    assert await asyncio.to_thread(ask) == "Hello"


async def test_wrong_keys_of_official_clients(house: House) -> None:
    """Each reads the refusal as its own."""
    await house.key()
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model=MODEL, messages=HELLO)
    async with anthropic.AsyncAnthropic(base_url=house.url, api_key="sk-wrong", max_retries=0) as one:
        with pytest.raises(anthropic.AuthenticationError):
            await one.messages.create(model=MODEL, max_tokens=9, messages=HELLO)

    def ask() -> None:
        with genai.Client(api_key="sk-wrong", http_options=types.HttpOptions(base_url=house.url)) as google:
            google.models.generate_content(model=MODEL, contents="Hello")

    with pytest.raises(genai_errors.ClientError) as raised:
        await asyncio.to_thread(ask)
    assert raised.value.code == 401


async def test_models_that_a_key_may_not_ask(house: House) -> None:
    """Every dialect says 403 in its own words, and no list names them."""
    secret, _ = await house.key(models=["house-model"])
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=secret, max_retries=0) as client:
        told = await client.chat.completions.create(model="house-model", messages=HELLO)
        assert told.choices[0].message.content == "Hello"
        for refused in (
            client.chat.completions.create(model=MODEL, messages=HELLO),
            client.responses.create(model=MODEL, input="Hello"),
            client.embeddings.create(model=MODEL, input="Hello"),
            client.models.retrieve(MODEL),
        ):
            with pytest.raises(openai.PermissionDeniedError):
                await refused
        assert [model.id async for model in client.models.list()] == ["house-model"]
    async with anthropic.AsyncAnthropic(base_url=house.url, api_key=secret, max_retries=0) as one:
        with pytest.raises(anthropic.PermissionDeniedError):
            await one.messages.create(model=MODEL, max_tokens=9, messages=HELLO)

    def ask() -> None:
        with genai.Client(api_key=secret, http_options=types.HttpOptions(base_url=house.url)) as google:
            google.models.generate_content(model=MODEL, contents="Hello")

    with pytest.raises(genai_errors.ClientError) as raised:
        await asyncio.to_thread(ask)
    assert (raised.value.code, raised.value.status) == (403, "PERMISSION_DENIED")
    async with grpc.aio.insecure_channel(house.running.grpc) as channel:
        request = ChatRequest(model=MODEL)
        request.messages.add(role=ROLE_USER).parts.add(text="Hello")
        with pytest.raises(grpc.aio.AioRpcError) as denied:
            await ChatServiceStub(channel).Chat(request, metadata=(("authorization", f"Bearer {secret}"),))
        assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED
    native = await house.http.post(
        "/trunkline/v1/chat",
        json={"model": MODEL, "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hello"}]}]},
        headers={"x-api-key": secret},
    )
    assert native.status_code == 403


async def test_owners_bound_their_keys(house: House) -> None:
    """A key that allows everything may do what its organization may, from the moment that this changes."""
    organization = await house.admin("POST", "organizations", json={"name": "acme", "models": ["house-*"]})
    secret, _ = await house.key(organizationId=organization["id"], models=["*"])
    assert (await house.chat(secret)).status_code == 403
    assert (await house.chat(secret, "house-model")).status_code == 200
    path = f"organizations/{organization['id']}"
    await house.admin("PATCH", path, json={"models": [], "limits": {"requestsPerMinute": "1"}})
    assert (await house.chat(secret)).status_code == 200
    refused = await house.chat(secret)
    assert refused.status_code == 429
    assert "The organization's limit of 1 request a minute is reached" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) > 0
    await house.admin("PATCH", path, json={"disabled": True})
    assert (await house.chat(secret)).status_code == 401


async def test_surfaces_of_a_key(house: House) -> None:
    """One that is for OpenAI's clients is for no others."""
    secret, _ = await house.key(surfaces=["openai"])
    assert (await house.chat(secret)).status_code == 200
    body = {"model": MODEL, "max_tokens": 9, "messages": HELLO}
    refused = await house.http.post("/v1/messages", json=body, headers={"x-api-key": secret})
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")


async def test_rotation(house: House) -> None:
    """The old secret goes on during the grace, and no longer than that."""
    old, name = await house.key()
    new = (await house.admin("POST", f"keys/{name}:rotate", json={"grace": "3600s"}))["secret"]
    for secret in (old, new):
        assert (await house.chat(secret)).status_code == 200
    newest = (await house.admin("POST", f"keys/{name}:rotate", json={}))["secret"]
    assert [(await house.chat(secret)).status_code for secret in (old, new, newest)] == [401, 401, 200]


async def test_a_key_cannot_widen_itself(house: House) -> None:
    """Whatever it tries, over whichever wire: only an admin's key changes keys."""
    secret, name = await house.key(models=["house-model"])
    for header in ("authorization", "x-api-key", "x-goog-api-key"):
        headers = {header: f"Bearer {secret}" if header == "authorization" else secret, "host": "localhost:1"}
        for method, path, body in (
            ("PATCH", f"/trunkline/v1/keys/{name}", {"models": []}),
            ("PATCH", f"/trunkline/v1/keys/{name}", {"admin": True}),
            ("POST", f"/trunkline/v1/keys/{name}:rotate", {}),
            ("POST", "/trunkline/v1/keys", {"key": {"name": "x", "admin": True}}),
            ("GET", "/trunkline/v1/keys", None),
            ("PATCH", f"/api/v1/keys/{name}", {"limit": None}),
            ("POST", "/api/v1/keys", {"name": "x"}),
            ("DELETE", f"/api/v1/keys/{name}", None),
            ("POST", "/v1/user/key", {"name": "x"}),
        ):
            answer = await house.http.request(method, path, json=body, headers=headers)
            assert answer.status_code == 403, (method, path)
    async with grpc.aio.insecure_channel(house.running.grpc) as channel:
        stub = KeyServiceStub(channel)
        for call in (
            stub.CreateKey(CreateKeyRequest(key=Key(name="x")), metadata=(("x-api-key", secret),)),
            stub.ListKeys(ListKeysRequest(), metadata=(("x-api-key", secret),)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as denied:
                await call
            assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "admin.internal", "evil.example", "[::1]", ""])
async def test_no_host_opens_a_door(house: House, host: str) -> None:
    """By whatever name the gateway is called, the admin's key is asked for."""
    await house.key()
    answer = await house.http.get("/trunkline/v1/keys", headers={"host": host})
    assert answer.status_code in (400, 401, 403)
    answer = await house.http.get("/trunkline/v1/keys", headers={"host": host, "x-forwarded-host": "127.0.0.1"})
    assert answer.status_code in (400, 401, 403)


async def test_metrics_on_a_public_address(start: Start) -> None:
    """They tell of all callers, and so are for admins there."""
    keys = [{"name": "me", "key": "sk-me-0123456789"}]
    async with start(http={"address": "0.0.0.0:0"}, access={"admin_key": ADMIN}, keys=keys) as running:
        url = f"http://127.0.0.1:{running.listening.http_port}/metrics"
        async with httpx.AsyncClient() as http:
            answers = {
                key: await http.get(url, headers={"authorization": f"Bearer {key}"} if key else {})
                for key in ("", "wrong", "sk-me-0123456789", ADMIN)
            }
    assert [answer.status_code for answer in answers.values()] == [401, 401, 403, 200]
    assert "`metrics.address`" in answers["sk-me-0123456789"].json()["error"]["message"]
    assert "trunkline_build_info" in answers[ADMIN].text


async def test_an_address_of_its_own(start: Start) -> None:
    """What admins do is then done there, and is nowhere else, not even for them."""
    access = {"admin_key": ADMIN, "admin_address": "127.0.0.1:0", "admin_grpc_address": "127.0.0.1:0"}
    bearer = {"authorization": f"Bearer {ADMIN}"}
    async with start(access=access) as running, httpx.AsyncClient(headers=bearer) as http:
        own = f"http://127.0.0.1:{running.listening.admin_port}"
        for path in ("/trunkline/v1/keys", "/api/v1/keys", "/metrics"):
            assert (await http.get(f"{running.url}{path}")).status_code == 404, path
            assert (await http.get(f"{own}{path}")).status_code == 200, path
        assert (await http.get(f"{own}/trunkline/v1/keys", headers={"authorization": ""})).status_code in (401, 403)
        assert (await http.post(f"{own}/v1/chat/completions", json={})).status_code == 404
        assert (await http.get(f"{running.url}/api/v1/key")).status_code == 200
        metadata = (("authorization", f"Bearer {ADMIN}"),)
        async with grpc.aio.insecure_channel(running.grpc) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await KeyServiceStub(channel).ListKeys(ListKeysRequest(), metadata=metadata)
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        async with grpc.aio.insecure_channel(f"127.0.0.1:{running.listening.admin_grpc_port}") as channel:
            assert list((await KeyServiceStub(channel).ListKeys(ListKeysRequest(), metadata=metadata)).keys) == []
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await ChatServiceStub(channel).Chat(ChatRequest(), metadata=metadata)
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "key",
    [
        "' OR 1=1 --",
        "sk-tl-' OR '1'='1",
        "%' UNION SELECT digest FROM api_keys --",
        "\\x00",
        "../../admin",
        "sk-tl-" + "A" * 49,
        "ey.ey.ey",
        "x" * 4000,
    ],
)
async def test_hostile_keys(house: House, key: str) -> None:
    """Every one is wrong, and nothing else."""
    await house.key()
    for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}):
        answer = await house.http.post("/v1/chat/completions", json={}, headers=headers)
        assert answer.status_code == 401
        assert key not in answer.text


async def test_hostile_ids(house: House) -> None:
    """No id leads out of the keys, into SQL, or into a header."""
    for name in ("..%2f..%2fhealthz", "%00", "'%20OR%201=1", "a%0d%0aset-cookie:%20b", "%2e%2e", "x" * 3000):
        answer = await house.http.get(f"/trunkline/v1/keys/{name}", headers={"x-api-key": ADMIN})
        assert answer.status_code in (400, 404), name
        assert "set-cookie" not in answer.headers


async def test_oversized_headers(house: House) -> None:
    """They are refused before anything is made of them."""
    answer = await house.http.get("/v1/models", headers={"authorization": f"Bearer {'x' * 20_000}"})
    assert answer.status_code == 400


async def test_secrets_are_told_nowhere(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the log, nor metrics, nor errors, nor lists hold a secret."""
    async with start(access={"admin_key": ADMIN}) as running, httpx.AsyncClient(base_url=running.url) as http:
        house = House(running, http)
        secret, name = await house.key()
        assert (await house.chat(secret)).status_code == 200
        assert (await house.chat(secret[:-1] + "!")).status_code == 401
        await house.admin("POST", f"keys/{name}:disable", json={})
        told = [
            (await house.chat(secret)).text,
            str(await house.admin("GET", "keys")),
            (await http.get("/metrics")).text,
            (await http.get("/openapi.json")).text,
            (await http.get("/api/v1/keys", headers={"x-api-key": ADMIN})).text,
            caplog.text,
        ]
        assert all(secret not in text and ADMIN not in text for text in told)
