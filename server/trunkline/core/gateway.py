"""The gateway: every surface calls it, and it calls the providers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Protocol

from trunkline.call import Attempt, Call, Caller
from trunkline.core.attempts import Attempts
from trunkline.core.check import Limits, check, check_embed
from trunkline.core.estimate import estimate_tokens
from trunkline.core.meter import Meter
from trunkline.core.plan import Candidate, Leg, Plan, Plans
from trunkline.core.plugin import Plugins, Prepared
from trunkline.core.running import Running
from trunkline.core.streaming import stream_answer
from trunkline.core.target import Target
from trunkline.errors import GatewayError, invalid_request, provider_failed, unsupported
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse, Usage
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.models_pb2 import GetModelRequest, ListModelsRequest, ListModelsResponse, Model
from trunkline.v1.routes_pb2 import ExplainRequest, RouteReport

_PAGE = 1000
"""The most models in one page."""


class Models(Protocol):
    """What the gateway can list."""

    async def list(self) -> Sequence[Model]:
        """Every model, in order of `Model.id`."""
        ...

    def describe(self, name: str, targets: Sequence[Target]) -> Model:
        """The model of a name that is not listed, though it leads to `targets`."""
        ...


class Gateway:
    """Answers conversations, counts their tokens, embeds, lists models, and explains where requests go.

    Each method takes the request message of one RPC and the call it belongs to, raises `GatewayError`, and fills the
    call's record. Cancelling a method, or closing its generator, stops the provider at once.
    """

    def __init__(
        self,
        plans: Plans,
        models: Models,
        limits: Limits,
        plugins: Plugins | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._plans = plans
        self._models = models
        self._limits = limits
        self._plugins = plugins or Plugins()
        self._running = Running(meter)

    async def chat(self, request: ChatRequest, call: Call) -> ChatResponse:
        """Answer `request` in one message."""
        call.operation = "chat"
        plan, prepared = await self._begin(request, call)
        async with self._running(call, plan):
            attempts = Attempts(plan, call)
            response = await attempts.ask(
                lambda candidate, attempt: _whole(
                    candidate.target.provider.chat(candidate.request, attempt), attempt.provider
                )
            )
            response.provider = call.provider
            response.model = response.model or attempts.answered.target.model
            call.served_model, call.service_tier = response.model, response.service_tier
            _note_usage(call, response.usage)
            if call.answered is not None and not response.usage.HasField("output_tokens"):
                # The provider does not count: whoever accounts for the call estimates.
                call.answered.characters = _characters(response)
            call.finish = response.choices[0].finish.reason
        self._plans.done(plan, attempts.answered, call)
        return prepared.answer(response) if prepared else response

    async def stream_chat(self, request: ChatRequest, call: Call) -> AsyncGenerator[list[ChatEvent], None]:
        """Answer `request` as it is written: what arrived together is yielded together.

        Until something was shown another target may be tried; after it, as the route says, an error ends the stream or
        another target goes on.
        """
        call.operation = "stream_chat"
        plan, prepared = await self._begin(request, call)
        async with self._running(call, plan):
            attempts = Attempts(plan, call)
            async with aclosing(stream_answer(attempts, call)) as batches:
                async for batch in batches:
                    if prepared is None:
                        yield batch
                    elif told := prepared.stream(batch):
                        yield told
        self._plans.done(plan, attempts.answered, call)

    async def count_tokens(self, request: ChatRequest, call: Call) -> CountTokensResponse:
        """What the model would read of `request`: as a provider counts it, or else an estimate."""
        call.operation = "count_tokens"
        plan = await self._plan(request, call)
        try:
            async with self._running(call, plan):
                counted = await Attempts(plan, call).ask(
                    lambda candidate, attempt: candidate.target.provider.count_tokens(candidate.request, attempt),
                    once=True,
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
        plan = await self._plan(request, call)
        async with self._running(call, plan):
            attempts = Attempts(plan, call)
            compacted = await attempts.ask(_compacted)
            call.served_model = compacted.model
            _note_usage(call, compacted.usage)
        return compacted

    async def embed(self, request: EmbedRequest, call: Call) -> EmbedResponse:
        """A vector for each input of `request`."""
        call.operation = "embed"
        call.model = request.model
        check_embed(request, self._limits)
        plan = await self._plans.embed(request, call)
        async with self._running(call, plan):
            response = await Attempts(plan, call).ask(
                lambda candidate, attempt: candidate.target.provider.embed(candidate.request, attempt)
            )
            response.provider = call.provider
            call.served_model = response.model
            _note_usage(call, response.usage)
            if len(response.embeddings) != len(request.inputs):
                raise provider_failed(
                    f"The provider gave {len(response.embeddings)} vectors for {len(request.inputs)} inputs.",
                    provider=call.provider,
                )
        return response

    async def explain(self, request: ExplainRequest, call: Call) -> RouteReport:
        """Where the request would go, in which order and why. Nothing is sent."""
        call.operation = "explain"
        if not request.HasField("request"):
            raise invalid_request("`request` is required.", "request")
        plan = await self._plan(request.request, call)
        return self._plans.report(plan, call)

    async def list_models(self, request: ListModelsRequest, call: Call) -> ListModelsResponse:
        """A page of the models that the caller can ask for."""
        call.operation = "list_models"
        if request.page_size < 0:
            raise invalid_request("`page_size` must not be negative.", "page_size")
        size = min(request.page_size or _PAGE, _PAGE)
        listed = [model for model in await self._models.list() if model.id > request.page_token]
        models = [model for model in listed if _may_ask(call.owner, model)]
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
            if model.id == request.id and _may_ask(call.owner, model):
                return model
        plan = await self._plans.chat(ChatRequest(model=request.id), call)
        targets = [candidate.target for leg in plan.legs for candidate in leg.candidates]
        return self._models.describe(request.id, targets)

    async def drained(self) -> None:
        """Wait until no call is running."""
        await self._running.none.wait()

    async def _begin(self, request: ChatRequest, call: Call) -> tuple[Plan[ChatRequest], Prepared | None]:
        """Where a conversation goes, and what plugins make of it, where any is at work."""
        prepared: Prepared | None = None
        if self._plugins.concern(request):
            call.model = request.model
            check(request, self._limits)
            prepared = await self._prepare(request, call)
            request = prepared.request
        plan = await self._plan(request, call)
        asked = plan.legs[0].candidates[0].request
        if asked is not request and len(asked.plugins) > len(request.plugins):
            # The name itself asks for more, as one with `:online` does.
            prepared = await self._prepare(asked, call, prepared)
            plan.legs = [_with_request(leg, asked, prepared.request) for leg in plan.legs]
        return plan, prepared

    async def _prepare(self, request: ChatRequest, call: Call, before: Prepared | None = None) -> Prepared:
        self._running.begin()
        try:
            if self._running.meter is not None:
                await self._running.meter.check(call)
            return await self._plugins.prepare(request, call, before)
        finally:
            self._running.end()

    async def _plan(self, request: ChatRequest, call: Call) -> Plan[ChatRequest]:
        call.model = request.model
        check(request, self._limits)
        call.metadata.update(request.metadata)
        plan = await self._plans.chat(request, call)
        call.routing_mode, call.rule = plan.mode, plan.rule
        call.report = partial(self._plans.report, plan, call)
        return plan


def _may_ask(caller: Caller, model: Model) -> bool:
    """Whether one of the endpoints of `model` may answer `caller`."""
    if not caller.restricted:
        return True
    return any(caller.may_ask(model.id, endpoint.provider, endpoint.model) for endpoint in model.endpoints)


def _with_request(leg: Leg[ChatRequest], asked: ChatRequest, request: ChatRequest) -> Leg[ChatRequest]:
    """The leg with `request` in place of `asked`."""
    candidates = [one._replace(request=request) if one.request is asked else one for one in leg.candidates]
    return Leg(candidates, leg.policy)


def _note_usage(call: Call, usage: Usage) -> None:
    call.usage = usage
    if call.answered is not None:
        call.answered.usage = usage


def _characters(response: ChatResponse) -> int:
    return sum(len(part.text) for choice in response.choices for part in choice.message.parts)


async def _compacted(candidate: Candidate[ChatRequest], attempt: Attempt) -> ChatResponse:
    compacted = await candidate.target.provider.compact(candidate.request, attempt)
    if compacted is None:
        raise unsupported(
            f"The target `{attempt.provider}/{attempt.model}` does not compact conversations: ask the model for a "
            "summary, and go on from that.",
            "model",
        )
    return compacted


async def _whole(answer: Awaitable[ChatResponse], provider: str) -> ChatResponse:
    response = await answer
    if not response.choices:
        raise provider_failed("The provider's answer holds no choice.", provider=provider)
    return response
