"""Several calls of one provider, folded into one answer and one stream: each call is a choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from trunkline.call import Attempt
from trunkline.core.provider import Provider
from trunkline.core.sums import add_usage
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, ResponseEnd, Usage

AT_ONCE: Final = 16
"""The most calls that run at once for one request."""


async def chat_all(provider: Provider, requests: Sequence[ChatRequest], attempt: Attempt) -> ChatResponse:
    """The answers to `requests`, each of one choice, as the choices of one answer. One that fails fails all."""
    attempts = _attempts(requests, attempt)
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(request: ChatRequest, own: Attempt) -> ChatResponse:
        async with gate:
            return await provider.chat(request, own)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(*pair)) for pair in zip(requests, attempts, strict=True)]
    except BaseExceptionGroup as errors:
        raise first_failure(errors) from None
    finally:
        note(attempt, attempts)
    answers = [task.result() for task in tasks]
    answer = answers[0]
    for index, other in enumerate(answers):
        for choice in other.choices[:1]:
            choice.index = index
            if index:
                answer.choices.append(choice)
    if any(other.HasField("usage") for other in answers):
        answer.usage.CopyFrom(sum_usages(other.usage for other in answers))
    return answer


async def stream_all(
    provider: Provider, requests: Sequence[ChatRequest], attempt: Attempt
) -> AsyncGenerator[list[ChatEvent], None]:
    """As `chat_all`: the events of all answers, as they come."""
    attempts = _attempts(requests, attempt)
    # One place for each call: a reader that is slow holds the providers back.
    queue: asyncio.Queue[tuple[int, list[ChatEvent] | Exception | None]] = asyncio.Queue(len(attempts))
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(index: int, request: ChatRequest, own: Attempt) -> None:
        end: Exception | None = None
        try:
            async with gate, aclosing(provider.stream_chat(request, own)) as stream:
                async for batch in stream:
                    await queue.put((index, batch))
        except Exception as error:  # noqa: BLE001 - it is raised where the whole stream is read
            end = error
        await queue.put((index, end))

    pairs = zip(requests, attempts, strict=True)
    tasks = [asyncio.create_task(read(index, *pair)) for index, pair in enumerate(pairs)]
    merge = _Merge()
    try:
        running = len(tasks)
        while running:
            index, item = await queue.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                running -= 1
                continue
            events = merge.feed(index, item)
            if events:
                note(attempt, attempts)
                yield events
        last = merge.end()
        if last:
            yield last
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        note(attempt, attempts)


class _Merge:
    """Puts the events of several streams, each of one choice, into one."""

    def __init__(self) -> None:
        self._started = False
        self._usage: dict[int, Usage] = {}
        self._end: ResponseEnd | None = None

    def feed(self, index: int, batch: Iterable[ChatEvent]) -> list[ChatEvent]:
        """The events of `batch`, which choice `index` is made of, as events of the whole."""
        events: list[ChatEvent] = []
        for event in batch:
            match event.WhichOneof("event"):
                case "start":
                    if self._started:
                        continue
                    self._started = True
                case "part_start":
                    event.part_start.choice = index
                case "part_delta":
                    event.part_delta.choice = index
                case "part_end":
                    event.part_end.choice = index
                case "choice_end":
                    event.choice_end.choice = index
                case "usage":
                    # Each stream tells running totals of its own.
                    self._usage.setdefault(index, Usage()).MergeFrom(event.usage)
                    event = ChatEvent(usage=sum_usages(self._usage.values()))
                case "response_end":
                    self._end = self._end or event.response_end
                    continue
                case None:
                    pass
            events.append(event)
        return events

    def end(self) -> list[ChatEvent]:
        """What may only come last."""
        return [] if self._end is None else [ChatEvent(response_end=self._end)]


def _attempts(requests: Sequence[ChatRequest], attempt: Attempt) -> list[Attempt]:
    """A record for each call, with the losses so far, as a strict caller refuses them: `note` puts them together."""
    return [Attempt(attempt.call, attempt.provider, attempt.model, losses=[*attempt.losses]) for _ in requests]


def note(attempt: Attempt, attempts: Iterable[Attempt]) -> None:
    """Put what the calls tell of themselves into the record of the whole."""
    for own in attempts:
        attempt.losses.extend(loss for loss in own.losses if loss not in attempt.losses)
        if own.status is not None and (attempt.status is None or own.status >= 400):
            attempt.status = own.status
        attempt.upstream_id = attempt.upstream_id or own.upstream_id


def sum_usages(usages: Iterable[Usage]) -> Usage:
    """The counts of all; one that nobody gave stays unset. What only one provider's own words tell is the first's."""
    total = Usage()
    for usage in usages:
        add_usage(total, usage)
        for dialect, text in usage.extras.items():
            if dialect not in total.extras:
                total.extras[dialect] = text
    return total


def first_failure(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that the others were cancelled for."""
    for error in errors.exceptions:
        if isinstance(error, GatewayError):
            return error
    return errors.exceptions[0]
