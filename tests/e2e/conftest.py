"""A whole gateway over real sockets, in front of a fake OpenAI over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.sim_server import SimServer

from trunkline.app import App, Listening
from trunkline.config.model import Config

KEY = "sk-test-0123456789abcdef"


@dataclass(frozen=True)
class Running:
    """A gateway that takes calls; `upstream` is what its provider `fake` calls."""

    app: App
    http_port: int
    grpc_port: int
    upstream: SimServer
    listening: Listening

    @property
    def url(self) -> str:
        """The address of the HTTP surfaces."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc(self) -> str:
        """The address of the gRPC surface."""
        return f"127.0.0.1:{self.grpc_port}"


Start = Callable[..., AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Running]:
    """A gateway with `settings` over the usual ones of these tests."""
    async with SimServer() as upstream:
        data = {
            "http": {"address": "127.0.0.1:0"} | settings.pop("http", {}),
            "grpc": {"address": "127.0.0.1:0"} | settings.pop("grpc", {}),
            "providers": {
                "fake": {"kind": "openai-compatible", "base_url": upstream.url, "api_key": "sk-upstream"},
                "dead": {"kind": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "connect_timeout": 2},
            },
            "models": {
                "house-model": {"targets": ["fake/echo"]},
                "second-helps": {"targets": ["fake/fault/overloaded-503", "dead/echo", "fake/echo"]},
            },
            "store": {"url": ":memory:"},
            "routing": {"retries": 0},
            "ledger": {"enabled": False},
            "log": {"level": "error"},
            "shutdown_grace": 5,
        }
        config = Config.model_validate(data | settings)
        app = await App.create(lambda: config, {})
        listening = await app.start()
        try:
            yield Running(app, listening.http_port, listening.grpc_port, upstream, listening)
        finally:
            await app.close()


@pytest.fixture
def start() -> Start:
    """Starts a gateway with settings of the test's own."""
    return running


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    """A gateway that asks nobody for a key."""
    async with running() as one:
        yield one


@pytest.fixture(params=["file", "postgres"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that two gateways can use."""
    if request.param == "file":
        return f"sqlite:///{tmp_path}/shared.db"
    return str(request.getfixturevalue("postgres_url"))
