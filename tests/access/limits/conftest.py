"""Limiters and limits of the tests' own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from servers.valkey import ValkeyServer

from trunkline.access.limits.limiter import Limiter
from trunkline.access.limits.memory import MemoryLimiter
from trunkline.access.limits.valkey import ValkeyLimiter


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of a test."""
    return Clock()


@pytest.fixture
def namespace() -> str:
    """Keys of the test's own."""
    return uuid4().hex


@pytest.fixture(params=["memory", "valkey"])
async def limiter(
    request: pytest.FixtureRequest, valkey_server: ValkeyServer, namespace: str, clock: Clock
) -> AsyncIterator[Limiter]:
    """Each sort of limiter."""
    made: Limiter = (
        MemoryLimiter(clock)
        if request.param == "memory"
        else ValkeyLimiter(valkey_server.url, namespace=namespace, timeout=20, clock=clock)
    )
    yield made
    await made.close()
