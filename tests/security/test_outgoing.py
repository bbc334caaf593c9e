"""Secrets go to the address that is configured, wherever that would send them on."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from observe.samples import started
from pydantic import SecretStr

from trunkline.access.jwks import UnreachedError, fetch_by
from trunkline.call import Attempt, Call
from trunkline.config.discover import from_local_ports
from trunkline.config.known import Local
from trunkline.config.model import MediaConfig, ProviderConfig
from trunkline.config.plugins import SearchConfig
from trunkline.errors import GatewayError
from trunkline.observe.tracing import Tracing
from trunkline.plugins.domains import Domains
from trunkline.plugins.search_engine import Query, SearchEngine
from trunkline.providers.build import KINDS, make_provider
from trunkline.providers.fetch import Fetcher, RefusedError
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import ROLE_USER

STATUSES = (301, 302, 303, 307, 308)


@dataclass
class Fork:
    """Two servers: `url` answers all that it is asked by a redirect to the other, which notes who comes."""

    url: str = ""
    status: int = 307
    asked: int = 0
    caught: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
async def fork() -> AsyncIterator[Fork]:
    """A server that sends everyone elsewhere."""
    one = Fork()

    async def trap(request: web.BaseRequest) -> web.Response:
        one.caught.append(dict(request.headers))
        return web.json_response({"data": []})

    async def away(request: web.BaseRequest) -> web.Response:
        one.asked += 1
        return web.Response(status=one.status, headers={"location": f"http://127.0.0.2:{ports[1]}/x"})

    runners = [web.ServerRunner(web.Server(handle), shutdown_timeout=0) for handle in (away, trap)]
    ports = []
    for runner, host in zip(runners, ("127.0.0.1", "127.0.0.2"), strict=True):
        await runner.setup()
        await web.TCPSite(runner, host, 0).start()
        ports.append(runner.addresses[0][1])
    one.url = f"http://127.0.0.1:{ports[0]}"
    yield one
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize("kind", sorted(KINDS - {"sim"}))
async def test_no_provider_is_followed_elsewhere(fork: Fork, kind: str) -> None:
    """A redirect of any sort is an answer that failed: the key, the headers and the prompt stay where they were meant
    to go."""
    settings = {"kind": kind, "base_url": f"{fork.url}/v1", "api_key": "k", "headers": {"x-team": "secret"}}
    provider = make_provider("p", ProviderConfig.model_validate(settings))
    request = ChatRequest(model="m")
    request.messages.add(role=ROLE_USER).parts.add().text = "Hi"
    try:
        for fork.status in STATUSES:
            attempt = Attempt(Call("1", "openai"), "p", "m")
            with pytest.raises(GatewayError):
                await provider.chat(request, attempt)
            with pytest.raises(GatewayError):
                _ = [events async for events in provider.stream_chat(request, attempt)]
            with suppress(GatewayError):  # some list what is configured, and ask nobody
                await provider.list_models()
    finally:
        await provider.close()
    assert fork.asked >= 2 * len(STATUSES)
    assert fork.caught == []


@pytest.mark.parametrize("kind", ["searxng", "tavily", "brave", "exa"])
async def test_no_search_engine_is_followed_elsewhere(fork: Fork, kind: str) -> None:
    """Nor is a search engine."""
    engine = SearchEngine(kind, SearchConfig(kind=kind, base_url=fork.url, api_key=SecretStr("secret")))
    for fork.status in STATUSES:
        with pytest.raises(GatewayError):
            await engine.search(Query("Hi", 1, Domains()), None)
    await engine.close()
    assert (fork.asked, fork.caught) == (len(STATUSES), [])


async def test_no_collector_is_followed_elsewhere(fork: Fork) -> None:
    """Nor is what takes the traces: its headers are secrets, too."""
    for fork.status in STATUSES:
        tracing = Tracing(fork.url, headers={"authorization": "Bearer secret", "x-team": "secret"})
        call = started()
        tracing.call_started(call)
        call.ended = call.started
        tracing.call_ended(call)
        await asyncio.to_thread(tracing.close)
    assert fork.asked >= len(STATUSES)
    assert fork.caught == []


async def test_neither_keys_of_issuers_nor_servers_of_this_machine_are_looked_for_elsewhere(fork: Fork) -> None:
    """What is found by a redirect would be trusted as if the configuration had named it."""
    port = int(fork.url.rpartition(":")[2])
    for fork.status in STATUSES:
        with pytest.raises(UnreachedError):
            await fetch_by(None)(f"{fork.url}/jwks")  # type: ignore[arg-type]  # http needs no context
        assert await from_local_ports([Local("vllm", port)], patience=5) == {}
    assert fork.asked == 2 * len(STATUSES)
    assert fork.caught == []


@pytest.mark.parametrize("networks", [[], ["127.0.0.1/32"]])
async def test_media_are_followed_only_to_where_callers_may_go(fork: Fork, networks: list[str]) -> None:
    """Each hop is judged as the first one was: not even a network that is allowed leads to one that is not."""
    fetcher = Fetcher(MediaConfig.model_validate({"private_networks": networks, "timeout": 10}))
    for fork.status in STATUSES:
        fetch = fetcher.begin()
        async with fetch.session:
            with pytest.raises(RefusedError, match="its host cannot be reached"):
                await fetcher.fetch(fetch, f"{fork.url}/a.png")
    assert fork.asked == (len(STATUSES) if networks else 0)
    assert fork.caught == []


async def test_media_are_not_unpacked(fork: Fork) -> None:
    """A file that its host compressed unasked is refused, as it could unfold to any size."""
    packed = gzip.compress(b"\0" * 10_000_000)

    async def bomb(request: web.BaseRequest) -> web.Response:
        return web.Response(body=packed, headers={"content-encoding": "gzip"})

    runner = web.ServerRunner(web.Server(bomb), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fetcher = Fetcher(MediaConfig.model_validate({"private_networks": ["127.0.0.1/32"]}))
    fetch = fetcher.begin()
    async with fetch.session:
        with pytest.raises(RefusedError, match="compressed it unasked"):
            await fetcher.fetch(fetch, f"http://127.0.0.1:{runner.addresses[0][1]}/a.png")
    await runner.cleanup()
