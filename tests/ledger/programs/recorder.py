"""Records calls until it is killed: a line on stdout tells of each call that was opened (`O id`) or closed (`C id`)."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from ledger.entries import closed, opened

from trunkline.ledger.ledger import Ledger
from trunkline.store.database import opened as opened_database

CALLERS = 50
SEGMENT = 1 << 18


async def main(data: Path, url: str) -> None:
    """Many callers, one call after another each; every seventh call never ends."""
    ledger = await Ledger.start(data, await opened_database(url), segment_bytes=SEGMENT, keep_free=0)

    async def one_caller() -> None:
        number = 0
        while True:
            number += 1
            ledger.journal.admit()
            call = opened()
            await ledger.journal.open(call)
            os.write(1, f"O {call.id}\n".encode())
            if number % 7:
                await ledger.journal.append(closed(call))
                os.write(1, f"C {call.id}\n".encode())

    await asyncio.gather(*(one_caller() for _ in range(CALLERS)))


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
