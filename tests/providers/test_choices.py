"""Several answers by several calls: one answer and one stream, as the grammar and the fold want them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from trunkline.call import Attempt, Call, Loss
from trunkline.core.fold import fold, unfold
from trunkline.core.grammar import Grammar
from trunkline.errors import GatewayError, provider_failed
from trunkline.providers.choices import Choices
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.models_pb2 import Model


class Numbered:
    """Answers each call with its number; the call `failing` fails, after its first event in a stream."""

    def __init__(self, failing: int | None = None) -> None:
        self.calls = 0
        self.running = 0
        self._failing = failing

    @property
    def name(self) -> str:
        return "numbered"

    def _answer(self, request: ChatRequest, attempt: Attempt) -> tuple[int, ChatResponse]:
        assert not request.HasField("choice_count")
        number = self.calls
        self.calls += 1
        attempt.status = 200
        attempt.losses.append(Loss("seed"))
        response = ChatResponse(id=f"id-{number}", model="m")
        response.extras["own"] = "{}"
        choice = response.choices.add()
        choice.message.role = content_pb2.ROLE_ASSISTANT
        choice.message.parts.add().text = f"answer {number}"
        choice.message.parts.add().tool_call.name = "f"
        choice.finish.native_reason = "stop"
        response.usage.input_tokens, response.usage.output_tokens = 10, number
        return number, response

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        number, response = self._answer(request, attempt)
        await asyncio.sleep(0)
        if number == self._failing:
            raise provider_failed("no")
        return response

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        number, response = self._answer(request, attempt)
        self.running += 1
        try:
            for position, event in enumerate(unfold(response)):
                if number == self._failing and position == 1:
                    raise provider_failed("no")
                yield [event]
                await asyncio.sleep(0)
        finally:
            self.running -= 1

    async def list_models(self) -> Sequence[Model]:
        return []

    async def close(self) -> None:
        return None


def attempt() -> Attempt:
    """A record to fill."""
    return Attempt(Call(id="c", surface="grpc"), "numbered", "m")


@pytest.mark.parametrize("count", [1, 2, 3, 40])
async def test_the_stream_folds_to_the_answer(count: int) -> None:
    """Indexes are right, usage is summed once, what was lost is told once, and the events are in order."""
    request = ChatRequest(model="m", choice_count=count)
    if count == 1:
        request.ClearField("choice_count")
    record = attempt()
    unary = await Choices(Numbered()).chat(request, record)
    events = [event async for batch in Choices(Numbered()).stream_chat(request, attempt()) for event in batch]
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    grammar.end()

    assert fold(events) == unary
    assert [choice.index for choice in unary.choices] == list(range(count))
    assert {choice.message.parts[0].text for choice in unary.choices} == {f"answer {n}" for n in range(count)}
    assert unary.usage.input_tokens == 10 * count
    assert unary.usage.output_tokens == sum(range(count))
    assert (record.losses, record.status) == ([Loss("seed")], 200)


async def test_one_that_fails_fails_the_answer() -> None:
    """The others are stopped, and the error is the provider's own."""
    request = ChatRequest(model="m", choice_count=3)
    provider = Numbered(failing=1)
    with pytest.raises(GatewayError, match="no"):
        await Choices(Numbered(failing=2)).chat(request, attempt())
    with pytest.raises(GatewayError, match="no"):
        async for _ in Choices(provider).stream_chat(request, attempt()):
            pass

    assert provider.running == 0


async def test_leaving_stops_all() -> None:
    """Closing the stream closes that of each call."""
    provider = Numbered()
    async with aclosing(Choices(provider).stream_chat(ChatRequest(model="m", choice_count=3), attempt())) as stream:
        await anext(stream)

        assert provider.running
    assert provider.running == 0
