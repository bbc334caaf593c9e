"""The gateway: every surface calls it, and it calls the providers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar

from trunkline.call import Attempt, Call
from trunkline.core.check import Limits, check, check_embed
from trunkline.core.estimate import estimate_tokens
from trunkline.core.grammar import Grammar
from trunkline.core.target import Resolve, Target
from trunkline.errors import GatewayError, invalid_request, provider_failed, unsupported
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.models_pb2 import GetModelRequest, ListModelsRequest, ListModelsResponse, Model

_T = TypeVar("_T")

_PAGE = 1000
"""The most models in one page."""


class Models(Protocol):
    """What the gateway can list."""

    async def list(self) -> Sequence[Model]:
        """Every model, in order of `Model.id`."""
        ...


class Gateway:
    """Answers conversations, counts their tokens, embeds, and lists models.

    Each method takes the request message of one RPC and the call it belongs to, raises `GatewayError`, and fills the
    call's record. Cancelling a method, or closing its generator, stops the provider at once.
    """

    def __init__(self, resolve: Resolve, models: Models, limits: Limits) -> None:
        self._resolve = resolve
        self._models = models
        self._limits = limits
        self._running = _Running()

    async def chat(self, request: ChatRequest, call: Call) -> ChatResponse:
        """Answer `request` in one message."""
        call.operation = "chat"
        targets = self._plan(request, call)
        response = await self._ask(
            targets, call, lambda target, attempt: _whole(target.provider.chat(request, attempt), attempt)
        )
        response.provider = call.provider
        call.served_model = response.model
        call.usage = response.usage
        call.finish = response.choices[0].finish.reason
        return response

    async def stream_chat(self, request: ChatRequest, call: Call) -> AsyncGenerator[list[ChatEvent], None]:
        """Answer `request` as it is written: what arrived together is yielded together.

        Until the first batch another target may be tried; after it, an error ends the stream.
        """
        call.operation = "stream_chat"
        targets = self._plan(request, call)
        with self._running:
            for last, target in _with_last(targets):
                attempt = _attempt(call, target)
                try:
                    async with aclosing(target.provider.stream_chat(request, attempt)) as stream:
                        async for batch in _watch(stream, attempt):
                            yield batch
                    return
                except GatewayError as error:
                    attempt.error = error
                    if last or attempt.first_event is not None or not error.row.fall_back:
                        raise
                finally:
                    attempt.ended = time.monotonic()

    async def count_tokens(self, request: ChatRequest, call: Call) -> CountTokensResponse:
        """What the model would read of `request`: as a provider counts it, or else an estimate."""
        call.operation = "count_tokens"
        targets = self._plan(request, call)
        try:
            counted = await self._ask(
                targets, call, lambda target, attempt: target.provider.count_tokens(request, attempt)
            )
        except GatewayError as error:
            if error.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST:
                raise
            # A guess helps more than the news that the provider does not count just now.
            counted = None
        if counted is None:
            counted = CountTokensResponse(input_tokens=estimate_tokens(request), estimated=True)
        counted.provider = call.provider
        return counted

    async def compact(self, request: ChatRequest, call: Call) -> ChatResponse:
        """The conversation of `request`, made shorter by its provider. Raises UNSUPPORTED where that does not do it."""
        call.operation = "compact"
        targets = self._plan(request, call)
        compacted = await self._ask(targets, call, lambda target, attempt: _compacted(target, request, attempt))
        call.served_model = compacted.model
        call.usage = compacted.usage
        return compacted

    async def embed(self, request: EmbedRequest, call: Call) -> EmbedResponse:
        """A vector for each input of `request`."""
        call.operation = "embed"
        call.model = request.model
        check_embed(request, self._limits)
        targets = self._resolve(request.model)
        response = await self._ask(targets, call, lambda target, attempt: target.provider.embed(request, attempt))
        if len(response.embeddings) != len(request.inputs):
            raise provider_failed(
                f"The provider gave {len(response.embeddings)} vectors for {len(request.inputs)} inputs.",
                provider=call.provider,
            )
        response.provider = call.provider
        call.served_model = response.model
        call.usage = response.usage
        return response

    async def list_models(self, request: ListModelsRequest, call: Call) -> ListModelsResponse:
        """A page of the models that can be asked for."""
        call.operation = "list_models"
        if request.page_size < 0:
            raise invalid_request("`page_size` must not be negative.", "page_size")
        size = min(request.page_size or _PAGE, _PAGE)
        models = [model for model in await self._models.list() if model.id > request.page_token]
        page = models[:size]
        token = page[-1].id if len(models) > size else ""
        return ListModelsResponse(models=page, next_page_token=token)

    async def get_model(self, request: GetModelRequest, call: Call) -> Model:
        """One model, by the name that a request would use."""
        call.operation = "get_model"
        call.model = request.id
        if not request.id:
            raise invalid_request("`id` is required.", "id")
        for model in await self._models.list():
            if model.id == request.id:
                return model
        targets = self._resolve(request.id)
        return Model(id=request.id, providers=[target.provider.name for target in targets])

    async def drained(self) -> None:
        """Wait until no call is running."""
        await self._running.none.wait()

    async def _ask(self, targets: Sequence[Target], call: Call, ask: Callable[[Target, Attempt], Awaitable[_T]]) -> _T:
        """What the first target says that does not fail in a way in which another may do better."""
        with self._running:
            for last, target in _with_last(targets):
                attempt = _attempt(call, target)
                try:
                    answer = await _before_deadline(ask(target, attempt), call)
                except GatewayError as error:
                    attempt.error = error
                    if last or not error.row.fall_back:
                        raise
                    continue
                finally:
                    attempt.ended = time.monotonic()
                call.first_event = attempt.first_event = attempt.ended
                return answer
        raise AssertionError("a plan has at least one target")

    def _plan(self, request: ChatRequest, call: Call) -> Sequence[Target]:
        call.model = request.model
        check(request, self._limits)
        return self._resolve(request.model)


class _Running:
    """Counts the calls that are within it; `none` is set while there is none."""

    def __init__(self) -> None:
        self._count = 0
        self.none = asyncio.Event()
        self.none.set()

    def __enter__(self) -> None:
        self._count += 1
        self.none.clear()

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count:
            self.none.set()


async def _watch(
    stream: AsyncGenerator[list[ChatEvent], None], attempt: Attempt
) -> AsyncGenerator[list[ChatEvent], None]:
    """`stream`, held to the grammar, to the deadline and written into the record."""
    call = attempt.call
    grammar = Grammar()
    while True:
        try:
            batch = await _before_deadline(anext(stream), call)
        except StopAsyncIteration:
            break
        for event in batch:
            grammar.feed(event)
            match event.WhichOneof("event"):
                case "start":
                    event.start.provider = attempt.provider
                    call.served_model = event.start.model
                    call.first_event = attempt.first_event = time.monotonic()
                case "usage":
                    if call.usage is None:
                        call.usage = event.usage
                    else:
                        call.usage.MergeFrom(event.usage)
                case "choice_end":
                    call.finish = event.choice_end.finish.reason
        if batch:
            yield batch
    grammar.end()


async def _before_deadline(awaitable: Awaitable[_T], call: Call) -> _T:
    if call.deadline is None:
        return await awaitable
    try:
        async with asyncio.timeout(call.remaining()):
            return await awaitable
    except TimeoutError:
        raise GatewayError(
            errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
            "The provider did not answer before the caller's deadline.",
            provider=call.provider,
        ) from None


def _attempt(call: Call, target: Target) -> Attempt:
    attempt = Attempt(call, target.provider.name, target.model)
    call.attempts.append(attempt)
    return attempt


def _with_last(targets: Sequence[Target]) -> list[tuple[bool, Target]]:
    end = len(targets) - 1
    return [(index == end, target) for index, target in enumerate(targets)]


async def _compacted(target: Target, request: ChatRequest, attempt: Attempt) -> ChatResponse:
    compacted = await target.provider.compact(request, attempt)
    if compacted is None:
        raise unsupported(
            f"The target `{attempt.provider}/{attempt.model}` does not compact conversations: ask the model for a "
            "summary, and go on from that.",
            "model",
        )
    return compacted


async def _whole(answer: Awaitable[ChatResponse], attempt: Attempt) -> ChatResponse:
    response = await answer
    if not response.choices:
        raise provider_failed("The provider's answer holds no choice.", provider=attempt.provider)
    return response
