"""DeepSeek."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Final
from urllib.parse import urlsplit

from trunkline.call import Attempt, Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects import deepseek
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError
from trunkline.providers.compatible import PRESETS, reach
from trunkline.providers.http import StreamDecoder
from trunkline.providers.openai import OpenAIProvider
from trunkline.providers.transport import Reply, Transport
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse

_BETA: Final = "/beta"
"""Where the beta API is, below the host."""


class DeepSeekProvider(OpenAIProvider):
    """DeepSeek's API; `beta` is the path that leads to its beta API, empty where the base URL does."""

    native_choices = False
    custom_tools: Set[str] = frozenset()

    def __init__(
        self,
        name: str,
        transport: Transport,
        headers: Mapping[str, str],
        models: Sequence[str] = (),
        *,
        beta: str = _BETA,
    ) -> None:
        super().__init__(name, transport, headers, deepseek.PROFILE, models)
        self._beta = beta

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return deepseek.encode_request(request, losses)

    def decode_response(self, wire: Object) -> ChatResponse:
        return deepseek.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return deepseek.StreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return deepseek.decode_error(status, headers, body)

    def embed_path(self, model: str) -> str | None:
        return None

    async def _send(self, request: ChatRequest, attempt: Attempt, *, stream: bool) -> Reply:
        path = self.path(attempt.model, stream=stream)
        if deepseek.is_continued(request):
            path = self._beta + path
        headers, body = self._write(request, attempt, stream=stream)
        return await self._post(path, headers, body, attempt)


def make(name: str, config: ProviderConfig) -> DeepSeekProvider:
    """The provider that `config` describes. Raises `ValueError`, naming the setting, where it lacks a key."""
    transport, headers = reach(name, config, PRESETS["deepseek"])
    placed = urlsplit(str(config.base_url or "")).path.strip("/")
    return DeepSeekProvider(name, transport, headers, config.models, beta="" if placed else _BETA)
