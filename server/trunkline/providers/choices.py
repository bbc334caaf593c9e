"""Several answers from a provider that writes one."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from trunkline.call import Attempt
from trunkline.providers.fan_out import chat_all, stream_all
from trunkline.providers.wrapped import Wrapped
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse


class Choices(Wrapped):
    """A provider whose `choice_count` is met by as many calls. One that fails fails the answer."""

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """See `Provider.chat`."""
        if request.choice_count < 2:
            return await self._provider.chat(request, attempt)
        return await chat_all(self._provider, _split(request), attempt)

    def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """See `Provider.stream_chat`: the events of all answers, as they come."""
        if request.choice_count < 2:
            return self._provider.stream_chat(request, attempt)
        return stream_all(self._provider, _split(request), attempt)


def _split(request: ChatRequest) -> list[ChatRequest]:
    """A request for one answer, as often as one is wanted."""
    single = ChatRequest()
    single.CopyFrom(request)
    single.ClearField("choice_count")
    return [single] * request.choice_count
