"""The simulator in process and behind a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fakes.sim_server import SimServer
from openai import AsyncOpenAI

from trunkline.providers.sim.transport import SimTransport


@pytest.fixture
def transport() -> SimTransport:
    """The simulator in process."""
    return SimTransport()


@pytest.fixture
async def server() -> AsyncIterator[SimServer]:
    """The simulator on loopback."""
    async with SimServer() as server:
        yield server


@pytest.fixture
async def client(server: SimServer) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK, pointed at `server`."""
    async with AsyncOpenAI(base_url=server.url, api_key="sk-test", max_retries=0) as client:
        yield client
