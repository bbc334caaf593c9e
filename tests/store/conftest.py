"""A database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from trunkline.store.database import Database, opened
from trunkline.store.responses import Stored
from trunkline.store.seal import Seal
from trunkline.store.stores import Stores

MONTH = 30 * 86_400.0
PLENTY = 1 << 30


@pytest.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    """One in memory, one in a file, and one of PostgreSQL."""
    one = await opened(store_url)
    yield one
    await one.close()


@pytest.fixture
def stores(database: Database) -> Stores:
    """What is kept in it, encrypted."""
    return Stores(database, Seal(b"k" * 32), MONTH, PLENTY)


def response(name: str, *, owner: str = "ann", previous: str | None = None, **fields: Any) -> Stored:
    """A response that answers one message with another."""
    body = {"id": name, "status": "completed", "output": [{"id": f"msg_{name}", "type": "message"}], **fields}
    return Stored(name, owner, previous, body, [{"id": f"in_{name}", "type": "message"}])
