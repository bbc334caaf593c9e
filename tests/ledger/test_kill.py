"""Gateways that are killed at random moments lose nothing, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from trunkline.ledger.ledger import JOURNAL, Ledger
from trunkline.ledger.verify import verify
from trunkline.store.database import opened
from trunkline.store.tables import LEDGER_ENTRIES

HERE = Path(__file__).parent
ROUNDS = 3
PROCESSES = 2


async def recorder(data: Path, url: str) -> asyncio.subprocess.Process:
    """A process that records until it is killed."""
    environ = os.environ | {"PYTHONPATH": str(HERE.parent)}
    program = str(HERE / "programs/recorder.py")
    return await asyncio.create_subprocess_exec(
        sys.executable, program, str(data), url, env=environ, stdout=asyncio.subprocess.PIPE
    )


async def killed_after(process: asyncio.subprocess.Process, lines: int) -> list[str]:
    """Kill it once it has told so many lines; all whole lines that it told."""
    assert process.stdout is not None
    told = [await process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    told += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [line.decode().strip() for line in told if line.endswith(b"\n")]


@pytest.mark.parametrize("store_url", ["file", "postgres"], indirect=True)
async def test_kill_9(store_url: str, tmp_path: Path) -> None:
    """What a caller was told of is in the database once: as it ended, or as abandoned where its end was not told."""
    data = tmp_path / "data"
    told: set[str] = set()
    for _ in range(ROUNDS):
        # Each round ships what the one before left, and is killed in the midst of it.
        processes = [await recorder(data, store_url) for _ in range(PROCESSES)]
        moments = [random.randrange(1, 4000) for _ in processes]  # noqa: S311
        lines = await asyncio.gather(*map(killed_after, processes, moments))
        told |= {line for some in lines for line in some}
    assert len(told) > ROUNDS

    database = await opened(store_url)
    ledger = await Ledger.start(data, database)
    await ledger.shipped()
    await ledger.close()

    async with database.reading() as connection:
        rows = await connection.execute(select(LEDGER_ENTRIES.c.id, LEDGER_ENTRIES.c.outcome))
        found = {row.id: row.outcome for row in rows}
    ended = {line[2:] for line in told if line.startswith("C")}
    begun = {line[2:] for line in told if line.startswith("O")}
    assert begun | ended <= found.keys()
    assert {found[name] for name in ended} == {"ok"}
    assert {found[name] for name in found.keys() - ended} <= {"ok", "abandoned"}
    report = await verify(database, journal=data / JOURNAL)
    await database.close()
    assert report.problems == []
    assert report.entries == len(found)
    assert report.unshipped == 0
