"""OpenAI's Responses: every server that speaks it, and the models of OpenAI's that answer through it alone."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from trunkline.call import Attempt, Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects import openai, responses
from trunkline.dialects.openai.profile import Profile
from trunkline.dialects.openai.refused import drop_refused
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.choices import Choices
from trunkline.providers.compatible import PRESETS
from trunkline.providers.http import HttpProvider, StreamDecoder
from trunkline.providers.openai import OpenAIProvider
from trunkline.providers.transport import Transport
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse

_ENCRYPTED: Final = "reasoning.encrypted_content"

_KEEPS: Final = ("store", "background", "prompt", *responses.STATEFUL)
"""The keys by which a request says itself what the server is to keep."""

_COUNTED: Final = (
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "truncation",
    "parallel_tool_calls",
    "previous_response_id",
    "conversation",
)
"""What the counting of tokens takes of a request."""

_COMPACTED: Final = ("input", "instructions", "prompt_cache_key", "service_tier")
"""What the compaction of a conversation takes of a request."""

_SILENT: Final = re.compile(r"(?:.*/)?(?:chatgpt-|gpt-3|gpt-4|gpt-5(?:\.\d+)?-chat|computer-use-preview)")
"""The names of the models that do not reason: OpenAI refuses to encrypt reasoning for them."""

_ONLY: Final = re.compile(r"(?:o\d|gpt-\d[\d.]*)(?:-pro\b|.*codex|.*deep-research)|codex-|computer-use-")
"""The names of the models that OpenAI serves through Responses alone."""


_BOTH: Final = frozenset({openai.DIALECT, responses.DIALECT})
"""The dialects of OpenAI's, in whose words custom tools are told."""


_ROUTED: Final = ("models", "plugins", "provider", "route", "session_id", "transforms")
"""Fields that clients send to routers, and that OpenAI refuses."""


class ResponsesProvider(HttpProvider):
    """One server. It is asked to keep nothing: what the model needs again comes with the next request. `routes` tells
    whether it is a router, which reads what clients tell routers."""

    native_choices = False
    routes = False
    custom_tools = _BOTH

    def path(self, model: str, *, stream: bool) -> str:
        return "/responses"

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        wire = responses.encode_request(responses.adopt(request), losses)
        if not self.routes:
            losses.extend(Loss(name) for name in _ROUTED if wire.pop(name, None) is not None)
            drop_refused(wire, model, losses)
        if not any(key in wire for key in _KEEPS):
            wire["store"] = False
            wire["input"] = [item for item in wire["input"] if not _is_lost(item)]
        if wire.get("store") is False and _SILENT.match(model) is None:
            responses.include(wire, _ENCRYPTED)
        return wire

    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        wire["model"] = model
        if stream:
            wire["stream"] = True

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        wire = self.encode_request(request, attempt.model, attempt.losses)
        counted: dict[str, Json] = {key: wire[key] for key in _COUNTED if key in wire}
        counted["model"] = attempt.model
        answer = await self._ask("/responses/input_tokens", counted, attempt)
        return CountTokensResponse(input_tokens=answer.take_int("input_tokens", 0) or 0)

    async def compact(self, request: ChatRequest, attempt: Attempt) -> ChatResponse | None:
        wire = self.encode_request(request, attempt.model, attempt.losses)
        asked: dict[str, Json] = {key: wire[key] for key in _COMPACTED if key in wire}
        asked["model"] = attempt.model
        return responses.decode_compaction(await self._ask("/responses/compact", asked, attempt))

    def decode_response(self, wire: Object) -> ChatResponse:
        return responses.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return responses.StreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return responses.decode_error(status, headers, body)

    def decode_models(self, wire: Json) -> list[str]:
        items = wire.get("data") if isinstance(wire, dict) else wire
        return [
            item["id"]
            for item in (items if isinstance(items, list) else ())
            if isinstance(item, dict) and isinstance(item.get("id"), str)
        ]


def _is_lost(item: Json) -> bool:
    """Whether an item only names reasoning that a server which keeps nothing cannot find."""
    return (
        isinstance(item, dict)
        and item.get("type") == "reasoning"
        and not item.get("encrypted_content")
        and not item.get("content")
    )


class OpenAIFamilyProvider(OpenAIProvider):
    """OpenAI itself, and every server that has both of its languages: Chat Completions, and Responses for what Chat
    Completions cannot do.

    That is every call that came by Responses, every request that holds what only Responses can read, and, of a server
    with OpenAI's `own_models`, the models of `_ONLY`.
    """

    custom_tools = _BOTH

    def __init__(
        self,
        name: str,
        transport: Transport,
        headers: Mapping[str, str],
        profile: Profile,
        models: Sequence[str] = (),
        *,
        own_models: bool = True,
    ) -> None:
        super().__init__(name, transport, headers, profile, models)
        self._own_models = own_models
        self._responses = ResponsesProvider(name, transport, headers, models)
        self._responses.routes = not own_models
        self._responses.chooses = profile.chooses
        self._choices = Choices(self._responses)

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        if self._is_for_responses(request, model):
            return self._responses.encode_request(request, model, losses)
        wire = super().encode_request(request, model, losses)
        if self._own_models:
            drop_refused(wire, model, losses)
        return wire

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        if attempt.call.surface == "responses" or self._is_for_responses(request, attempt.model):
            return await self._choices.chat(request, attempt)
        return await super().chat(request, attempt)

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        return await self._responses.count_tokens(request, attempt) if self._own_models else None

    async def compact(self, request: ChatRequest, attempt: Attempt) -> ChatResponse | None:
        return await self._responses.compact(request, attempt) if self._own_models else None

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        if attempt.call.surface == "responses" or self._is_for_responses(request, attempt.model):
            stream = self._choices.stream_chat(request, attempt)
        else:
            stream = super().stream_chat(request, attempt)
        async with aclosing(stream):
            async for batch in stream:
                yield batch

    def _is_for_responses(self, request: ChatRequest, model: str) -> bool:
        return needs_responses(request, model) if self._own_models else responses.is_native(request)


def needs_responses(request: ChatRequest, model: str) -> bool:
    """Whether only Responses can answer `request` with a `model` of OpenAI's, or tell it all that it holds."""
    return _ONLY.match(model) is not None or responses.is_native(request)


def make(name: str, config: ProviderConfig) -> ResponsesProvider:
    """The provider that `config` describes. Raises `ValueError`, naming the setting, where it lacks a key."""
    transport, headers = _reach(name, config)
    return ResponsesProvider(name, transport, headers, config.models)


def make_openai(name: str, config: ProviderConfig) -> OpenAIFamilyProvider:
    """As `make`, for OpenAI itself."""
    transport, headers = _reach(name, config)
    return OpenAIFamilyProvider(name, transport, headers, PRESETS["openai"].profile, config.models)


def _reach(name: str, config: ProviderConfig) -> tuple[Transport, dict[str, str]]:
    preset = PRESETS["openai"]
    headers = {key.lower(): value.get_secret_value() for key, value in config.headers.items()}
    if config.api_key is not None:
        headers.setdefault(preset.key_header, preset.key_prefix + config.api_key.get_secret_value())
    elif config.base_url is None:
        raise ValueError(f"`providers.{name}.api_key` is required for the kind `{config.kind}`.")
    base_url = str(config.base_url) if config.base_url is not None else preset.base_url
    transport = AiohttpTransport(base_url, timeout=config.timeout, connect_timeout=config.connect_timeout)
    return transport, headers
