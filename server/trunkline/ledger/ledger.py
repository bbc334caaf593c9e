"""The ledger of this process: its journal, and what ships it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from trunkline.ledger.disk import Disk
from trunkline.ledger.folders import Folders
from trunkline.ledger.ids import Ids
from trunkline.ledger.journal import KEEP_FREE, SEGMENT_BYTES, Journal
from trunkline.ledger.shipper import Shipper
from trunkline.store.database import Database

JOURNAL: Final = "journal"
"""The journal's folder, in that of the data."""

_LOOK: Final = 0.05


class Ledger:
    """Records calls in `journal`, and ships them in the background. `new_id` makes the ids of entries."""

    def __init__(self, journal: Journal, shipper: Shipper) -> None:
        self.journal = journal
        self.shipper = shipper
        self.new_id = Ids()

    @classmethod
    async def start(
        cls,
        data: Path,
        database: Database,
        *,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        keep_free: int = KEEP_FREE,
    ) -> Ledger:
        """A ledger that records in the folder `data`, a disk of this machine, and ships to `database`; what dead
        processes left there is shipped, too. `keep_free` bytes of the disk are left to others. Raises `OSError`."""
        disk = disk or Disk()
        folders = Folders(data / JOURNAL, disk)
        journal = await Journal.start(folders, disk, segment_bytes=segment_bytes, keep_free=keep_free)
        return cls(journal, Shipper(database, folders, disk, journal))

    async def close(self, grace: float = 5.0) -> None:
        """End both, when no call runs any more. What the database does not take within `grace` seconds stays in the
        journal, and is shipped at the next start. Raises `OSError`."""
        await self.journal.close()
        await self.shipper.close(grace)
        await self.journal.leave()

    async def recovered(self) -> None:
        """Return when all that dead processes had left at the start is in the database, however long that takes."""
        await self.shipper.recovered.wait()

    async def caught_up(self) -> None:
        """Return when all that was recorded before is in the database, whatever is recorded meanwhile."""
        recorded = self.journal.recorded
        while self.journal.recorded_and_shipped < recorded:  # noqa: ASYNC110 - it is waited for after outages alone
            await asyncio.sleep(_LOOK)

    async def shipped(self) -> None:
        """Return when all that was recorded before is in the database, and what dead processes had left at the start,
        however long that takes."""
        await self.shipper.recovered.wait()
        await self.journal.drained.wait()
