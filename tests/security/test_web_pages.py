"""What a page that someone has open in a browser can do to a gateway on the same machine."""

from __future__ import annotations

import json
import ssl
from typing import Any

import httpx
import pytest
from e2e.conftest import KEY, Running, Start

from trunkline.config.address import Address
from trunkline.config.model import Config
from trunkline.core.pages import Pages
from trunkline.errors import GatewayError

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Not used, and cheaper than the one that every client would make."""

EVIL = "https://evil.example.com"
GOOD = "https://chat.example.com"
KEYS = [{"name": "me", "key": KEY}]
MESSAGES = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "fake/echo", "messages": MESSAGES}
CALLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/api/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "fake/echo", "prompt": "Hi"},
    "/v1/embeddings": {"model": "fake/echo", "input": "Hi"},
    "/v1/responses": {"model": "fake/echo", "input": "Hi"},
    "/v1/messages": {**CHAT, "max_tokens": 9},
    "/v1beta/models/fake/echo:generateContent": {"contents": [{"parts": [{"text": "Hi"}]}]},
    "/trunkline/v1/chat": {"model": "fake/echo", "messages": [{"role": "USER", "content": [{"text": "Hi"}]}]},
}
READS = ("/v1/models", "/api/v1/models", "/v1/responses/resp_1", "/v1/conversations/conv_1", "/trunkline/v1/models")


async def send(gateway: Running, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    """A request as a page sends it that may not ask beforehand: its type is one that forms have, too."""
    sent = {
        "content-type": b"text/plain",
        **{name.replace("_", "-"): value.encode("latin-1") for name, value in headers.items()},
    }
    async with httpx.AsyncClient(base_url=gateway.url, verify=TLS) as client:
        return await client.request(
            method, path, content=None if body is None else json.dumps(body), headers=list(sent.items()), timeout=10
        )


async def test_a_foreign_page_is_refused(gateway: Running) -> None:
    """Without keys, a request that a page sends is refused on each surface, in its error, and reaches no provider."""
    for path in (*CALLS, *READS):
        for origin in (EVIL, "null", "http://localhost:3000", f"http://{'x' * 3000}", "caf\xe9"):
            answer = await send(gateway, "GET" if path in READS else "POST", path, CALLS.get(path), origin=origin)

            assert answer.status_code == 403, (path, origin)
            assert "`http.cors_origins`" in answer.text
            assert "error" in answer.json() or answer.json()["code"] == 7
            assert "access-control-allow-origin" not in answer.headers
    assert gateway.upstream.requests == []


async def test_a_page_whose_name_was_made_to_lead_here_is_refused(gateway: Running) -> None:
    """Such a page's reads tell no origin at all: the name that they were sent to is what gives it away."""
    for path in (*CALLS, *READS):
        for host in ("evil.example.com", f"rebind.evil.net:{gateway.http_port}", "127.0.0.1.nip.io", "localhost.a.com"):
            answer = await send(gateway, "GET" if path in READS else "POST", path, CALLS.get(path), host=host)
            assert answer.status_code == 403, (path, host)
            assert "`http.hosts`" in answer.text
    assert gateway.upstream.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080", "[::1]:8080", "localhost", "LOCALHOST:8080", "localhost.", "gateway:8080", "",
        "mac.local", "host.docker.internal:8080", "nas.home.arpa", "llm.example.com", "LLM.example.com:443",
    ],
)  # fmt: skip
def test_names_that_no_page_has(host: str) -> None:
    """Numbers, names that nobody can register and those that are configured are taken."""
    Pages(hosts=["llm.Example.com"]).check({"host": host})


@pytest.mark.parametrize(
    "host", ["a.b", "evil.com:80", "1.2.3", "0x7f.1", "llm.example.com.evil.com", "local.evil.com"]
)
def test_names_that_a_page_may_have(host: str) -> None:
    """All others are refused."""
    with pytest.raises(GatewayError, match=r"http\.hosts"):
        Pages(hosts=["llm.example.com"]).check({"host": host})


async def test_the_names_and_the_pages_that_are_configured_may_call(start: Start) -> None:
    """A page of a configured origin may ask, call and read, streams and errors included; and no other."""
    http = {"cors_origins": [GOOD], "hosts": ["llm.example.com"]}
    ask = {"access_control_request_method": "POST", "access_control_request_headers": "authorization, content-type"}
    async with start(http=http) as gateway:
        for path in ("/v1/chat/completions", "/trunkline/v1/chat", "/nothing"):
            asked = await send(gateway, "OPTIONS", path, origin=GOOD, **ask)
            assert asked.status_code == 204
            assert asked.headers["access-control-allow-origin"] == GOOD
            assert asked.headers["access-control-allow-headers"] == "authorization, content-type"
            refused = await send(gateway, "OPTIONS", path, origin=EVIL, **ask)
            assert "access-control-allow-origin" not in refused.headers
        for body, status in ((CHAT, 200), ({**CHAT, "stream": True}, 200), ({}, 400)):
            answer = await send(gateway, "POST", "/v1/chat/completions", body, origin=GOOD, host="llm.example.com")
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == GOOD
            assert "Origin" in answer.headers["vary"]
            assert "access-control-allow-credentials" not in answer.headers
        answer = await send(gateway, "POST", "/v1/chat/completions", CHAT, origin=EVIL)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]


async def test_without_configuration_no_answer_may_be_read_by_pages(start: Start) -> None:
    """With a key a call is its holder's, from wherever; what pages may read of it is for the configuration to say."""
    async with start(keys=KEYS) as gateway:
        for path in ("/v1/chat/completions", "/healthz", "/openapi.json", "/metrics", "/nothing"):
            for method in ("OPTIONS", "GET", "POST"):
                answer = await send(gateway, method, path, CHAT, origin=EVIL, access_control_request_method="POST")
                assert not [name for name in answer.headers if name.startswith("access-control-")]
        answer = await send(
            gateway, "POST", "/v1/chat/completions", CHAT, origin=EVIL, host="x.com", authorization=f"Bearer {KEY}"
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "origin", ["*", "null", "https://a.com/", "https://a.com/x", "a.com", "https://a.com,b", "https://*.a.com", ""]
)
def test_what_is_no_origin_is_no_setting(origin: str) -> None:
    """There is no origin that stands for all."""
    with pytest.raises(ValueError, match="must be an origin"):
        Config.model_validate({"http": {"cors_origins": [origin]}})


def test_a_gateway_without_keys_listens_to_its_machine_alone() -> None:
    """Pages and programs of that machine are all that can reach it."""
    assert Config().http.address.loopback
    assert Config().grpc.address.loopback
    with pytest.raises(ValueError, match="must be a loopback address"):
        Config.model_validate({"http": {"address": str(Address("0.0.0.0", 80))}})  # noqa: S104 - it is refused


async def test_a_host_gives_no_rights(start: Start) -> None:
    """With keys, no name in `Host` opens or closes anything."""
    async with start(keys=KEYS) as gateway:
        for host in ("127.0.0.1", "localhost", "admin", "evil.example.com", "admin.internal:1"):
            right = await send(gateway, "POST", "/v1/chat/completions", CHAT, host=host, authorization=f"Bearer {KEY}")
            wrong = await send(gateway, "POST", "/v1/chat/completions", CHAT, host=host)
            assert (right.status_code, wrong.status_code) == (200, 401)
