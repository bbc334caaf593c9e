"""What the core asks of a provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from trunkline.call import Attempt
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.models_pb2 import Model


class Provider(Protocol):
    """A service that answers conversations, or embeds. Every method raises `GatewayError` and nothing else."""

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""
        ...

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """Answer `request` with the model `attempt.model`; `request` is not changed.

        Notes in `attempt` what the provider could not take (`losses`), its status and its id of the request.
        """
        ...

    def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """As `chat`, as it is written: what arrived together is yielded together.

        Closing the generator stops the provider at once. A stream that ends without an error was whole.
        """
        ...

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        """What the model would read of `request`; None where the provider cannot tell."""
        ...

    async def compact(self, request: ChatRequest, attempt: Attempt) -> ChatResponse | None:
        """The conversation of `request`, made shorter by the provider in a form that it alone can read; None where it
        does not do that."""
        ...

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> EmbedResponse:
        """A vector for each input. Raises UNSUPPORTED where the provider embeds nothing."""
        ...

    async def list_models(self) -> Sequence[Model]:
        """The models that the provider says it serves; `Model.id` is the provider's own name."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
