"""Cohere, by version 2 of its chat API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.call import Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects import cohere
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.batches import Most
from trunkline.providers.http import HttpProvider, StreamDecoder
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse

_BASE_URL: Final = "https://api.cohere.com"


class CohereProvider(HttpProvider):
    """One server."""

    models_path = "/v1/models?endpoint=chat&page_size=1000"

    native_choices = False

    def path(self, model: str, *, stream: bool) -> str:
        return "/v2/chat"

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return cohere.encode_request(request, losses, reasoning=cohere.reasons(model))

    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        wire["model"] = model
        wire["stream"] = stream

    def decode_response(self, wire: Object) -> ChatResponse:
        return cohere.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return cohere.StreamDecoder()

    def embed_path(self, model: str) -> str | None:
        return "/v2/embed"

    def most_inputs(self, model: str) -> Most:
        return Most(96)

    def encode_embed(self, request: EmbedRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        wire = cohere.encode_embed_request(request, losses)
        wire["model"] = model
        return wire

    def decode_embed(self, wire: Object, model: str, headers: Mapping[str, str]) -> EmbedResponse:
        response = cohere.decode_embed_response(wire)
        response.model = model
        return response

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return cohere.decode_error(status, headers, body)

    def decode_models(self, wire: Json) -> list[str]:
        items = wire.get("models") if isinstance(wire, dict) else None
        return [
            item["name"]
            for item in (items if isinstance(items, list) else ())
            if isinstance(item, dict) and isinstance(item.get("name"), str)
        ]


def make(name: str, config: ProviderConfig) -> CohereProvider:
    """The provider that `config` describes. Raises `ValueError`, naming the setting, where it lacks a key."""
    headers = {key.lower(): value.get_secret_value() for key, value in config.headers.items()}
    if config.api_key is not None:
        headers.setdefault("authorization", f"Bearer {config.api_key.get_secret_value()}")
    elif config.base_url is None and "authorization" not in headers:
        raise ValueError(f"`providers.{name}.api_key` is required for the kind `{config.kind}`.")
    base_url = (str(config.base_url) if config.base_url is not None else _BASE_URL).rstrip("/").removesuffix("/v2")
    transport = AiohttpTransport(base_url, timeout=config.timeout, connect_timeout=config.connect_timeout)
    return CohereProvider(name, transport, headers, config.models)
