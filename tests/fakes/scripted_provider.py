"""A provider without a wire: each call plays the next act of a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from trunkline.call import Attempt
from trunkline.core.fold import fold, unfold
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.errors_pb2 import ErrorReason
from trunkline.v1.models_pb2 import Model


def failure(
    reason: ErrorReason.ValueType = errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE, retry_after: float | None = None
) -> GatewayError:
    """An error of a provider."""
    delay = None if retry_after is None else timedelta(seconds=retry_after)
    return GatewayError(reason, "scripted", retry_after=delay, provider="scripted", provider_status=500)


def answer(text: str = "Hello", model: str = "m") -> ChatResponse:
    """A whole answer with usage."""
    response = ChatResponse(id="r", model=model, usage={"input_tokens": 10, "output_tokens": 5})
    choice = response.choices.add(finish={"reason": chat_pb2.FINISH_REASON_STOP})
    choice.message.role = content_pb2.ROLE_ASSISTANT
    choice.message.parts.add(text=text)
    return response


def events(text: str = "Hello", model: str = "m") -> list[ChatEvent]:
    """The stream of `answer`."""
    return list(unfold(answer(text, model)))


def asking(text: str = "Hi", model: str = "m", **fields: object) -> ChatRequest:
    """A request with one message of the user's."""
    request = ChatRequest(model=model, **fields)
    request.messages.add(role=content_pb2.ROLE_USER).parts.add(text=text)
    return request


@dataclass
class Act:
    """What one call does: waits for `wait` seconds, tells `batches`, or their fold, and fails with `error` then."""

    batches: Sequence[Sequence[ChatEvent]] = ()
    error: Exception | None = None
    wait: float = 0.0
    hangs: bool = False


class ScriptedProvider:
    """Plays `acts`, and the last one again and again. `requests` are what it was asked."""

    def __init__(self, name: str, acts: Iterable[Act | GatewayError | str] = ("Hello",)) -> None:
        self.name = name
        self.requests: list[ChatRequest] = []
        self.running = 0
        self.cancelled = 0
        self._acts = [self._act(act) for act in acts]

    @staticmethod
    def _act(act: Act | GatewayError | str) -> Act:
        if isinstance(act, GatewayError):
            return Act(error=act)
        return Act([[event] for event in events(act)]) if isinstance(act, str) else act

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        self.requests.append(request)
        act = self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]
        self.running += 1
        try:
            if act.wait:
                await asyncio.sleep(act.wait)
            for batch in act.batches:
                copies = [ChatEvent() for _ in batch]
                for copy, event in zip(copies, batch, strict=True):
                    copy.CopyFrom(event)
                yield copies
            if act.hangs:
                await asyncio.Event().wait()
            if act.error is not None:
                attempt.status = 500
                raise act.error
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        return fold([event async for batch in self.stream_chat(request, attempt) for event in batch])

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        return None

    async def compact(self, request: ChatRequest, attempt: Attempt) -> ChatResponse | None:
        return None

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> EmbedResponse:
        return EmbedResponse()

    async def list_models(self) -> Sequence[Model]:
        return []

    async def close(self) -> None:
        pass
