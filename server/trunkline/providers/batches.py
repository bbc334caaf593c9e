"""More inputs than a provider embeds at once: several calls, joined into one answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.call import Attempt
from trunkline.core.provider import Provider
from trunkline.errors import GatewayError
from trunkline.providers.fan_out import AT_ONCE, first_failure, note, sum_usages
from trunkline.providers.wrapped import Wrapped
from trunkline.v1.embeddings_pb2 import EmbedInput, EmbedRequest, EmbedResponse

_PLACE: Final = re.compile(r"input\[(\d+)\]")
"""How an error names an input."""


@dataclass(frozen=True, slots=True)
class Most:
    """What is embedded in one call at the most: so many `inputs`, with so many `characters` in all where that counts,
    too. A single input goes alone, however long it is."""

    inputs: int
    characters: int | None = None


class Batches(Wrapped):
    """A provider whose models embed at `most` so much in one call."""

    def __init__(self, provider: Provider, most: Callable[[str], Most]) -> None:
        super().__init__(provider)
        self._most = most

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> EmbedResponse:
        """See `Provider.embed`. One call that fails fails the answer."""
        parts = list(_divided(request.inputs, self._most(attempt.model)))
        if len(parts) <= 1:
            return await self._provider.embed(request, attempt)
        rest = EmbedRequest()
        rest.CopyFrom(request)
        del rest.inputs[:]
        attempts: list[Attempt] = []
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(begin: int, end: int, own: Attempt) -> EmbedResponse:
            part = EmbedRequest()
            part.CopyFrom(rest)
            part.inputs.extend(request.inputs[begin:end])
            async with gate:
                try:
                    return await self._provider.embed(part, own)
                except GatewayError as error:
                    _move(error, begin)
                    raise

        tasks: list[asyncio.Task[EmbedResponse]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for begin, end in parts:
                    own = Attempt(attempt.call, attempt.provider, attempt.model)
                    attempts.append(own)
                    tasks.append(group.create_task(ask(begin, end, own)))
        except BaseExceptionGroup as errors:
            raise first_failure(errors) from None
        finally:
            note(attempt, attempts)
        answers = [task.result() for task in tasks]
        answer = answers[0]
        for other in answers[1:]:
            answer.embeddings.extend(other.embeddings)
        if any(other.HasField("usage") for other in answers):
            answer.usage.CopyFrom(sum_usages(other.usage for other in answers))
        return answer


def _divided(inputs: Sequence[EmbedInput], most: Most) -> Iterator[tuple[int, int]]:
    """The places between which each call's inputs stand."""
    begin, characters = 0, 0
    for index, item in enumerate(inputs):
        own = 0 if most.characters is None else _characters(item)
        full = most.characters is not None and characters + own > most.characters
        if index > begin and (full or index - begin == most.inputs):
            yield begin, index
            begin, characters = index, 0
        characters += own
    yield begin, len(inputs)


def _characters(item: EmbedInput) -> int:
    texts = sum(len(part.text) for part in item.content.parts)
    return len(item.title) + len(item.text) + texts + len(item.tokens.ids)


def _move(error: GatewayError, begin: int) -> None:
    """Let an error about one part's inputs name those of the whole request."""

    def moved(place: re.Match[str]) -> str:
        return f"input[{int(place[1]) + begin}]"

    if error.param is not None and _PLACE.match(error.param):
        error.param = _PLACE.sub(moved, error.param, count=1)
        error.message = _PLACE.sub(moved, error.message)
