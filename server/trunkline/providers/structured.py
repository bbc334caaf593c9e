"""Answers in JSON from a provider that cannot promise them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from trunkline.call import Attempt, Loss, LossKind
from trunkline.core.fold import fold, unfold
from trunkline.core.provider import Provider
from trunkline.dialects import emulate
from trunkline.errors import GatewayError
from trunkline.providers.wrapped import Wrapped
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse


class Emulated(Wrapped):
    """A provider that is brought to answer in the form that is asked for; `has` tells what a model of it has itself."""

    def __init__(self, provider: Provider, has: Callable[[str], emulate.Structured]) -> None:
        super().__init__(provider)
        self._has = has

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """See `Provider.chat`."""
        plan = self._plan(request, attempt)
        if plan is None:
            return await self._provider.chat(request, attempt)
        response = await self._provider.chat(plan.request, attempt)
        reader = emulate.Reader(plan)
        try:
            # By way of events, so that the answer is what folding its stream gives.
            return fold(event for told in unfold(response) for event in reader.feed(told))
        except GatewayError as error:
            raise self._own(error, attempt) from None

    def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """See `Provider.stream_chat`."""
        plan = self._plan(request, attempt)
        if plan is None:
            return self._provider.stream_chat(request, attempt)
        return self._stream(plan, attempt)

    async def _stream(self, plan: emulate.Plan, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        reader, shown = emulate.Reader(plan), False
        async with aclosing(self._provider.stream_chat(plan.request, attempt)) as stream:
            async for batch in stream:
                events, error = _read(reader, batch)
                if events and (shown or error is None):
                    # Where nothing was told yet and the answer is wrong, another target may still give one.
                    shown = True
                    yield events
                if error is not None:
                    raise self._own(error, attempt)

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        """See `Provider.count_tokens`: of what is sent in place of `request`."""
        plan = self._plan(request, attempt)
        return await self._provider.count_tokens(request if plan is None else plan.request, attempt)

    def _plan(self, request: ChatRequest, attempt: Attempt) -> emulate.Plan | None:
        if not request.HasField("response_format"):
            return None
        plan = emulate.plan_of(request, self._has(attempt.model))
        if plan is not None:
            attempt.losses.append(Loss("response_format", LossKind.EMULATED))
        return plan

    def _own(self, error: GatewayError, attempt: Attempt) -> GatewayError:
        error.provider, error.provider_status = self.name, attempt.status
        return error


def _read(reader: emulate.Reader, batch: Sequence[ChatEvent]) -> tuple[list[ChatEvent], GatewayError | None]:
    """What `batch` tells the caller, and the error that ended it."""
    events: list[ChatEvent] = []
    try:
        for event in batch:
            events += reader.feed(event)
    except GatewayError as error:
        return events, error
    return events, None
