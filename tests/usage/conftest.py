"""A database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from trunkline.store.database import Database, opened
from trunkline.usage.usage import Usage


@pytest.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    """One in memory, one in a file, and one of PostgreSQL."""
    one = await opened(store_url)
    yield one
    await one.close()


@pytest.fixture
def usage(database: Database) -> Usage:
    """What answers from it."""
    return Usage(database)
