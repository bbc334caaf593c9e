"""Keys in a plain list, as a database would have them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from trunkline.errors import internal
from trunkline.v1.keys_pb2 import Key, Organization, Team, User


@dataclass(frozen=True)
class Found:
    """What was found."""

    key: Key = field(default_factory=Key)
    digest: bytes = b""
    until: float = inf
    user: User | None = None
    team: Team | None = None
    organization: Organization | None = None


@dataclass(frozen=True)
class Changes:
    """What was changed."""

    version: int
    closed: bool
    ids: Collection[str]


class FakeRecords:
    """Keys by digest. `queries` are the digests of each search; while `gate` is closed a search waits before it
    reads."""

    def __init__(self) -> None:
        self.version = 0
        self.closed = True
        self.keys: dict[bytes, Found] = {}
        self.users: dict[str, Found] = {}
        self.changed: dict[str, int] = {}
        self.queries: list[list[bytes]] = []
        self.touched: dict[str, int] = {}
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.after = asyncio.Event()
        self.after.set()

    def put(self, found: Found, *ids: str) -> None:
        """Store a key, or change it."""
        self.version += 1
        if found.digest:
            self.keys[found.digest] = found
        for name in ids or (found.key.id,):
            self.changed[name] = self.version

    async def changes(self, since: int) -> Changes:
        self._there()
        ids = [name for name, version in self.changed.items() if version > since >= 0]
        return Changes(self.version, self.closed, ids)

    async def find(self, digests: Sequence[bytes]) -> tuple[int, list[Found]]:
        self.queries.append(list(digests))
        await self.gate.wait()
        self._there()
        answer = self.version, [self.keys[digest] for digest in digests if digest in self.keys]
        await self.after.wait()
        return answer

    async def find_user(self, subject: str) -> tuple[int, Found | None]:
        self._there()
        return self.version, self.users.get(subject)

    async def touch(self, used: Mapping[str, int]) -> None:
        self._there()
        self.touched.update(used)

    def _there(self) -> None:
        if self.away:
            raise internal("The store failed.")
