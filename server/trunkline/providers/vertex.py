"""Vertex AI: Google's models, and Anthropic's, in a project of Google Cloud."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from pathlib import Path
from typing import Final
from urllib.parse import quote

from trunkline.call import Attempt, Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects import gemini
from trunkline.dialects.emulate import Structured
from trunkline.dialects.wire import Json, Object, loads
from trunkline.errors import GatewayError
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.anthropic import AnthropicProvider
from trunkline.providers.batches import Most
from trunkline.providers.choices import Choices
from trunkline.providers.gemini import KEY_HEADER, GeminiProvider, headers_of, split_version
from trunkline.providers.google_credentials import GoogleCredentials
from trunkline.providers.transport import Transport
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.models_pb2 import Model

_VERSION: Final = "v1"
_ANTHROPIC_VERSION: Final = "vertex-2023-10-16"

_OPTIONS: Final = frozenset({"project", "location", "credentials"})

_PUBLISHER: Final = re.compile(r"[a-z0-9-]+")

_PLACED: Final = re.compile(r"(.*)/projects/([^/]+)/locations/([^/]+)")
"""A base URL that names the project and the location."""


_COUNTED: Final = ("contents", "systemInstruction", "tools", "generationConfig")
"""What the counting of tokens takes of a request."""


_MOST: Final = Most(inputs=250, characters=20_000)
"""What a call of `predict` embeds at the most (cloud.google.com, `Get text embeddings`): so many texts, of 20 000
tokens in all, none of which is shorter than a character."""


class _Claude(AnthropicProvider):
    """Anthropic's models at Vertex AI: its Messages API, with the model in the path."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        headers: Mapping[str, str],
        prefix: str,
        credentials: GoogleCredentials | None,
    ) -> None:
        super().__init__(name, transport, headers)
        self._prefix = prefix
        self._credentials = credentials

    def fetches(self, model: str) -> Set[str]:
        return frozenset()  # unlike Anthropic itself

    def path(self, model: str, *, stream: bool) -> str:
        method = "streamRawPredict" if stream else "rawPredict"
        return f"{self._prefix}/publishers/anthropic/models/{_quoted(model)}:{method}"

    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        wire.pop("model", None)
        wire["anthropic_version"] = _ANTHROPIC_VERSION
        if stream:
            wire["stream"] = True

    def headers(self, wire: dict[str, Json]) -> Mapping[str, str]:
        return self._headers  # betas stay in the body

    def count_path(self) -> str:
        return f"{self._prefix}/publishers/anthropic/models/count-tokens:rawPredict"

    async def authorize(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Mapping[str, str]:
        return await _authorized(headers, self._credentials)


class VertexProvider(GeminiProvider):
    """One project in one location, or neither where a key alone tells (express mode).

    A model is named as Google names it: `gemini-2.5-flash`, `claude-sonnet-4-5@20250929`, `endpoints/123` for one that
    was tuned, or with its publisher as `anthropic/claude-...`.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        headers: Mapping[str, str],
        models: Sequence[str],
        prefix: str,
        credentials: GoogleCredentials | None,
    ) -> None:
        super().__init__(name, transport, headers, models, prefix=prefix)
        self._credentials = credentials
        self._claude = _Claude(name, transport, headers, prefix, credentials)
        self._claude_choices = Choices(self._claude)

    def structured_output(self, model: str) -> Structured:
        return self._claude.structured_output(model) if _is_claude(model) else super().structured_output(model)

    def fetches(self, model: str) -> Set[str]:
        return self._claude.fetches(model) if _is_claude(model) else super().fetches(model)

    def path(self, model: str, *, stream: bool) -> str:
        if _is_claude(model):
            return self._claude.path(model, stream=stream)
        where = self._place(model)
        return f"{where}:streamGenerateContent?alt=sse" if stream else f"{where}:generateContent"

    def _place(self, model: str) -> str:
        publisher, name = _named(model)
        folder = "endpoints" if publisher == "endpoints" else f"publishers/{publisher}/models"
        return f"{self._prefix}/{folder}/{quote(name, safe='@')}"

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        if _is_claude(model):
            return self._claude.encode_request(request, model, losses)
        return super().encode_request(request, model, losses)

    async def authorize(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Mapping[str, str]:
        return await _authorized(headers, self._credentials)

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        if _is_claude(attempt.model):
            return await self._claude_choices.chat(request, attempt)
        return await super().chat(request, attempt)

    def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        if _is_claude(attempt.model):
            return self._claude_choices.stream_chat(request, attempt)
        return super().stream_chat(request, attempt)

    def embed_path(self, model: str) -> str | None:
        return None if _is_claude(model) else f"{self._place(model)}:{_embeds_by(model)}"

    def most_inputs(self, model: str) -> Most:
        return Most(1) if gemini.takes_one(_named(model)[1]) else _MOST

    def encode_embed(self, request: EmbedRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return gemini.encode_vertex_embed(request, _embeds_by(model), losses)

    def decode_embed(self, wire: Object, model: str, headers: Mapping[str, str]) -> EmbedResponse:
        return gemini.decode_vertex_embed(wire, _embeds_by(model), model)

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        if _is_claude(attempt.model):
            return await self._claude.count_tokens(request, attempt)
        return await super().count_tokens(request, attempt)

    def counted(self, wire: dict[str, Json], path: str) -> dict[str, Json]:
        return {key: wire[key] for key in _COUNTED if key in wire}

    async def list_models(self) -> Sequence[Model]:
        """The configured names: Vertex AI lists what it has, not what the project may use."""
        return [Model(id=name, providers=[self.name]) for name in self._models]

    async def close(self) -> None:
        if self._credentials is not None:
            await self._credentials.close()
        await super().close()


async def _authorized(headers: Mapping[str, str], credentials: GoogleCredentials | None) -> Mapping[str, str]:
    if credentials is None:
        return headers
    return {**headers, "authorization": f"Bearer {await credentials.token()}"}


def _named(model: str) -> tuple[str, str]:
    """The publisher of `model`, and its name."""
    model = model.removeprefix("models/")
    publisher, _, name = model.rpartition("/")
    # A caller may have made up the name: it must not lead to another path.
    return (publisher, name) if _PUBLISHER.fullmatch(publisher) else ("google", model)


def _embeds_by(model: str) -> gemini.EmbedMethod:
    return gemini.embed_method_of(_named(model)[1])


def _is_claude(model: str) -> bool:
    return model.startswith(("anthropic/", "claude"))


def _quoted(model: str) -> str:
    return quote(model.removeprefix("anthropic/"), safe="@")


def make(name: str, config: ProviderConfig) -> VertexProvider:
    """The provider that `config` describes.

    With a key, and no project, it is in express mode. Without a key, google-auth makes the tokens; the project is that
    of `options`, of the base URL or of the credentials file. Raises `ValueError`, naming the setting, where there is
    none, or where an option is unknown.
    """
    unknown = sorted(config.options.keys() - _OPTIONS)
    if unknown:
        raise ValueError(f"`providers.{name}.options.{unknown[0]}` is unknown to the kind `{config.kind}`.")
    headers = headers_of(config)
    file = config.options.get("credentials")
    project, location = config.options.get("project"), config.options.get("location")
    base_url = str(config.base_url or "")
    placed = _PLACED.fullmatch(base_url.rstrip("/"))
    if placed is not None:
        base_url = placed[1]
        project, location = project or placed[2], location or placed[3]
    credentials = None
    if not headers.keys() & {KEY_HEADER, "authorization"}:
        credentials = GoogleCredentials(file)
        project = project or _project_of(file)
        if project is None:
            raise ValueError(
                f"`providers.{name}.options.project` is required for the kind `{config.kind}` without an `api_key`."
            )
    base_url, version = split_version(base_url or _base_url(location if project else None), _VERSION)
    place = f"/projects/{quote(project, safe='')}/locations/{quote(location or 'global', safe='')}" if project else ""
    transport = AiohttpTransport(base_url, timeout=config.timeout, connect_timeout=config.connect_timeout)
    return VertexProvider(name, transport, headers, config.models, f"/{version}{place}", credentials)


def _base_url(location: str | None) -> str:
    """The address of a location; of all of them where there is none."""
    if location in (None, "global"):
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _project_of(file: str | None) -> str | None:
    """The project that a credentials file names. A file that cannot be read is told of when it is used."""
    if file is None:
        return None
    try:
        fields = loads(Path(file).read_bytes())
    except (OSError, GatewayError):
        return None
    project = fields.get("project_id") or fields.get("quota_project_id") if isinstance(fields, dict) else None
    return project if isinstance(project, str) else None
