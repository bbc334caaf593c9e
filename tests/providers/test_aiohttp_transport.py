"""Requests over HTTP, and the proxy that the environment names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from trunkline.providers.aiohttp_transport import AiohttpTransport


class Server:
    """A server that keeps what it was asked: the target of each request, and its headers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer anything."""
        self.asked.append((str(request.url), {name.lower(): value for name, value in request.headers.items()}))
        self.bodies.append(await request.content.read())
        return web.Response(text="ok")


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server on loopback, in an environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    running = Server()
    runner = web.ServerRunner(web.Server(running.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield running
    finally:
        await runner.cleanup()


async def ask(base_url: str, sent: bytes = b"{}") -> tuple[int, bytes]:
    """One request by a transport of its own: the status and the body."""
    transport = AiohttpTransport(base_url, timeout=10, connect_timeout=10)
    try:
        reply = await transport.send("POST", "/chat", {"content-type": "application/json"}, sent)
        body = b"".join([chunk async for chunk in reply.chunks()])
        await reply.close()
        return reply.status, body
    finally:
        await transport.close()


async def test_a_request_goes_below_the_base_url_under_the_gateway_s_name(server: Server) -> None:
    """The path follows the base URL; one `user-agent` names the gateway."""
    assert await ask(f"{server.url}/v1/") == (200, b"ok")
    [(url, headers)] = server.asked
    assert url == f"{server.url}/v1/chat"
    assert headers["user-agent"] == "trunkline"


async def test_the_proxy_of_the_environment_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider is asked through the proxy that the environment names, with the proxy's own name and password."""
    monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://user:word@"))
    assert await ask("http://provider.invalid/v1") == (200, b"ok")
    [(url, headers)] = server.asked
    assert url == "http://provider.invalid/v1/chat"
    assert headers["proxy-authorization"] == "Basic dXNlcjp3b3Jk"
    assert "authorization" not in headers


async def test_no_proxy_is_respected(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that `no_proxy` names is asked directly."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert await ask(server.url) == (200, b"ok")


async def test_no_key_is_taken_from_netrc(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What `~/.netrc` says of a provider's host is not sent: nobody configured it."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert await ask(server.url) == (200, b"ok")
    [(_, headers)] = server.asked
    assert "authorization" not in headers


async def test_a_large_body_arrives_whole_and_with_its_length(server: Server) -> None:
    """A request with an image of some megabytes is sent like any other, and nothing warns of it."""
    sent = b'{"image":"%b"}' % (b"QUJD" * 2**20)
    assert await ask(server.url, sent) == (200, b"ok")
    [(_, headers)] = server.asked
    assert headers["content-length"] == str(len(sent))
    assert headers["content-type"] == "application/json"
    assert server.bodies == [sent]
