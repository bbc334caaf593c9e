"""Sums of entries that are read one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trunkline.errors import invalid_request
from trunkline.ledger.calendar import MICROS
from trunkline.ledger.rows import Row, counted, tags_of
from trunkline.store.tables import COUNTERS, LEDGER_ENTRIES, TOKENS
from trunkline.usage.question import Question
from trunkline.v1 import ledger_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry

if TYPE_CHECKING:
    from trunkline.usage.sums import Sums

MOST: Final = 200_000
"""Entries that are read for one answer."""

_AT_ONCE: Final = 1000

_NEEDED: Final = ("ended_at", "outcome", "duration_ms", "first_event_ms", *TOKENS, "body")
"""The columns that are looked at, whatever is asked."""

_CALL: Final = ledger_pb2.LEDGER_ENTRY_KIND_CALL


class Reader:
    """Reads entries, and adds them to `sums` as `question` has them."""

    def __init__(self, question: Question, sums: Sums) -> None:
        self._question = question
        self._sums = sums
        self._places = {name: place for place, name in enumerate(sums.names)}
        # From a place in `COUNTERS` to one in the sums, where they have it.
        self._own = [self._places.get(name) for name in COUNTERS]
        groups = (name for name in question.groups if name in LEDGER_ENTRIES.c)
        self._names = list(dict.fromkeys([*_NEEDED, *groups]))
        self._read = 0

    async def read(self, connection: AsyncConnection, start: int, end: int) -> None:
        """Add the entries that ended from `start` on and before `end`, in microseconds since the epoch. Raises
        `GatewayError` (INVALID_REQUEST) where there are too many."""
        ended = LEDGER_ENTRIES.c.ended_at
        conditions = [ended >= start, ended < end, *self._question.filter.conditions(LEDGER_ENTRIES)]
        room = MOST - self._read
        first = select(LEDGER_ENTRIES.c.id).where(*conditions).limit(room + 1).subquery()
        count = (await connection.execute(select(func.count()).select_from(first))).scalar_one()
        if count > room:
            raise invalid_request(
                f"More than {MOST:,} entries would have to be read one by one. Ask for less time, or for fewer entries."
            )
        self._read += count
        columns = [LEDGER_ENTRIES.c[name] for name in self._names]
        rows = await connection.stream(select(*columns).where(*conditions))
        async for batch in rows.partitions(_AT_ONCE):
            await asyncio.to_thread(self._add, batch)

    def _add(self, rows: Sequence[Sequence[Any]]) -> None:
        for values in rows:
            row = dict(zip(self._names, values, strict=True))
            entry = LedgerEntry.FromString(row["body"])
            if self._question.filter.takes(entry):
                counts = self._counts(entry, row)
                for key in self._keys(entry, row):
                    self._sums.add(key, counts)

    def _counts(self, entry: LedgerEntry, row: Row) -> list[int]:
        counts = [0] * len(self._places)
        for place, count in counted(entry, row):
            own = self._own[place]
            if own is not None:
                counts[own] = count
        counts[self._places["errors"]] = int(entry.kind == _CALL and row["outcome"] != "ok")
        return counts

    def _keys(self, entry: LedgerEntry, row: Row) -> list[tuple[Any, ...]]:
        """The keys that an entry counts under: one, or one for each of its tags."""
        question = self._question
        begin = question.bucket.start(row["ended_at"] // MICROS)
        values: list[Sequence[str]] = []
        for name in question.groups:
            match name:
                case "tag":
                    wanted = question.filter.tags
                    values.append([tag for tag in tags_of(entry) if tag and (not wanted or tag in wanted)])
                case "metadata":
                    values.append([entry.metadata.get(question.metadata_key, "")])
                case _:
                    values.append([row[name]])
        return [(begin, *key) for key in product(*values)]
