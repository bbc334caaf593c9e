"""The keys that callers presented, in memory: found at once, forgotten within a second of a change anywhere."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Final, Protocol

from trunkline.access.grants import Granted, Owners, Plan, grant_key
from trunkline.access.secret import digests_by
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason
from trunkline.v1.keys_pb2 import Key, Organization, Team, User

POLL: Final = 0.5
"""Seconds between two looks at whether another replica changed something."""

_TOUCH: Final = 10.0
"""Seconds between two notes of which keys were used."""

_MOST: Final = 20_000
"""Keys in memory, at about 3 kB each; those that are known to be wrong are as many, at 150 bytes each."""

_AT_ONCE: Final = 500
_WAITING: Final = 5_000
"""The keys that are looked for in one query, and those that may wait to be."""

_log = logging.getLogger("trunkline")


class FoundUser(Protocol):
    """A user, and what owns it."""

    @property
    def user(self) -> User | None:
        """The user, where there is one."""
        ...

    @property
    def team(self) -> Team | None:
        """The team, where there is one."""
        ...

    @property
    def organization(self) -> Organization | None:
        """The organization, where there is one."""
        ...


class FoundKey(FoundUser, Protocol):
    """A key, and what owns it."""

    @property
    def key(self) -> Key:
        """The key."""
        ...

    @property
    def digest(self) -> bytes:
        """By what it was found."""
        ...

    @property
    def until(self) -> float:
        """When it can no longer be found so."""
        ...


class Changes(Protocol):
    """What was changed, up to `version`."""

    @property
    def version(self) -> int:
        """The version."""
        ...

    @property
    def closed(self) -> bool:
        """Whether a key is needed."""
        ...

    @property
    def ids(self) -> Collection[str]:
        """The keys and the owners."""
        ...


class Records(Protocol):
    """Where keys are kept. Each method raises `GatewayError` (INTERNAL) where that fails."""

    def changes(self, since: int) -> Awaitable[Changes]:
        """What was changed after a version."""
        ...

    def find(self, digests: Sequence[bytes]) -> Awaitable[tuple[int, Sequence[FoundKey]]]:
        """The keys with these digests, and the version at which they were so at the least."""
        ...

    def find_user(self, subject: str) -> Awaitable[tuple[int, FoundUser | None]]:
        """The user whom an issuer of tokens calls `subject`, and the version as for keys."""
        ...

    def touch(self, used: Mapping[str, int]) -> Awaitable[None]:
        """Note when keys were used, in seconds since the epoch."""
        ...


UNKNOWN_USER: Final = "?"
"""The id of users whom only tokens tell of: any change may bring them into the database."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one secret until the time `until`: who presents it, or why he is refused."""

    digest: bytes
    ids: tuple[str, ...]
    until: float
    granted: Granted | None = None
    reason: ErrorReason.ValueType = errors_pb2.ERROR_REASON_UNSPECIFIED
    refusal: str = ""


class Directory:
    """What is known of the secrets that were presented, by digest.

    `run` keeps it up to date. Secrets that are not known are looked for together, one query at a time, so that guesses
    cost no query each; what was found to be wrong is remembered. Neither fills the memory. While the database is away,
    what is known counts.
    """

    def __init__(
        self,
        records: Records,
        pepper: bytes,
        clock: Callable[[], float] = time.time,
        *,
        poll: float = POLL,
        most: int = _MOST,
    ) -> None:
        self.closed = False
        self._records = records
        self.digest: Final = digests_by(pepper)
        """Makes of a secret what it is known by."""
        self._clock = clock
        self._poll = poll
        self._most = most
        self._plans: Mapping[str, Plan] = {}
        self._version = -1
        self._known: dict[bytes, Entry] = {}
        self._by_id: dict[str, set[bytes]] = {}
        self._wrong: dict[bytes, None] = {}
        self._asked: dict[bytes, asyncio.Future[Entry | None]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._used: dict[str, int] = {}
        self._failing = False

    def plan(self, plans: Mapping[str, Plan]) -> None:
        """Take these plans from now on."""
        self._plans = plans
        self._forget_all()

    @property
    def plans(self) -> Mapping[str, Plan]:
        """The plans by name."""
        return self._plans

    def known(self, digest: bytes) -> Entry | None:
        """What is known of a secret without looking for it."""
        entry = self._known.get(digest)
        if entry is None:
            return None
        now = self._clock()
        if entry.until <= now:
            self._forget(entry)
            return None
        if entry.granted is not None:
            self._used[entry.granted.key_id] = int(now)
        return entry

    async def look_up(self, digest: bytes) -> Entry | None:
        """What the database knows of a secret; None where it has no such key.

        Raises `GatewayError` (UNAVAILABLE) where it cannot be asked, or where too many wait for it.
        """
        if digest in self._wrong:
            return None
        asked = self._asked.get(digest)
        if asked is None:
            if len(self._asked) >= _WAITING:
                raise _unavailable("Too many keys are being looked for.")
            asked = self._asked[digest] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
        entry = await asyncio.shield(asked)  # others wait for the same
        if entry is not None and entry.granted is not None:
            self._used[entry.granted.key_id] = int(self._clock())
        return entry

    async def look_up_user(self, subject: str) -> tuple[int, Owners | None]:
        """The user whom an issuer of tokens calls `subject`, and the version to `keep` by. Raises `GatewayError`
        (UNAVAILABLE)."""
        try:
            version, found = await self._records.find_user(subject)
        except GatewayError:
            raise _unavailable("The gateway cannot look for users now.") from None
        return version, None if found is None else Owners(found.user, found.team, found.organization)

    def keep(self, entry: Entry, version: int) -> None:
        """Remember what is known of a secret, unless it may have changed since `version`."""
        if version < self._version:
            return
        if len(self._known) >= self._most:
            self._forget(next(iter(self._known.values())))
        self._known[entry.digest] = entry
        for name in entry.ids:
            self._by_id.setdefault(name, set()).add(entry.digest)

    async def refresh(self) -> None:
        """Forget what was changed, wherever that was. Raises `GatewayError` (INTERNAL) where the database fails."""
        changes = await self._records.changes(self._version)
        if changes.version == self._version:
            return
        if self._version < 0:
            self._forget_all()  # what was changed before is not told
        self.closed = changes.closed
        self._version = max(self._version, changes.version)
        self._wrong.clear()
        for name in (*changes.ids, UNKNOWN_USER):
            for each in self._by_id.pop(name, ()):
                entry = self._known.get(each)
                if entry is not None:
                    self._forget(entry)

    async def run(self) -> None:
        """Keep up with what other replicas change, and note which keys are used; until it is cancelled."""
        touched = self._clock()
        while True:
            await asyncio.sleep(self._poll)
            try:
                await self.refresh()
                if self._clock() - touched >= _TOUCH:
                    touched = self._clock()
                    await self.flush()
            except GatewayError:
                if not self._failing:
                    _log.error("keys: the database is away; what is known of keys counts until it is back")
                self._failing = True
            else:
                if self._failing:
                    _log.warning("keys: the database is back")
                self._failing = False

    async def flush(self) -> None:
        """Note when keys were used. Raises `GatewayError` (INTERNAL) where the database fails."""
        used = {name: at for name, at in self._used.items() if name}
        self._used = {}
        if used:
            await self._records.touch(used)

    async def close(self) -> None:
        """Note what is not noted yet, as far as that can be."""
        if self._asking is not None:
            await asyncio.wait([self._asking])
        with suppress(GatewayError):  # the store told why in the log
            await self.flush()

    async def _ask(self) -> None:
        """Look for all that wait, until none does."""
        while self._asked:
            batch = dict(list(self._asked.items())[:_AT_ONCE])
            try:
                version, found = await self._records.find(list(batch))
            except Exception as error:  # noqa: BLE001 - whatever it is, who waits must be told
                if not isinstance(error, GatewayError):
                    _log.exception("keys: the search failed")
                for digest, asked in batch.items():
                    del self._asked[digest]
                    asked.set_exception(_unavailable("The gateway cannot look for keys now."))
                    asked.exception()  # whoever asked may have left
                continue
            entries = {each.digest: self._entry(each) for each in found}
            for digest, asked in batch.items():
                del self._asked[digest]
                entry = entries.get(digest)
                if entry is not None:
                    self.keep(entry, version)
                elif version >= self._version:
                    self._remember_wrong(digest)
                asked.set_result(entry)
        self._asking = None

    def _entry(self, found: FoundKey) -> Entry | None:
        now, key = self._clock(), found.key
        owners = Owners(found.user, found.team, found.organization)
        ids = (key.id, *(owner.id for _, owner in owners.all))
        if found.until <= now:
            return None
        expiry = key.expire_time.ToNanoseconds() / 1e9 if key.HasField("expire_time") else inf
        refusal = ""
        if key.disabled:
            refusal = f"The API key `{key.prefix}...` is disabled."
        elif expiry <= now:
            refusal = f"The API key `{key.prefix}...` has expired."
        elif owners.disabled:
            refusal = f"The API key `{key.prefix}...` is disabled: so is its {owners.disabled}."
        if refusal:
            return Entry(found.digest, ids, found.until, None, errors_pb2.ERROR_REASON_UNAUTHENTICATED, refusal)
        try:
            granted = grant_key(key, owners, self._plans)
        except LookupError as error:
            refusal = f"The plan {error} of the API key is not configured."
            return Entry(found.digest, ids, found.until, None, errors_pb2.ERROR_REASON_PERMISSION_DENIED, refusal)
        return Entry(found.digest, ids, min(found.until, expiry), granted)

    def _remember_wrong(self, digest: bytes) -> None:
        if len(self._wrong) >= self._most:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[digest] = None

    def _forget(self, entry: Entry) -> None:
        self._known.pop(entry.digest, None)
        for name in entry.ids:
            digests = self._by_id.get(name)
            if digests is not None:
                digests.discard(entry.digest)
                if not digests:
                    del self._by_id[name]

    def _forget_all(self) -> None:
        self._known.clear()
        self._by_id.clear()


def _unavailable(message: str) -> GatewayError:
    return GatewayError(
        errors_pb2.ERROR_REASON_UNAVAILABLE, f"{message} Try again in a second.", retry_after=timedelta(seconds=1)
    )
