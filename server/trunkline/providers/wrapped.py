"""A provider that does what another does, but for what a subclass does in its own way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from trunkline.call import Attempt
from trunkline.core.provider import Provider
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.models_pb2 import Model


class Wrapped:
    """Passes every call on to `provider`."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        """The name that the configuration gives the provider."""
        return self._provider.name

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """See `Provider.chat`."""
        return await self._provider.chat(request, attempt)

    def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """See `Provider.stream_chat`."""
        return self._provider.stream_chat(request, attempt)

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        """See `Provider.count_tokens`."""
        return await self._provider.count_tokens(request, attempt)

    async def compact(self, request: ChatRequest, attempt: Attempt) -> ChatResponse | None:
        """See `Provider.compact`."""
        return await self._provider.compact(request, attempt)

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> EmbedResponse:
        """See `Provider.embed`."""
        return await self._provider.embed(request, attempt)

    async def list_models(self) -> Sequence[Model]:
        """See `Provider.list_models`."""
        return await self._provider.list_models()

    async def close(self) -> None:
        """Close every connection."""
        await self._provider.close()
