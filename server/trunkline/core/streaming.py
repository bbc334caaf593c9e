"""A streamed answer: of the first target that begins one, and of those that go on with it where it breaks off."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from trunkline.call import Call
from trunkline.core.attempts import Attempts, bound, too_slow
from trunkline.core.grammar import Grammar
from trunkline.core.hedge import Hedge, race
from trunkline.core.patience import Patience
from trunkline.core.plan import Candidate, Policy
from trunkline.core.splice import Splice
from trunkline.core.walk import Step
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, Usage


async def stream_answer(attempts: Attempts[ChatRequest], call: Call) -> AsyncGenerator[list[ChatEvent], None]:
    """The events of the answer, in legal order, and written into the record of `call`."""
    splice: Splice | None = None
    resumed: ChatRequest | None = None
    shown = False
    while True:
        source = await _opened(attempts, resumed)
        if splice is None:
            splice = Splice(source.candidate.request, source.policy.mid_stream)
        try:
            while (batch := await source.next()) is not None:
                batch = splice.feed(batch)
                if batch:
                    _note(batch, source, call)
                    shown = True
                    yield batch
            batch = splice.end()
            if batch:
                _note(batch, source, call)
                yield batch
            source.whole = True
            attempts.won(source.candidate, source.attempt)
            return
        except GatewayError as error:
            source.attempt.error = error
            if shown and not (error.row.fall_back and splice.continues()):
                raise
            attempts.failed(source.candidate, error)
            if shown:
                resumed = splice.resume(source.attempt)
                attempts.resume(_prefills)
            else:
                splice = None
        finally:
            await source.close()


class _Source:
    """The stream of one attempt."""

    def __init__(
        self,
        attempts: Attempts[ChatRequest],
        candidate: Candidate[ChatRequest],
        policy: Policy,
        request: ChatRequest | None = None,
    ) -> None:
        self.candidate = candidate
        self.policy = policy
        self.attempt = attempts.begin(candidate)
        self.whole = False
        self._attempts = attempts
        self._stream = candidate.target.provider.stream_chat(request or candidate.request, self.attempt)
        self._patience = Patience()
        self._due, self._late = bound(self.attempt, policy)
        self._told = False
        self._grammar = Grammar()
        self._illegal: GatewayError | None = None
        self._first: list[ChatEvent] | None = None

    async def open(self) -> _Source:
        """Wait for the first events, which `next` gives then."""
        try:
            self._first = await self._next()
        except GatewayError as error:
            self.attempt.error = error
            await self.close()
            raise
        except BaseException:
            await self.close()
            raise
        return self

    async def next(self) -> list[ChatEvent] | None:
        """What came next; None at the end. Raises `GatewayError` where the stream breaks off, is out of order, or ends
        before the answer is whole."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await self._next()

    async def close(self) -> None:
        """Stop the provider, and end the attempt."""
        self._patience.close()
        if self.attempt.ended is None:
            await self._stream.aclose()
            self._attempts.end(self.candidate, self.attempt, whole=self.whole)

    async def _next(self) -> list[ChatEvent] | None:
        if self._illegal is not None:
            raise self._illegal
        due, late = self._bound()
        try:
            batch = await self._patience.wait(anext(self._stream), due, late)
        except StopAsyncIteration:
            self._grammar.end()
            return None
        attempt = self.attempt
        if attempt.first_event is None:
            attempt.first_event = time.monotonic()
        for index, event in enumerate(batch):
            try:
                self._grammar.feed(event)
            except GatewayError as error:
                if not index:
                    raise
                self._illegal = error  # what came before it is told first
                return batch[:index]
            match event.WhichOneof("event"):
                case "part_delta":
                    self._told = True
                    attempt.characters += len(event.part_delta.text)
                case "start":
                    event.start.provider = attempt.provider
                    event.start.model = event.start.model or attempt.model
                case "usage":
                    if attempt.usage is None:
                        attempt.usage = Usage()
                    attempt.usage.MergeFrom(event.usage)
        return batch

    def _bound(self) -> tuple[float, Callable[[], GatewayError]]:
        """Until when the next events must come, and the error where they do not."""
        policy = self.policy
        if self._told:
            what, seconds, since = "time between events", policy.between_events, time.monotonic()
        elif self.attempt.first_event is None and policy.first_event is not None:
            what, seconds, since = "time to the first event", policy.first_event, self.attempt.started
        else:
            what, seconds, since = "time to the first token", policy.first_token, self.attempt.started
        if seconds is None or since + seconds >= self._due:
            return self._due, self._late
        return since + seconds, lambda: too_slow(self.attempt, what, seconds or math.inf)


async def _opened(attempts: Attempts[ChatRequest], resumed: ChatRequest | None) -> _Source:
    """The next attempt, whose first events may have come already. Raises `GatewayError` where nobody is left."""
    while True:
        step = await attempts.step()
        if resumed is not None:
            return _Source(attempts, step.candidate, step.policy, resumed)
        hedge = step.policy.hedge
        delay = None if hedge is None else hedge.after(step.candidate.target.pulse.slow())
        if hedge is None or delay is None:
            return _Source(attempts, step.candidate, step.policy)
        try:
            return await _raced(attempts, step, hedge, delay)
        except GatewayError as error:
            attempts.failed(step.candidate, error)


async def _raced(attempts: Attempts[ChatRequest], step: Step[ChatRequest], hedge: Hedge, delay: float) -> _Source:
    def second() -> Coroutine[Any, Any, _Source] | None:
        spare = attempts.spare(hedge)
        return None if spare is None else _Source(attempts, spare, step.policy).open()

    return await race(_Source(attempts, step.candidate, step.policy).open(), second, delay, _Source.close)


def _prefills(candidate: Candidate[ChatRequest]) -> bool:
    return candidate.target.prefills


def _note(batch: list[ChatEvent], source: _Source, call: Call) -> None:
    """Write what is shown into the record."""
    for event in batch:
        match event.WhichOneof("event"):
            case "start":
                call.served_model, call.service_tier = event.start.model, event.start.service_tier
                call.first_event = source.attempt.first_event
            case "usage":
                if call.usage is None:
                    call.usage = Usage()
                call.usage.MergeFrom(event.usage)
            case "choice_end":
                call.finish = event.choice_end.finish.reason
