"""The servers that tests of several rooms need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """One for all tests: each takes a namespace of its own and leaves the server running."""
    server = ValkeyServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def own_valkey_server() -> Iterator[ValkeyServer]:
    """One for a test that stops it or empties it."""
    server = ValkeyServer()
    server.start()
    yield server
    server.close()
