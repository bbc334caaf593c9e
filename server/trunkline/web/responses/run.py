"""One response that is written whether or not anyone listens, and can be listened to again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from trunkline.errors import internal
from trunkline.store.events import News
from trunkline.web.responses.turn import Turn

_MOST_HELD: Final = 16 * 1024 * 1024
"""The most bytes of events that are held of one response; one that is longer can only be polled."""


class Run:
    """One response. Its events are numbered as their clients see them, from zero.

    `held` is how many bytes of them are held, `stored` how many of them other processes can read in the store.
    `stopped` tells that the gateway itself ended it, `over` that no more comes.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.task: asyncio.Task[None] | None = None
        self.held = 0
        self.stored = 0
        self.stopped = False
        self.over = False
        self._events: list[bytes] | None = []
        self._more = asyncio.Event()

    @property
    def alive(self) -> bool:
        """Whether it is still written."""
        return self.task is not None and not self.task.done()

    @property
    def forgotten(self) -> bool:
        """Whether its events are held no more."""
        return self._events is None

    def news(self, last: list[bytes] | None = None) -> News:
        """The events that are not in the store yet, and the `last`, not told yet; none where none are held."""
        events = [] if self._events is None else [*self._events[self.stored :], *(last or ())]
        return News(self.turn.id, self.stored, events)

    def tell(self, events: list[bytes]) -> int:
        """More events; how many bytes more are held of them."""
        before = self.held
        if self._events is not None:
            self._events += events
            self.held += sum(map(len, events))
            if self.held > _MOST_HELD:
                self.forget()
        self._wake()
        return self.held - before

    def forget(self) -> None:
        """Hold no events any more."""
        self._events = None
        self.held = 0
        self._wake()

    def end(self) -> None:
        """Nothing more comes."""
        self.over = True
        self._wake()

    async def listen(self, after: int) -> AsyncGenerator[bytes, None]:
        """The events behind number `after`, those to come among them.

        Raises `GatewayError` (INTERNAL) where there are too many to be held.
        """
        place = max(0, after + 1)
        while True:
            if self._events is None:
                raise internal("The response is too long to be streamed again; get it without `stream`.")
            data = b"".join(self._events[place:])
            place = max(place, len(self._events))
            if data:
                yield data
            elif self.over:
                return
            else:
                await self._more.wait()

    def _wake(self) -> None:
        more, self._more = self._more, asyncio.Event()
        more.set()
