"""Mistral, and every server that speaks as it does."""

from __future__ import annotations

from collections.abc import Mapping, Set

from trunkline.call import Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects import mistral
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError
from trunkline.providers.compatible import PRESETS, reach
from trunkline.providers.http import StreamDecoder
from trunkline.providers.openai import OpenAIProvider
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse


class MistralProvider(OpenAIProvider):
    """One server."""

    custom_tools: Set[str] = frozenset()

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return mistral.encode_request(request, model, losses)

    def decode_response(self, wire: Object) -> ChatResponse:
        return mistral.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return mistral.StreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return mistral.decode_error(status, headers, body)


def make(name: str, config: ProviderConfig) -> MistralProvider:
    """The provider that `config` describes. Raises `ValueError`, naming the setting, where it lacks a key."""
    preset = PRESETS["mistral"]
    transport, headers = reach(name, config, preset)
    return MistralProvider(name, transport, headers, preset.profile, config.models)
