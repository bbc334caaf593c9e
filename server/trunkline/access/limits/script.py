"""One Lua script at one Valkey, whose calls are gathered into pipelines."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import Any, Final, cast

from valkey.asyncio import Valkey
from valkey.exceptions import NoScriptError, ValkeyError

from trunkline.access.limits.limiter import UnavailableError

TIMEOUT: Final = 0.25
"""For how many seconds an answer is waited for."""

_BATCH: Final = 128
_HEALTH_CHECK: Final = 15
"""A connection that was idle for so many seconds is tried before it is used."""

_SILENCE: Final = 4
"""After so many times the time-out a connection is given up."""

_TURNS: Final = 10
"""So many turns of the loop an answer takes at the most from the socket to who waits for it."""

_Waiting = tuple[str, bytes, asyncio.Future[bytes]]


class Script:
    """A script that is called with one key, a verb and an argument, and answers bytes.

    What is asked while an earlier pipeline is under way waits for the next one: under load, many calls share one write
    and one read, and calls are carried out in the order in which they were made. `url` is `valkey://`, `valkeys://` or
    `unix://`, with user and password where there are any.
    """

    def __init__(self, url: str, source: str, key: str, timeout: float = TIMEOUT) -> None:
        options: dict[str, Any] = {"socket_timeout": _SILENCE * timeout, "health_check_interval": _HEALTH_CHECK}
        if not url.startswith("unix:"):
            options |= {"socket_connect_timeout": timeout, "socket_keepalive": True}
        self._client = Valkey.from_url(url, **options)
        self._source = source
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self._key = key
        self._timeout = timeout
        self._waiting: deque[_Waiting] = deque()
        self._pump: asyncio.Task[None] | None = None

    async def call(self, verb: str, argument: bytes) -> bytes:
        """Run a verb, which is done even if the caller is cancelled. Raises `UnavailableError`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append((verb, argument, future))
        if self._pump is None:
            self._pump = asyncio.create_task(self._run())
        timer = loop.call_later(self._timeout, self._late, future)
        try:
            return await future
        finally:
            timer.cancel()

    async def ping(self) -> None:
        """Return when the server answers. Raises `UnavailableError`."""
        try:
            await self._client.ping()
        except (ValkeyError, OSError) as error:
            raise UnavailableError(_said(error)) from error

    async def close(self) -> None:
        """Finish what is under way and disconnect."""
        if self._pump is not None:
            await self._pump
        await self._client.aclose()

    def _late(self, future: asyncio.Future[bytes], turns: int = _TURNS) -> None:
        """Give up waiting; not at once, since where the loop itself was late, the answer may have arrived."""
        if turns:
            future.get_loop().call_soon(self._late, future, turns - 1)
        elif not future.done():
            future.set_exception(UnavailableError(f"no answer within {self._timeout * 1000:.0f} ms"))

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                try:
                    await self._execute(batch)
                except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
                    # What waits behind it would only wait in vain.
                    for _, _, future in (*batch, *self._waiting):
                        _fail(future, error)
                    self._waiting.clear()
        finally:
            self._pump = None

    async def _execute(self, batch: list[_Waiting]) -> None:
        unknown = await self._attempt(batch)
        if unknown:
            await self._client.script_load(self._source)
            for _, _, future in await self._attempt(unknown):
                _fail(future, NoScriptError("The script was loaded and is not known."))

    async def _attempt(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Tell callers their answers; the calls for which the script was not known."""
        pipeline = self._client.pipeline(transaction=False)
        for verb, argument, _ in batch:
            # A pipeline gathers commands: its methods return nothing to wait for.
            cast("object", pipeline.execute_command("EVALSHA", self._sha, 1, self._key, verb, argument))
        unknown = []
        for waiting, answer in zip(batch, await pipeline.execute(raise_on_error=False), strict=True):
            future = waiting[2]
            if isinstance(answer, NoScriptError):
                unknown.append(waiting)
            elif isinstance(answer, Exception):
                _fail(future, answer)
            elif not future.done():
                future.set_result(answer)
        return unknown


def _fail(future: asyncio.Future[bytes], error: Exception) -> None:
    if not future.done():
        future.set_exception(UnavailableError(_said(error)))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
