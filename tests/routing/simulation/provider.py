"""A provider as it behaves over hours: latencies, errors, outages, rate limits and a prompt cache, in virtual time."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from fakes.scripted_provider import ScriptedProvider

from trunkline.call import Attempt
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest

TOKENS = 100
"""Tokens of every answer."""

_CACHE = 300.0
"""Seconds for which a prompt stays in the cache."""


@dataclass(frozen=True)
class Behaviour:
    """How a provider does. Times are seconds, `first` and `speed` the medians of the time to the first token and of the
    tokens in a second.

    `outages` are times in which every call fails, `after` seconds from its beginning. `slow` are times in which answers
    begin ten times as late, `tail` the share of calls that do at any time. `limit` is how many calls a key may make in
    each minute.
    """

    dollars: float = 1.0
    first: float = 0.5
    speed: float = 100.0
    quality: float = 0.5
    errors: float = 0.0
    tail: float = 0.0
    outages: Sequence[tuple[float, float]] = ()
    after: float = 0.05
    slow: Sequence[tuple[float, float]] = ()
    limit: int | None = None


@dataclass
class Counted:
    """What a provider was asked. `failures` are the seconds at which attempts failed, `answers` those of the others."""

    answers: list[float] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    limited: int = 0
    cached: int = 0


class Simulated(ScriptedProvider):
    """Behaves as it is told, by `source` of chance."""

    def __init__(self, name: str, behaviour: Behaviour, source: random.Random) -> None:
        super().__init__(name)
        self.counted = Counted()
        self._behaviour = behaviour
        self._source = source
        self._began = time.monotonic()
        self._minutes: dict[tuple[str, int], int] = {}
        self._prompts: dict[str, float] = {}

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        behaviour, now = self._behaviour, time.monotonic() - self._began
        if _within(behaviour.outages, now):
            await asyncio.sleep(behaviour.after)
            raise self._failed(errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE)
        self._limit(attempt, now)
        attempt.status = 200
        first = behaviour.first * math.exp(self._source.gauss(0, 0.25))
        if _within(behaviour.slow, now) or self._source.random() < behaviour.tail:
            first *= 10
        if self._source.random() < behaviour.errors:
            await asyncio.sleep(first / 2)
            attempt.status = 500
            raise self._failed(errors_pb2.ERROR_REASON_PROVIDER_FAILED)
        await asyncio.sleep(first)
        yield _begun(self._source.random())
        await asyncio.sleep(TOKENS / (behaviour.speed * math.exp(self._source.gauss(0, 0.1))))
        self.counted.answers.append(time.monotonic() - self._began)
        yield self._ended(request)

    def _failed(self, reason: errors_pb2.ErrorReason.ValueType) -> GatewayError:
        self.counted.failures.append(time.monotonic() - self._began)
        return GatewayError(reason, "simulated", provider=self.name)

    def _limit(self, attempt: Attempt, now: float) -> None:
        if self._behaviour.limit is None:
            return
        minute = attempt.key, int(now // 60)
        self._minutes[minute] = self._minutes.get(minute, 0) + 1
        if self._minutes[minute] > self._behaviour.limit:
            self.counted.limited += 1
            attempt.status = 429
            left = timedelta(seconds=60 - now % 60)
            raise GatewayError(errors_pb2.ERROR_REASON_RATE_LIMITED, "simulated", retry_after=left, provider=self.name)

    def _ended(self, request: ChatRequest) -> list[ChatEvent]:
        now, prompt = time.monotonic(), request.messages[0].parts[0].text
        cached = now - self._prompts.get(prompt, -math.inf) < _CACHE
        self._prompts[prompt] = now
        self.counted.cached += cached
        usage = chat_pb2.Usage(input_tokens=TOKENS, output_tokens=TOKENS)
        if cached:
            usage.cached_input_tokens = TOKENS
        else:
            usage.cache_write_input_tokens = TOKENS
        end = ChatEvent()
        end.choice_end.finish.reason = chat_pb2.FINISH_REASON_STOP
        return [ChatEvent(part_end=chat_pb2.PartEnd()), end, ChatEvent(usage=usage)]


def _begun(number: float) -> list[ChatEvent]:
    start, part, delta = ChatEvent(), ChatEvent(), ChatEvent()
    start.start.id = str(number)
    part.part_start.part.text = ""
    delta.part_delta.text = "Hello"
    return [start, part, delta]


def _within(times: Sequence[tuple[float, float]], now: float) -> bool:
    return any(begin <= now < end for begin, end in times)
