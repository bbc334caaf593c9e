"""What was promised is there after a kill or a power cut, at whatever step of the disk it came."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from ledger.conftest import remains
from ledger.entries import closed, opened
from ledger.simulated import SimulatedDisk

from trunkline.errors import GatewayError
from trunkline.ledger.folders import Folders
from trunkline.ledger.frame import Kind
from trunkline.ledger.journal import Journal
from trunkline.ledger.recovery import ABANDONED, Part
from trunkline.ledger.segment import HEAD
from trunkline.v1.ledger_pb2 import LedgerEntry

ROOT = Path("/simulated")
CALLERS = 5
CALLS = 12
SEGMENT = 1 << 13


@dataclass
class World:
    """A journal on a disk that is watched, what its callers were told, and what was shipped.

    At the step `at` of the disk all of that is noted, and what is found after a kill and after a power cut.
    """

    at: int
    random: Random
    failing_syncs: set[int]
    sent: dict[str, LedgerEntry] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    database: set[str] = field(default_factory=set)
    noted: bool = False

    def __post_init__(self) -> None:
        self.disk = SimulatedDisk(self._look)
        self.disk.failing_syncs = self.failing_syncs

    def _look(self, step: int) -> None:
        if step == self.at:
            self.note()

    def note(self) -> None:
        """Note how things stand."""
        self.noted = True
        self.promised = set(self.opened), set(self.closed), set(self.database)
        self.killed = self.disk.after_kill()
        self.cut = self.disk.after_power_cut(self.random)

    async def run(self) -> None:
        """Callers record one call after another, every fifth without its end."""
        journal = await Journal.start(Folders(ROOT, self.disk), self.disk, segment_bytes=SEGMENT, keep_free=0)
        shipping = asyncio.ensure_future(self._ship(journal))
        await asyncio.gather(*(self._call(journal) for _ in range(CALLERS)))
        shipping.cancel()
        await asyncio.wait([shipping])
        await journal.close()
        if not self.noted:
            self.note()

    async def _call(self, journal: Journal) -> None:
        for number in range(CALLS):
            call = opened()
            self.sent[call.id] = entry = closed(call)
            try:
                await journal.open(call)
                self.opened.add(call.id)
                if number % 5 != 4:
                    await journal.append(entry)
                    self.closed.add(call.id)
            except GatewayError:
                continue

    async def _ship(self, journal: Journal) -> None:
        while True:
            await journal.synced.wait()
            journal.synced.clear()
            while (segment := journal.oldest()) is not None and segment.settled:
                part = Part(self.disk.read(segment.path, len(HEAD), segment.synced), segment.seed)
                self.database |= {entry.id for kind, entry, _ in part if kind is Kind.CLOSED}
                assert not part.damage
                await journal.remove_oldest()

    def check(self, disk: SimulatedDisk, promised: set[str]) -> None:
        """All that was promised is there, as it was sent, and nothing looks as if it had been lost."""
        entries, damaged = remains(ROOT, disk)
        assert not damaged
        found = {entry.id: entry for entry in reversed(entries)}
        assert promised <= found.keys() | self.promised[2]
        for name, entry in found.items():
            assert entry == self.sent[name] or entry.outcome == ABANDONED
        for name in self.promised[1] & found.keys() - self.promised[2]:
            assert found[name] == self.sent[name]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 110), st.integers(0, 1000), st.sets(st.integers(10, 90), max_size=3))
def test_what_was_promised_is_there(at: int, seed: int, failing_syncs: set[int]) -> None:
    """An entry after a power cut, though syncs fail now and then; after a kill also each call that was opened."""
    world = World(at, Random(seed), failing_syncs)  # noqa: S311
    asyncio.run(world.run())
    opened_then, closed_then, _ = world.promised
    world.check(world.cut, closed_then)
    world.check(world.killed, opened_then | closed_then)
