"""More inputs than a provider embeds at once: several calls, joined into one answer."""

from __future__ import annotations

import asyncio

from trunkline.call import Attempt
from trunkline.core.provider import Provider
from trunkline.providers.fan_out import AT_ONCE, first_failure, note, sum_usages
from trunkline.providers.wrapped import Wrapped
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse


class Batches(Wrapped):
    """A provider that embeds at most `most` inputs in one call."""

    def __init__(self, provider: Provider, most: int) -> None:
        super().__init__(provider)
        self._most = most

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> EmbedResponse:
        """See `Provider.embed`. One call that fails fails the answer."""
        if len(request.inputs) <= self._most:
            return await self._provider.embed(request, attempt)
        attempts: list[Attempt] = []
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(begin: int, own: Attempt) -> EmbedResponse:
            part = EmbedRequest()
            part.CopyFrom(request)
            del part.inputs[begin + self._most :]
            del part.inputs[:begin]
            async with gate:
                return await self._provider.embed(part, own)

        tasks: list[asyncio.Task[EmbedResponse]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for begin in range(0, len(request.inputs), self._most):
                    own = Attempt(attempt.call, attempt.provider, attempt.model)
                    attempts.append(own)
                    tasks.append(group.create_task(ask(begin, own)))
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
