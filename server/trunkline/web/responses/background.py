"""The responses that are written in the background."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Final

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.dialects.wire import Json
from trunkline.errors import GatewayError, internal
from trunkline.store.events import HELD_FOR, News
from trunkline.store.responses import LEASE, RUNNING, Stored
from trunkline.store.stores import Stores
from trunkline.v1 import errors_pb2
from trunkline.web.exchange import call_headers
from trunkline.web.responses.frames import Frames
from trunkline.web.responses.run import Run
from trunkline.web.responses.turn import Turn

_MOST_HELD: Final = 256 * 1024 * 1024
"""The most bytes of events that are held of all responses together; those of the oldest go first."""

_MOST_RUNNING: Final = 1_000

_LOOK: Final = 0.5
"""Seconds after which other processes can read what came, and a cancellation that one of them took is seen."""

_PATIENCE: Final = 5.0
"""Seconds for which a process that is to cancel a response is waited for."""

_ASK: Final = 0.25
"""Seconds after which it is seen that it has."""

_log = logging.getLogger("trunkline")


class Background:
    """The responses that this process writes."""

    def __init__(self, entry: Entry, stores: Stores) -> None:
        self._entry = entry
        self._stores = stores
        self._runs: dict[str, Run] = {}
        self._held = 0
        self._watch: asyncio.Task[None] | None = None

    async def start(self, turn: Turn, headers: Mapping[str, str], asking: Call) -> tuple[Run, dict[str, Json]]:
        """Begin a response that `asking` asks for; what it is so far.

        Raises `GatewayError`: RATE_LIMITED where too many are running.
        """
        if len(self._alive()) >= _MOST_RUNNING:
            raise GatewayError(
                errors_pb2.ERROR_REASON_RATE_LIMITED,
                f"{_MOST_RUNNING} responses are running in the background; try again when some have ended.",
                param="background",
            )
        run, frames = Run(turn), Frames(turn, asking)
        queued = frames.so_far("queued")
        await self._stores.responses.put(turn.stored(queued, {}))
        self._runs[turn.id] = run
        self._tell(run, frames.each_of_queue())
        run.task = asyncio.create_task(
            self._write(run, frames, {name.lower(): value for name, value in headers.items()})
        )
        if self._watch is None:
            self._watch = asyncio.create_task(self._look())
        return run, queued

    def running(self, response_id: str, owner: str) -> Run | None:
        """The response, where this process writes it or has just written it."""
        run = self._runs.get(response_id)
        return run if run is not None and run.turn.owner == owner else None

    async def cancel(self, run: Run) -> None:
        """Stop writing; what was written so far stays."""
        if run.task is not None and run.alive:
            run.task.cancel()
            await asyncio.wait([run.task])

    async def call_off(self, stored: Stored) -> None:
        """Cancel a response that another process writes. It has the last word, unless it cannot be heard in time."""
        responses = self._stores.responses
        await responses.call_off(stored.id)
        given_up = time.monotonic() + _PATIENCE
        while stored.status in RUNNING and not stored.lost:
            if time.monotonic() > given_up:
                await responses.change(replace(stored, body={**stored.body, "status": "cancelled"}))
                return
            await asyncio.sleep(_ASK)
            stored = await responses.get(stored.id, stored.owner)

    def forget(self, run: Run) -> None:
        """Hold nothing of it any more."""
        self._runs.pop(run.turn.id, None)
        self._held -= run.held
        run.forget()

    async def close(self, grace: float) -> None:
        """Wait `grace` seconds for what is written; what is still written then is told to have failed."""
        tasks = [run.task for run in self._alive().values() if run.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for run in list(self._alive().values()):
            run.stopped = True
            await self.cancel(run)
        if self._watch is not None:
            self._watch.cancel()

    def _alive(self) -> dict[str, Run]:
        return {name: run for name, run in self._runs.items() if run.alive}

    def _tell(self, run: Run, events: list[bytes]) -> None:
        self._held += run.tell(events)
        if self._held <= _MOST_HELD:
            return
        # Those that have ended go first, then those that began first.
        for other in sorted(self._runs.values(), key=lambda one: not one.over):
            self._held -= other.held
            other.forget()
            if self._held <= _MOST_HELD:
                return

    async def _write(self, run: Run, frames: Frames, headers: dict[str, str]) -> None:
        call = self._entry.open("responses", headers)
        call.dialect, frames.call = frames.call.dialect, call
        try:
            gateway = await self._entry.admit(call, headers)
            begun = False
            async with aclosing(gateway.stream_chat(run.turn.request, call)) as batches:
                async for batch in batches:
                    self._tell(run, [data for event in batch for data in frames.each(event)])
                    if not begun:
                        begun = True
                        await self._stores.responses.change(run.turn.stored(frames.so_far("in_progress"), report(call)))
            last = frames.each_of_end()
            await self._keep(run, frames.body, call, last)
            self._tell(run, last)
        except GatewayError as error:
            call.fail(error)
            await self._fail(run, frames, call, error)
        except asyncio.CancelledError:
            if run.stopped:
                stopped = internal("The gateway was stopped before the response was complete.")
                call.fail(stopped)
                await self._fail(run, frames, call, stopped)
            else:
                call.cancel()
                with suppress(GatewayError):
                    await self._stores.end(
                        run.turn.owner,
                        run.turn.stored(frames.so_far("cancelled"), report(call)),
                        None,
                        running=True,
                        news=self._news(run, []),
                    )
        except Exception as error:  # noqa: BLE001 - nobody else would be told of it
            _log.exception("call %s failed in the gateway", call.id, exc_info=error)
            failed = internal("The gateway failed; its log tells why.")
            call.fail(failed)
            await self._fail(run, frames, call, failed)
        finally:
            self._entry.close(call)
            run.end()
            asyncio.get_running_loop().call_later(HELD_FOR, self.forget, run)

    async def _fail(self, run: Run, frames: Frames, call: Call, error: GatewayError) -> None:
        told = frames.each_of_error(error)
        with suppress(GatewayError):  # the response stays as it is, and counts as failed once nobody vouches for it
            await self._keep(run, frames.body, call, told)
        self._tell(run, told)

    async def _keep(self, run: Run, body: dict[str, Json], call: Call, last: list[bytes]) -> None:
        """Store the end of a response together with its last events: who reads that it is over can read them."""
        news = self._news(run, last)
        await run.turn.keep(body, report(call), self._stores, news)
        if news is not None:
            run.stored += len(news.events)

    def _news(self, run: Run, last: list[bytes]) -> News | None:
        return run.news(last) if self._stores.events.shared else None

    async def _look(self) -> None:
        """Tell the store again and again what is written here and how far it is; stop what is no longer wanted."""
        vouched = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK if self._stores.events.shared else LEASE / 3)
            live = list(self._alive())
            due = time.monotonic() - vouched >= LEASE / 3
            responses = self._stores.responses
            # What fails is tried again; the store told why in the log.
            with suppress(GatewayError):
                unwanted = set[str]()
                if live:
                    unwanted = await (responses.vouch(live) if due else responses.unwanted(live))
                if due:
                    vouched = time.monotonic()
                for name in unwanted:
                    run = self._runs.get(name)
                    if run is not None:
                        await self.cancel(run)
                if self._stores.events.shared:
                    await self._share()

    async def _share(self) -> None:
        """Let other processes read what came."""
        forgotten = [run for run in self._runs.values() if run.forgotten and run.stored]
        if forgotten:
            await self._stores.events.drop([run.turn.id for run in forgotten])
            for run in forgotten:
                run.stored = 0
        fresh = [(run, news) for run in self._alive().values() if (news := run.news()).events]
        if fresh:
            await self._stores.events.put([news for _, news in fresh])
            for run, news in fresh:
                run.stored += len(news.events)


def report(call: Call) -> dict[str, str]:
    """The headers that tell who answered a call, and what the target could not take: kept with the response."""
    headers = call_headers(call)
    headers.pop("x-request-id", None)
    return headers
