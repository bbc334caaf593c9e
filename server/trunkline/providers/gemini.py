"""Google's Gemini API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from trunkline.call import Attempt, Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects import gemini
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.batches import Most
from trunkline.providers.http import HttpProvider, Reader, StreamDecoder
from trunkline.providers.transport import Transport
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse

_BASE_URL: Final = "https://generativelanguage.googleapis.com"
_VERSION: Final = "v1beta"

_FOLDERS: Final = frozenset({"models", "tunedModels"})
"""Where the Gemini API has what answers conversations."""

KEY_HEADER: Final = "x-goog-api-key"
"""Where Google takes a key."""

_VERSIONED: Final = re.compile(r"(.*)/(v\d+(?:(?:alpha|beta)\d*)?)")
"""A base URL that names the version of the API."""


class GeminiProvider(HttpProvider):
    """One server. `prefix` is what stands before the name of a model in a path."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        headers: Mapping[str, str],
        models: Sequence[str] = (),
        *,
        prefix: str = f"/{_VERSION}",
    ) -> None:
        super().__init__(name, transport, headers, models)
        self._prefix = prefix
        self.models_path = f"{prefix}/models?pageSize=1000"

    def path(self, model: str, *, stream: bool) -> str:
        folder, _, name = model.rpartition("/")
        if folder not in _FOLDERS:
            # A caller may have made up the name: it must not lead to another path.
            folder, name = "models", model
        where = f"{self._prefix}/{folder}/{quote(name, safe='')}"
        return f"{where}:streamGenerateContent?alt=sse" if stream else f"{where}:generateContent"

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return gemini.encode_request(request, gemini.profile_of(model), losses)

    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        """The path alone names the model and asks for a stream."""

    def embed_path(self, model: str) -> str | None:
        return f"{self.path(model, stream=False).removesuffix(':generateContent')}:batchEmbedContents"

    def most_inputs(self, model: str) -> Most:
        return Most(100)

    def encode_embed(self, request: EmbedRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return gemini.encode_embed_request(request, f"models/{model.removeprefix('models/')}", losses)

    def decode_embed(self, wire: Object, model: str, headers: Mapping[str, str]) -> EmbedResponse:
        return gemini.decode_embed_response(wire, model)

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        path = self.path(attempt.model, stream=False)
        wire = self.counted(self.encode_request(request, attempt.model, attempt.losses), path)
        answer = await self._ask(f"{path.removesuffix(':generateContent')}:countTokens", wire, attempt)
        counted = CountTokensResponse(input_tokens=answer.take_int("totalTokens", 0) or 0)
        cached = answer.take_int("cachedContentTokenCount", 0)
        if cached is not None:
            counted.cached_input_tokens = cached
        return counted

    def counted(self, wire: dict[str, Json], path: str) -> dict[str, Json]:
        """A request as the counting of its tokens takes it."""
        name = path.removeprefix(f"{self._prefix}/").removesuffix(":generateContent")
        return {"generateContentRequest": {**wire, "model": name}}

    def decode_response(self, wire: Object) -> ChatResponse:
        return gemini.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return gemini.StreamDecoder()

    def reader(self) -> Reader:
        return gemini.Reader()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return gemini.decode_error(status, headers, body)

    def decode_models(self, wire: Json) -> list[str]:
        """Those that answer conversations, without the folder that all are in."""
        items = wire.get("models") if isinstance(wire, dict) else None
        return [
            item["name"].removeprefix("models/")
            for item in (items if isinstance(items, list) else ())
            if isinstance(item, dict) and isinstance(item.get("name"), str) and _answers(item)
        ]

    def next_models_path(self, wire: Json) -> str | None:
        token = wire.get("nextPageToken") if isinstance(wire, dict) else None
        return f"{self.models_path}&pageToken={quote(token, safe='')}" if isinstance(token, str) and token else None


def _answers(model: dict[str, Json]) -> bool:
    methods = model.get("supportedGenerationMethods")
    return not isinstance(methods, list) or "generateContent" in methods


def make(name: str, config: ProviderConfig) -> GeminiProvider:
    """The provider that `config` describes. Its base URL may be given with the version of the API or without.

    Raises `ValueError`, naming the setting, where it lacks a key.
    """
    headers = headers_of(config)
    if config.base_url is None and KEY_HEADER not in headers:
        raise ValueError(f"`providers.{name}.api_key` is required for the kind `{config.kind}`.")
    base_url, version = split_version(str(config.base_url or _BASE_URL), _VERSION)
    transport = AiohttpTransport(base_url, timeout=config.timeout, connect_timeout=config.connect_timeout)
    return GeminiProvider(name, transport, headers, config.models, prefix=f"/{version}")


def headers_of(config: ProviderConfig) -> dict[str, str]:
    """The headers of each request, with the key among them."""
    headers = {key.lower(): value.get_secret_value() for key, value in config.headers.items()}
    if config.api_key is not None:
        headers.setdefault(KEY_HEADER, config.api_key.get_secret_value())
    return headers


def split_version(base_url: str, usual: str) -> tuple[str, str]:
    """The base URL without the version of the API, and that version: the `usual` one where it names none."""
    match = _VERSIONED.fullmatch(base_url.rstrip("/"))
    return (base_url.rstrip("/"), usual) if match is None else (match[1], match[2])
