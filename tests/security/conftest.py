"""Gateways to attack."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from e2e.conftest import Running, Start, running


@pytest.fixture
def start() -> Start:
    """Starts a gateway with settings of the test's own."""
    return running


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    """A gateway that asks nobody for a key."""
    async with running() as one:
        yield one
