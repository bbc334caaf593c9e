"""A provider to which only so many calls go at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

from trunkline.call import Attempt
from trunkline.core.provider import Provider
from trunkline.errors import GatewayError
from trunkline.providers.wrapped import Wrapped
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse

_WEIGHT = 0.1
"""How much the last call counts in how long calls take."""


class Gate:
    """Lets `most` calls in at once, the others in the order they came. No more than `queue` wait, and none that could
    not be let in before its deadline, as far as the last calls tell how long the next ones take."""

    def __init__(self, name: str, most: int, queue: int) -> None:
        self._name = name
        self._most = most
        self._queue = queue
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._takes = 0.0

    @asynccontextmanager
    async def enter(self, attempt: Attempt) -> AsyncIterator[None]:
        """Wait to be let in. Raises `GatewayError` (PROVIDER_UNAVAILABLE) where that would be in vain, and notes in
        `attempt` that nothing was sent."""
        if self._inside < self._most and not self._waiting:
            self._inside += 1
        else:
            await self._wait(attempt)
        began = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            self._takes = took if not self._takes else self._takes + (took - self._takes) * _WEIGHT
            self._leave()

    async def _wait(self, attempt: Attempt) -> None:
        ahead = (len(self._waiting) + 1) * self._takes / self._most
        left = attempt.call.remaining()
        if len(self._waiting) >= self._queue:
            attempt.held = True
            raise self._full(f"{len(self._waiting)} calls wait for it already", ahead)
        if left is not None and ahead > left:
            attempt.held = True
            raise self._full("the call's deadline would pass before its turn", ahead)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was let in just before it left
            elif turn in self._waiting:  # a place that became free may have passed it by already
                self._waiting.remove(turn)
            raise

    def _leave(self) -> None:
        """Give the place to the one who waits the longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._inside -= 1

    def _full(self, why: str, ahead: float) -> GatewayError:
        return GatewayError(
            errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
            f"The provider `{self._name}` runs {self._most} calls, as many as it may, and {why}.",
            retry_after=timedelta(seconds=max(ahead, 1.0)),
            provider=self._name,
        )


class Queued(Wrapped):
    """Asks a provider only behind a gate."""

    def __init__(self, provider: Provider, gate: Gate) -> None:
        super().__init__(provider)
        self._gate = gate

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """See `Provider.chat`."""
        async with self._gate.enter(attempt):
            return await super().chat(request, attempt)

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """See `Provider.stream_chat`."""
        async with (
            self._gate.enter(attempt),
            aclosing(super().stream_chat(request, attempt)) as batches,
        ):
            async for batch in batches:
                yield batch

    async def compact(self, request: ChatRequest, attempt: Attempt) -> ChatResponse | None:
        """See `Provider.compact`."""
        async with self._gate.enter(attempt):
            return await super().compact(request, attempt)

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> EmbedResponse:
        """See `Provider.embed`."""
        async with self._gate.enter(attempt):
            return await super().embed(request, attempt)
