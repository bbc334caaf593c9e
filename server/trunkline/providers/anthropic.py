"""Anthropic, and every server that speaks its Messages API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from trunkline.call import Attempt, Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects import anthropic
from trunkline.dialects.emulate import Structured
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.http import HttpProvider, StreamDecoder
from trunkline.providers.transport import Transport
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, CountTokensResponse

_BASE_URL: Final = "https://api.anthropic.com"
_VERSION: Final = "2023-06-01"
_BETA: Final = re.compile(r"[!-+\--~]{1,128}")
"""What may stand in a header, between commas."""

_COUNTED: Final = (
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "mcp_servers",
    "context_management",
    "anthropic_beta",
)
"""What the counting of tokens takes of a request; it refuses the rest."""

_MODELS: Final = "/v1/models?limit=1000"


class AnthropicProvider(HttpProvider):
    """One server. `headers` say which version of the API to use, where it is not the usual one, and which betas."""

    models_path = _MODELS

    native_choices = False

    def __init__(self, name: str, transport: Transport, headers: Mapping[str, str], models: Sequence[str] = ()) -> None:
        super().__init__(name, transport, {"anthropic-version": _VERSION, **headers}, models)

    def structured_output(self, model: str) -> Structured:
        profile = anthropic.profile_of(model)
        if profile.structured:
            return "schema"
        return "tool" if profile.forced_tools else "instruction"

    def path(self, model: str, *, stream: bool) -> str:
        return "/v1/messages"

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return anthropic.encode_request(request, anthropic.profile_of(model), losses)

    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        wire["model"] = model
        if stream:
            wire["stream"] = True

    def headers(self, wire: dict[str, Json]) -> Mapping[str, str]:
        # The surface keeps the betas of its caller's header in the body, where Bedrock and Vertex AI take them.
        betas = wire.pop("anthropic_beta", None)
        if not isinstance(betas, list) or not betas:
            return self._headers
        own = [beta.strip() for beta in self._headers.get("anthropic-beta", "").split(",") if beta.strip()]
        told = [beta for beta in betas if isinstance(beta, str) and _BETA.fullmatch(beta)]
        return {**self._headers, "anthropic-beta": ",".join(dict.fromkeys([*own, *told]))}

    def count_path(self) -> str:
        """Where requests go to be counted, below the base URL."""
        return "/v1/messages/count_tokens"

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        wire = self.encode_request(request, attempt.model, attempt.losses)
        counted: dict[str, Json] = {key: wire[key] for key in _COUNTED if key in wire}
        counted["model"] = attempt.model
        answer = await self._ask(self.count_path(), counted, attempt)
        return CountTokensResponse(input_tokens=answer.take_int("input_tokens", 0) or 0)

    def decode_response(self, wire: Object) -> ChatResponse:
        return anthropic.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return anthropic.StreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return anthropic.decode_error(status, headers, body)

    def decode_models(self, wire: Json) -> list[str]:
        items = wire.get("data") if isinstance(wire, dict) else None
        return [
            item["id"]
            for item in (items if isinstance(items, list) else ())
            if isinstance(item, dict) and isinstance(item.get("id"), str)
        ]

    def next_models_path(self, wire: Json) -> str | None:
        last = wire.get("last_id") if isinstance(wire, dict) and wire.get("has_more") is True else None
        return f"{_MODELS}&after_id={quote(last, safe='')}" if isinstance(last, str) and last else None


def make(name: str, config: ProviderConfig) -> AnthropicProvider:
    """The provider that `config` describes. Its base URL may be given with the version of the path or without.

    Raises `ValueError`, naming the setting, where it lacks a key.
    """
    headers = {key.lower(): value.get_secret_value() for key, value in config.headers.items()}
    if config.api_key is not None:
        headers.setdefault("x-api-key", config.api_key.get_secret_value())
    elif config.base_url is None and not headers.keys() & {"x-api-key", "authorization"}:
        raise ValueError(f"`providers.{name}.api_key` is required for the kind `{config.kind}`.")
    base_url = str(config.base_url) if config.base_url is not None else _BASE_URL
    base_url = base_url.rstrip("/").removesuffix("/v1")
    transport = AiohttpTransport(base_url, timeout=config.timeout, connect_timeout=config.connect_timeout)
    return AnthropicProvider(name, transport, headers, config.models)
