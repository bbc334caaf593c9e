"""What callers and providers write stays a value: it ends no header, no log line, no event and no path."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import httpx
import pytest
from aiohttp import web
from e2e.conftest import Running, Start
from yarl import URL

from trunkline.config.model import ProviderConfig
from trunkline.errors import GatewayError
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.build import make_provider
from trunkline.v1 import chat_pb2, chat_pb2_grpc, content_pb2

EVIL = (
    "a\r\nX-Injected: 1",
    "a\nX-Injected: 1",
    'a\n\ndata: {"X-Injected": 1}\n\nevent: x',
    "a\0b",
    "caf\u00e9 \u2028\u202e",
    "\U0001f600",
    "\x1b[31mred\x07\x9b2J",
    "\ud800",
    "a" * 20_000,
)
MOUNTS = {"/a/v1": "tokenrouter", "/b/v1": "routic", "/c/v1": "routing_run"}
MESSAGES = [{"role": "user", "content": "x"}]
NATIVE = {"messages": [{"role": "ROLE_USER", "parts": [{"text": "x"}]}]}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/api/v1/chat/completions": {"messages": MESSAGES},
    **{f"{mount}/chat/completions": {"messages": MESSAGES} for mount in MOUNTS},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 9},
    "/v1/responses": {"input": "x"},
    "/trunkline/v1/chat": NATIVE,
}
STREAMS = {"/trunkline/v1/chat:stream": NATIVE, **{path: body for path, body in BODIES.items() if "trunk" not in path}}
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_CONTROL = re.compile(r"[\x00-\x1f\x80-\x9f\u2028\u202e]")


def _answer(evil: str) -> dict[str, Any]:
    call = {"id": evil, "index": 0, "type": "function", "function": {"name": evil, "arguments": evil}}
    said = {"role": "assistant", "content": evil, "reasoning_content": evil, "tool_calls": [call]}
    choice = {"index": 0, "message": said, "delta": said, "finish_reason": evil}
    return {
        "id": evil,
        "created": 1,
        "model": evil,
        "system_fingerprint": evil,
        "service_tier": evil,
        "choices": [choice],
    }


@asynccontextmanager
async def hostile() -> AsyncIterator[str]:
    """The base URL of a provider that writes `EVIL` wherever it can; the model says how, and which."""

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"data": [{"id": evil} for evil in EVIL]}, dumps=json.dumps)
        how, _, which = (await request.json())["model"].partition("-")
        evil = EVIL[int(which)]
        match how:
            case "whole":
                return web.Response(body=json.dumps(_answer(evil)).encode(), content_type="application/json")
            case "stream":
                events = f"data: {json.dumps(_answer(evil))}\n\ndata: [DONE]\n\n"
                return web.Response(body=events.encode(), content_type="text/event-stream")
        error = {"error": {"message": evil, "code": evil, "type": evil, "param": evil}}
        headers = {"retry-after": "9e99", "x-request-id": "up\u00e9"}
        return web.Response(
            status=int(how), body=json.dumps(error).encode(), content_type="application/json", headers=headers
        )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def _harmless(answer: httpx.Response) -> None:
    for name, value in answer.headers.multi_items():
        assert "inject" not in name
        assert not _CONTROL.search(value), (name, value)
        assert len(value) <= 8192


def _events(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


@pytest.mark.parametrize("log", ["human", "json"])
async def test_a_provider_cannot_write_into_headers_events_or_the_log(
    start: Start, log: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Line ends, NULs, escapes and lone surrogates in each field of its answers, its streams and its errors come out
    as values of JSON, or not at all; none makes the gateway fail."""
    async with hostile() as url:
        evil = {"kind": "openai-compatible", "base_url": url}
        settings: dict[str, Any] = {
            "providers": {"evil": evil},
            "models": {},
            "http": {"mounts": MOUNTS},
            "log": {"level": "info", "format": log},
            "routing": {"retries": 0, "breaker": {"failures": 1_000_000}},
        }
        async with start(**settings) as gateway, httpx.AsyncClient(base_url=gateway.url, verify=TLS) as client:
            for which in range(len(EVIL)):
                for path, body in BODIES.items():
                    how = ("whole", "400", "404", "429", "500")
                    for one in how if path == "/v1/chat/completions" else how[which % 5 : which % 5 + 1]:
                        answer = await client.post(path, json={"model": f"evil/{one}-{which}", **body})
                        _harmless(answer)
                        assert "its log tells why" not in answer.text
                for path, body in STREAMS.items():
                    model = {"model": f"evil/stream-{which}"}
                    stream = {} if path.endswith(":stream") else {"stream": True}
                    answer = await client.post(path, json={**body, **model, **stream})
                    _harmless(answer)
                    for line in _events(answer.text):
                        assert line.startswith(("data: {", "data: [DONE]", "event: ", ":", "{")), (path, line)
                        assert line.partition(": ")[2] != "x"
            for path in ("/v1/models", "/api/v1/models", "/trunkline/v1/models"):
                _harmless(await client.get(path))
    lines = capfd.readouterr().err.rstrip("\n").split("\n")
    assert len(lines) > 100
    for line in lines:
        assert not _CONTROL.search(line), line
        assert not line.startswith("X-Injected")
        if log == "json":
            json.loads(line)


async def test_a_caller_cannot_either(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    """The same in each field of requests that comes back or goes on: names of models, users, metadata and tools."""
    async with (
        start(http={"mounts": MOUNTS}, log={"level": "info", "format": "human"}) as gateway,
        httpx.AsyncClient(base_url=gateway.url, verify=TLS, headers={"content-type": "application/json"}) as client,
    ):
        for evil in EVIL:
            tools = [{"type": "function", "function": {"name": evil}}]
            extra = {"user": evil, "metadata": {evil[:60]: evil}, evil: 1, "tools": tools}
            for path, body in BODIES.items():
                for model in (evil, "fake/echo", f"fake/{evil}", f"sim/{evil}"):
                    answer = await client.post(path, content=json.dumps({**body, **extra, "model": model}).encode())
                    _harmless(answer)
                    assert answer.status_code in (200, 400, 404, 422, 502), (path, model, answer.text)
                    assert "its log tells why" not in answer.text
    for line in capfd.readouterr().err.rstrip("\n").split("\n"):
        assert not _CONTROL.search(line), line
        assert not line.startswith("X-Injected")


async def test_nor_can_either_over_grpc(start: Start) -> None:
    """Details, trailers and errors are values too, and no call ends as a fault of the gateway."""
    async with hostile() as url:
        providers = {"evil": {"kind": "openai-compatible", "base_url": url}}
        settings: dict[str, Any] = {"routing": {"retries": 0, "breaker": {"failures": 1_000_000}}}
        async with (
            start(providers=providers, models={}, **settings) as gateway,
            grpc.aio.insecure_channel(gateway.grpc) as channel,
        ):
            stub = chat_pb2_grpc.ChatServiceStub(channel)
            for which, evil in enumerate(EVIL):
                own = [evil.encode("utf-8", "replace").decode()]
                for model in [f"evil/{how}-{which}" for how in ("whole", "400", "404", "429", "500")] + own:
                    request = chat_pb2.ChatRequest(model=model, user=own[0], metadata={own[0][:60]: own[0][:500]})
                    request.messages.add(role=content_pb2.ROLE_USER).parts.add().text = "x"
                    call = stub.Chat(request, metadata=[("x-request-id", "a b"), ("traceparent", "x" * 1000)])
                    with suppress(grpc.aio.AioRpcError):
                        await call
                    assert await call.code() is not grpc.StatusCode.INTERNAL, (model, await call.details())
                    for key, value in await call.trailing_metadata():
                        assert "inject" not in key
                        assert isinstance(value, bytes) or not _CONTROL.search(value)


HEADERS = (
    "x-request-id", "traceparent", "http-referer", "x-title", "x-openrouter-categories", "authorization", "x-api-key",
    "x-trunkline-timeout", "x-trunkline-strict", "content-type", "content-encoding", "anthropic-beta", "grpc-timeout",
    "te", "grpc-metadata-x-request-id", "cookie", "accept",
)  # fmt: skip
VALUES = (b"\xff\xfe", b"caf\xc3\xa9", b"a\tb", b"x" * 8000, b"", b"00-" + b"\xff" * 32, b"%0d%0aX: y", b"nan", b"-1")


async def test_any_byte_in_a_header_is_borne(gateway: Running) -> None:
    """A header whose value is no text, no number or too long is left aside or refused, and never fails the gateway;
    what goes on to the provider is what the gateway understood."""
    bodies = {path: BODIES[path] for path in ("/v1/chat/completions", "/v1/messages", "/trunkline/v1/chat")}

    async def send(path: str, name: str, value: bytes) -> None:
        body = json.dumps({"model": "fake/echo", **bodies[path]}).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{name}: ".encode()
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
        writer.write(head + value + b"\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        assert answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4", b"HTTP/1.0 4")), (path, name, value, answer)

    for path in bodies:
        for name in HEADERS:
            await asyncio.gather(*(send(path, name, value) for value in VALUES))
    for request in gateway.upstream.requests:
        assert request.headers.keys() <= {
            "host", "user-agent", "content-type", "authorization", "content-length", "accept", "accept-encoding",
        }  # fmt: skip
        assert request.headers["authorization"] == "Bearer sk-upstream"


NAMES = (
    "..",
    ".",
    "../../admin",
    "a/../../b",
    "a?x=1",
    "a#b",
    "%2e%2e/x",
    "a\r\nX: y",
    "a b",
    "caf\u00e9",
    "a\\..\\b",
    "//evil.com/x",
)


@pytest.mark.parametrize(
    ("kind", "root", "settings"),
    [
        ("openai-compatible", "/", {}),
        ("gemini", "/v1beta/models/", {}),
        ("azure", "/deployments/", {"options": {"api_version": "2024-10-21"}}),
        ("bedrock", "/model/", {"options": {"region": "us-east-1"}}),
        ("vertex", "/v1/", {"options": {"project": "p", "location": "global"}}),
    ],
)
async def test_the_name_of_a_model_leads_to_no_other_path(kind: str, root: str, settings: dict[str, Any]) -> None:
    """Where a provider has the name in the path, it is one segment of it, whatever it is, or refused."""
    base = "http://127.0.0.1:9"
    config = ProviderConfig.model_validate({"kind": kind, "base_url": base, "api_key": "k", **settings})
    provider = make_provider("p", config)
    usual = URL(f"{base}{provider.path('usual', stream=False)}").raw_path
    transport = AiohttpTransport(base, timeout=1, connect_timeout=1)
    try:
        for name in NAMES:
            for stream in (False, True):
                path = provider.path(name, stream=stream)
                with pytest.raises(GatewayError) as caught:
                    await transport.send("POST", path, {}, b"{}")
                if caught.value.param == "model":
                    continue
                url = URL(f"{base}{path}")
                assert url.host == "127.0.0.1"
                assert url.raw_path.startswith(root)
                assert url.raw_path.count("/") == usual.count("/"), (name, url)
                assert url.query.keys() <= {"alt", "api-version"}
                assert not url.raw_fragment
    finally:
        await transport.close()
        await provider.close()
