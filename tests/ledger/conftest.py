"""Journals, and what is left of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.ledger.disk import Disk
from trunkline.ledger.folders import Folders
from trunkline.ledger.journal import Journal
from trunkline.ledger.recovery import Remains
from trunkline.store.database import Database, opened
from trunkline.v1.ledger_pb2 import LedgerEntry

SMALL = 1 << 16
"""Bytes of a segment that is soon full."""

Start = Callable[..., Awaitable[Journal]]


def remains(root: Path, disk: Disk | None = None) -> tuple[list[LedgerEntry], list[Path]]:
    """What dead processes left: every entry, and the segments that are damaged."""
    disk = disk or Disk()
    entries, damaged = [], []
    folders = Folders(root, disk)
    for folder in folders.dead():
        left = Remains(disk, folder)
        entries += [entry for batch in left.batches(7) for entry, _ in batch]
        damaged += left.damaged
        folders.release(folder)
    return entries, damaged


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts journals in a folder of the test's own; they are closed, and leave what they hold."""
    started = []

    async def one(disk: Disk | None = None, **options: Any) -> Journal:
        disk = disk or Disk()
        journal = await Journal.start(
            Folders(tmp_path, disk), disk, **{"segment_bytes": SMALL, "keep_free": 0, **options}
        )
        started.append(journal)
        return journal

    yield one
    for journal in started:
        await journal.close()


@pytest.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    """One in memory, one in a file, and one of PostgreSQL."""
    one = await opened(store_url)
    yield one
    await one.close()
