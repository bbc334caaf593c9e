"""Tools that are called with a text, of a provider that knows functions alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Set
from contextlib import aclosing

from trunkline.call import Attempt, Loss, LossKind
from trunkline.core.provider import Provider
from trunkline.dialects import responses
from trunkline.providers.wrapped import Wrapped
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse


class CustomTools(Wrapped):
    """A provider to which OpenAI's custom tools are told as functions, and its calls of these as calls of those.

    Those in the words of the dialects that are `taken` stay as they are. Tools of a namespace are functions already,
    under a name that holds both; that is noted.
    """

    def __init__(self, provider: Provider, taken: Set[str] = frozenset()) -> None:
        super().__init__(provider)
        self._taken = taken

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """See `Provider.chat`."""
        plain = self._plain(request, attempt)
        if plain is None:
            return await self._provider.chat(request, attempt)
        response = await self._provider.chat(plain.request, attempt)
        reader = responses.CustomReader(plain)
        for choice in response.choices:
            for part in choice.message.parts:
                reader.read(part)
        return response

    def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """See `Provider.stream_chat`."""
        plain = self._plain(request, attempt)
        if plain is None:
            return self._provider.stream_chat(request, attempt)
        return self._stream(plain, attempt)

    async def _stream(self, plain: responses.Plain, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        reader = responses.CustomReader(plain)
        async with aclosing(self._provider.stream_chat(plain.request, attempt)) as stream:
            async for batch in stream:
                yield [told for event in batch for told in reader.feed(event)]

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        """See `Provider.count_tokens`: of what is sent in place of `request`."""
        plain = self._plain(request, attempt)
        return await self._provider.count_tokens(request if plain is None else plain.request, attempt)

    def _plain(self, request: ChatRequest, attempt: Attempt) -> responses.Plain | None:
        plain = responses.plain_of(request, self._taken)
        attempt.losses.extend(
            Loss(f"tools[{index}].namespace", LossKind.EMULATED) for index in responses.flattened(request)
        )
        if plain is not None:
            attempt.losses.extend(Loss(f"tools[{index}].custom", LossKind.EMULATED) for index in plain.places)
        return plain
