"""The providers that are there without configuration, found in the environment and on real loopback ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from trunkline.config.discover import discover, from_environment, from_local_ports
from trunkline.config.known import EMBEDDED, LOCAL, Local
from trunkline.config.model import Config, ProviderConfig
from trunkline.config.problem import ConfigError

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PATIENT = 60.0
"""Seconds that a busy machine will not need."""

LISTING = b'{"object":"list","data":[{"id":"llama3"}]}'


def http(body: bytes, status: str = "200 OK", head: bytes = b"") -> bytes:
    """A whole HTTP answer."""
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n".encode() + head + b"\r\n" + body


def sends(*chunks: bytes) -> Answer:
    """An answer that is sent at once."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(chunks)

    return answer


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing until the other side is gone."""
    await reader.read()


async def stalls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promises more than it sends."""
    writer.write(http(LISTING)[:-1])
    await reader.read()


async def never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a body without an end, until the other side is gone."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on a free port: that port, and the requests it got."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            await answer(reader, writer)
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], requests


async def test_a_local_server_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lists models is a provider, whatever proxy the environment names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with serving(sends(http(LISTING))) as (port, requests):
        found = await from_local_ports([Local("ollama", port)], PATIENT)
    assert found == {"ollama": ProviderConfig(kind="ollama", base_url=f"http://127.0.0.1:{port}/v1")}
    (request,) = requests
    assert request.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"authorization" not in request.lower()


@pytest.mark.parametrize(
    "answer",
    [
        sends(http(LISTING, "401 Unauthorized")),
        sends(http(LISTING, "302 Found", b"location: /v1/other\r\n")),
        sends(http(b"<html>")),
        sends(http(b"")),
        sends(http(b"[]")),
        sends(http(b'{"object":"list"}')),
        sends(http(b'{"data":{}}')),
        sends(http(b'{"data":null}')),
        sends(http(b'{"data":[\xff]}')),
        sends(http(b"[" * 100_000)),
        sends(http(b'{"data":[' + b"[" * 100_000)),
        sends(http(LISTING, head=b"content-encoding: gzip\r\n")[:-3]),
        sends(http(b"\x1f\x8b" * 20, head=b"content-encoding: gzip\r\n")),
        sends(http(b" " * 2_000_000 + LISTING)),
        sends(b"SSH-2.0-OpenSSH_9.6\r\n"),
        sends(b"HTTP/1.1 200 OK\r\n", b"x: " + b"y" * 1_000_000),
        sends(),
        never_ends,
    ],
)
async def test_anything_else_is_no_provider(answer: Answer) -> None:
    """What does not answer with a list of models of bounded size is passed over."""
    async with serving(answer) as (port, requests):
        assert await from_local_ports([Local("vllm", port)], PATIENT) == {}
        assert len(requests) == 1


@pytest.mark.parametrize("answer", [hangs, stalls])
async def test_a_slow_server_is_no_provider(answer: Answer) -> None:
    """A server that does not come to an end of its answer is not waited for."""
    async with serving(answer) as (port, _):
        assert await from_local_ports([Local("vllm", port)], 0.01) == {}


async def test_local_servers_are_asked_at_once() -> None:
    """Each is asked before any has answered, and one that is not there does not hide the others."""
    barrier = asyncio.Barrier(2)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await barrier.wait()
        writer.write(http(LISTING))

    async with serving(answer) as (one, _), serving(answer) as (two, _), serving(sends()) as (gone, _):
        found = await from_local_ports([Local("ollama", one), Local("vllm", gone), Local("lmstudio", two)], PATIENT)
    assert list(found) == ["ollama", "lmstudio"]


def test_the_usual_ports() -> None:
    """Ollama, vLLM and LM Studio are looked for where they are by default."""
    assert {(local.name, local.port) for local in LOCAL} == {("ollama", 11434), ("vllm", 8000), ("lmstudio", 1234)}


def test_hosted_providers() -> None:
    """A key in the environment is a provider, at the address that the vendor's own SDK would take."""
    found = from_environment(
        {
            "OPENAI_API_KEY": " sk-1\n",
            "OPENAI_BASE_URL": "https://eu.api.openai.com/v1/",
            "ANTHROPIC_API_KEY": "k2",
            "GEMINI_API_KEY": "k3",
            "GOOGLE_GEMINI_BASE_URL": "",
            "MISTRAL_API_KEY": "k4",
            "MISTRAL_BASE_URL": "https://elsewhere.example",
            "DEEPSEEK_API_KEY": "  ",
        }
    )
    assert {name: (p.kind, p.base_url) for name, p in found.items()} == {
        "openai": ("openai", "https://eu.api.openai.com/v1"),
        "anthropic": ("anthropic", None),
        "gemini": ("gemini", None),
        "mistral": ("mistral", None),
    }
    key = found["openai"].api_key
    assert key is not None
    assert key.get_secret_value() == "sk-1"


def test_variables_that_cannot_be_used() -> None:
    """A broken key or address is told by its variable, never by its value."""
    with pytest.raises(ConfigError) as raised:
        from_environment(
            {"OPENAI_API_KEY": "sk-1 sk-2", "ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "sk-3.example"}
        )
    assert raised.value.problems == (
        "OPENAI_API_KEY: must be visible ASCII characters without spaces, and not empty",
        "ANTHROPIC_BASE_URL: must be an http:// or https:// URL",
    )


async def test_nothing_is_looked_for_unless_asked() -> None:
    """With a file that does not say `discover: true`, only what it names is there, and the embedded provider."""
    async with serving(sends(http(LISTING))) as (port, requests):
        found = await discover(Config(), {"OPENAI_API_KEY": "k"}, [Local("vllm", port)])
    assert found == {EMBEDDED: ProviderConfig(kind="sim")}
    assert requests == []


async def test_configured_providers_go_first() -> None:
    """A provider in the file keeps its name against one that is found, and against the embedded one."""
    config = Config.model_validate(
        {"discover": True, "providers": {"openai": {"kind": "ollama"}, "sim": {"kind": "openai"}}}
    )
    async with serving(sends(http(LISTING))) as (port, _):
        found = await discover(config, {"OPENAI_API_KEY": "k", "MISTRAL_API_KEY": "k"}, [Local("vllm", port)], PATIENT)
    assert {name: provider.kind for name, provider in found.items()} == {
        "openai": "ollama",
        "sim": "openai",
        "mistral": "mistral",
        "vllm": "vllm",
    }


async def test_the_gateway_does_not_find_itself() -> None:
    """A variable or a port that leads back to the gateway would make it call itself without end."""
    async with serving(sends(http(LISTING))) as (port, _):
        config = Config.model_validate({"discover": True, "http": {"address": f"127.0.0.1:{port}"}})
        environ = {
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": f"http://localhost:{port}/v1",
            "ANTHROPIC_API_KEY": "k",
            "ANTHROPIC_BASE_URL": f"http://gateway.example:{port}",
        }
        found = await discover(config, environ, [Local("vllm", port)], PATIENT)
    assert list(found) == ["anthropic", EMBEDDED]


async def test_the_gateway_does_not_find_itself_on_the_usual_port() -> None:
    """An address without a port means the one of its scheme."""
    config = Config.model_validate({"discover": True, "http": {"address": "127.0.0.1:80"}})
    environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1/v1"}
    assert list(await discover(config, environ, [])) == [EMBEDDED]
    environ["OPENAI_BASE_URL"] = "https://127.0.0.1/v1"
    assert list(await discover(config, environ, [])) == ["openai", EMBEDDED]
