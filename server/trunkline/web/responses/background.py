"""Responses that are written whether or not anyone listens, and can be listened to again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Final

from trunkline.core.entry import Entry
from trunkline.dialects.wire import Json
from trunkline.errors import GatewayError, internal
from trunkline.store.responses import LEASE
from trunkline.web.responses.frames import Frames
from trunkline.web.responses.turn import Stores, Turn

_MOST_HELD: Final = 32 * 1024 * 1024
"""The most bytes of events that are held of one response; one that is longer can only be polled."""

_HELD_FOR: Final = 300.0
"""Seconds for which the events of a response are held after its end."""

_MOST_RUNNING: Final = 1_000

_log = logging.getLogger("trunkline")


class Run:
    """One response that is being written. Events are numbered as their clients see them, from zero."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.task: asyncio.Task[None] | None = None
        self._events: list[bytes] | None = []
        self._size = 0
        self._over = False
        self._more = asyncio.Event()

    def tell(self, events: list[bytes]) -> None:
        """More events."""
        if self._events is None:
            return
        self._events += events
        self._size += sum(map(len, events))
        if self._size > _MOST_HELD:
            self._events = None
        self._wake()

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._wake()

    async def listen(self, after: int) -> AsyncGenerator[bytes, None]:
        """The events behind number `after`, those to come among them.

        Raises `GatewayError` (INTERNAL) where there are too many to be held.
        """
        place = max(0, after + 1)
        while True:
            if self._events is None:
                raise internal("The response is too long to be streamed again; poll it.")
            data = b"".join(self._events[place:])
            place = max(place, len(self._events))
            if data:
                yield data
            if self._over and place >= len(self._events):
                return
            await self._more.wait()

    def _wake(self) -> None:
        more, self._more = self._more, asyncio.Event()
        more.set()


class Background:
    """The responses that this process writes."""

    def __init__(self, entry: Entry, stores: Stores) -> None:
        self._entry = entry
        self._stores = stores
        self._runs: dict[str, Run] = {}
        self._watch: asyncio.Task[None] | None = None

    async def start(self, turn: Turn, headers: Mapping[str, str]) -> tuple[Run, dict[str, Json]]:
        """Begin a response; what it is so far. Raises `GatewayError`."""
        if sum(run.task is not None and not run.task.done() for run in self._runs.values()) >= _MOST_RUNNING:
            raise internal(f"{_MOST_RUNNING} responses are running in the background; try again later.")
        frames = Frames(turn)
        queued = frames.queued()
        await self._stores.responses.put(turn.stored(queued))
        run = self._runs[turn.id] = Run(turn)
        run.task = asyncio.create_task(self._write(run, frames, dict(headers)))
        if self._watch is None:
            self._watch = asyncio.create_task(self._vouch())
        return run, queued

    def running(self, response_id: str, owner: str) -> Run | None:
        """The response, where this process writes it or has just written it."""
        run = self._runs.get(response_id)
        return run if run is not None and run.turn.owner == owner else None

    async def cancel(self, run: Run) -> None:
        """Stop writing; what was written so far stays."""
        if run.task is not None and not run.task.done():
            run.task.cancel()
            await asyncio.wait([run.task])

    async def close(self) -> None:
        """Stop everything: responses that are still written are told to have failed."""
        if self._watch is not None:
            self._watch.cancel()
        for run in list(self._runs.values()):
            run.turn.own["status"] = "failed"
            await self.cancel(run)

    async def _write(self, run: Run, frames: Frames, headers: dict[str, str]) -> None:
        call = self._entry.open("responses", headers)
        try:
            gateway = self._entry.admit(call, headers)
            async with aclosing(gateway.stream_chat(run.turn.request, call)) as batches:
                async for batch in batches:
                    run.tell([data for event in batch for data in frames.each(event)])
            last = frames.each_of_end()
            await self._keep(run, frames.body)
            run.tell(last)
        except GatewayError as error:
            call.fail(error)
            await self._fail(run, frames, error)
        except asyncio.CancelledError:
            call.cancel()
            await self._cancelled(run, frames)
        except Exception as error:  # noqa: BLE001 - nobody else would be told of it
            _log.exception("call %s failed in the gateway", call.id, exc_info=error)
            failed = internal("The gateway failed; its log tells why.")
            call.fail(failed)
            await self._fail(run, frames, failed)
        finally:
            self._entry.close(call)
            run.end()
            asyncio.get_running_loop().call_later(_HELD_FOR, self._runs.pop, run.turn.id, None)

    async def _keep(self, run: Run, body: dict[str, Json]) -> None:
        await run.turn.keep(body, self._stores)

    async def _fail(self, run: Run, frames: Frames, error: GatewayError) -> None:
        told = frames.each_of_error(error)
        with suppress(GatewayError):  # the response stays as it is, and counts as failed once nobody vouches for it
            await self._keep(run, frames.body)
        run.tell(told)

    async def _cancelled(self, run: Run, frames: Frames) -> None:
        if run.turn.own.pop("status", None) == "failed":
            await self._fail(run, frames, internal("The gateway was stopped before the response was complete."))
            return
        body = frames.cancelled()
        await self._stores.responses.change(run.turn.stored(body))

    async def _vouch(self) -> None:
        """Say again and again what this process writes, and stop what is no longer wanted."""
        while True:
            await asyncio.sleep(LEASE / 3)
            live = [name for name, run in self._runs.items() if run.task is not None and not run.task.done()]
            if not live:
                continue
            try:
                unwanted = await self._stores.responses.vouch(live)
            except Exception:  # noqa: BLE001 - it is tried again
                _log.exception("the store cannot be reached")
                continue
            for name in unwanted:
                await self.cancel(self._runs[name])
