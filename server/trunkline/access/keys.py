"""Who calls: by a key of the configuration, by one of the database, or by a token."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from trunkline.access.directory import UNKNOWN_USER, Directory, Entry
from trunkline.access.grants import Granted, Owners, Plan, grant_static, grant_user
from trunkline.access.secret import LONGEST, digests_by, malformed, mask
from trunkline.access.tokens import Bearer, Tokens
from trunkline.call import ANYONE, Caller
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

ADMIN: Final = "admin"
"""The name of the caller who presents the admin's key of the configuration."""

MISSING: Final = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY)."
)
"""What is told to whoever sends no key: OpenAI's own words."""

_REMEMBERED: Final = 60.0
"""Seconds for which a token that was verified is not verified again."""


class Keys:
    """Tells callers by their keys. `static` are those of the configuration, each a pair of name and secret, and `named`
    the plans of some of them.

    Without any key anywhere, and unless `required` says so, everyone is `ANYONE`. Only digests are kept. A key is found
    by its digest, keyed by a secret, so the time taken tells nothing of how much of it is right.
    """

    def __init__(
        self,
        static: Iterable[tuple[str, str]],
        *,
        directory: Directory | None = None,
        tokens: Tokens | None = None,
        plans: Mapping[str, Plan] | None = None,
        named: Mapping[str, str] | None = None,
        admin: str | None = None,
        required: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._plans = plans or {}
        self._clock = clock
        self._digest = directory.digest if directory is not None else digests_by(os.urandom(32))
        self._static: dict[bytes, Granted] = {}
        for name, secret in static:
            self._static[self._digest(secret)] = grant_static(name, (named or {}).get(name, ""), self._plans)
        self._closed = required or bool(self._static) or tokens is not None
        if admin is not None:
            self._static[self._digest(admin)] = Granted(ADMIN, key_id=f"key_{ADMIN}", admin=True)

    @property
    def open(self) -> bool:
        """Whether everyone may call, since there is no key yet."""
        return not self._closed and not (self._directory is not None and self._directory.closed)

    def take_over(self) -> None:
        """Count from now on: the plans hold for the keys of the database, too."""
        if self._directory is not None:
            self._directory.plan(self._plans)

    async def close(self) -> None:
        """Let go of what is fetched for tokens."""
        if self._tokens is not None:
            await self._tokens.close()

    async def authenticate(self, key: str) -> Caller:
        """The caller who presents `key`, empty where none was.

        Raises `GatewayError`: UNAUTHENTICATED; PERMISSION_DENIED for one whose plan there is not; UNAVAILABLE where the
        database is needed and away.
        """
        if not key:
            if self.open:
                return ANYONE
            raise GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, MISSING)
        if len(key) > LONGEST:
            raise _incorrect(key)
        digest = self._digest(key)
        static = self._static.get(digest)
        if static is not None:
            return static
        entry = None if self._directory is None else self._directory.known(digest)
        if entry is None:
            entry = await self._look_up(key, digest)
        # Both are digests: that they are equal is known, and told once more in constant time.
        if entry is None or not hmac.compare_digest(entry.digest, digest):
            if self.open:
                return ANYONE
            raise _incorrect(key)
        if entry.granted is None:
            raise GatewayError(entry.reason, entry.refusal)
        return entry.granted

    async def _look_up(self, key: str, digest: bytes) -> Entry | None:
        if self._tokens is not None and self._tokens.is_token(key):
            bearer = await self._tokens.read(key)
            return await self._user(bearer, digest)
        if self._directory is None or malformed(key):
            return None
        return await self._directory.look_up(digest)

    async def _user(self, bearer: Bearer, digest: bytes) -> Entry:
        owners: Owners | None = None
        version = 0
        if self._directory is not None:
            version, owners = await self._directory.look_up_user(bearer.subject)
        entry = self._entry(bearer, owners, digest)
        if self._directory is not None:
            self._directory.keep(entry, version)
        return entry

    def _entry(self, bearer: Bearer, owners: Owners | None, digest: bytes) -> Entry:
        until = min(bearer.until, self._clock() + _REMEMBERED)
        if owners is None:
            ids: tuple[str, ...] = (UNKNOWN_USER,)
            if bearer.known_users:
                refusal = "The token is of a user whom the gateway does not know."
                return Entry(digest, ids, until, None, errors_pb2.ERROR_REASON_PERMISSION_DENIED, refusal)
            owners = Owners()
        else:
            ids = tuple(owner.id for _, owner in owners.all)
            if owners.disabled:
                refusal = f"The token is refused: its {owners.disabled} is disabled."
                return Entry(digest, ids, until, None, errors_pb2.ERROR_REASON_UNAUTHENTICATED, refusal)
        try:
            granted = grant_user(bearer.subject, owners, bearer.plan, bearer.models, self._plans)
        except LookupError:
            refusal = "The plan of the token is not configured."
            return Entry(digest, ids, until, None, errors_pb2.ERROR_REASON_PERMISSION_DENIED, refusal)
        return Entry(digest, ids, until, granted)


def _incorrect(key: str) -> GatewayError:
    message = f"Incorrect API key provided: {mask(key)}."
    return GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, message)
