"""Models at Azure: OpenAI's two languages below `/openai/v1`, and the older API with a deployment in each path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from trunkline.call import Attempt
from trunkline.config.model import ProviderConfig
from trunkline.dialects.openai.profile import OPENAI
from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.choices import Choices
from trunkline.providers.compatible import PRESETS, headers_of
from trunkline.providers.completions import CompletionsProvider
from trunkline.providers.http import HttpProvider
from trunkline.providers.openai import OpenAIProvider
from trunkline.providers.responses import OpenAIFamilyProvider, ResponsesProvider
from trunkline.providers.transport import Transport
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, CountTokensResponse
from trunkline.v1.models_pb2 import Model

if TYPE_CHECKING:
    from trunkline.providers.azure_credentials import AzureCredentials

_OPTIONS: Final = frozenset({"api_version", "scope"})

_UNDATED: Final = frozenset({"v1", "latest", "preview"})
"""The values of `api_version` that the API below `/openai/v1` takes."""

_MOST_TEXT: Final = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where the APIs of a resource are, below its base URL, and who may use them.

    `query` ends each path. `deployments` tells whether the name of a model, which is that of a deployment, stands in
    the path. Without `credentials` the headers hold a key.
    """

    query: str = ""
    deployments: bool = False
    credentials: AzureCredentials | None = None

    def path(self, api: str, model: str) -> str:
        """The path of `api`, such as `/chat/completions`, for `model`."""
        deployment = f"/deployments/{quote(model, safe='')}" if self.deployments else ""
        return f"{deployment}{api}{self.query}"


class _Placed(HttpProvider):
    """What is the same in each of Azure's APIs."""

    place = Place()

    def path(self, model: str, *, stream: bool) -> str:
        return self.place.path(super().path(model, stream=stream), model)  # type: ignore[safe-super]  # each has one

    def embed_path(self, model: str) -> str | None:
        path = super().embed_path(model)
        return None if path is None else self.place.path(path, model)

    async def authorize(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Mapping[str, str]:
        if self.place.credentials is None:
            return headers
        return {**headers, "authorization": f"Bearer {await self.place.credentials.token()}"}

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        error = super().decode_error(status, headers, body)  # type: ignore[safe-super]  # each has one
        if error.reason == errors_pb2.ERROR_REASON_CONTENT_FILTERED:
            filtered = _filtered(body)
            if filtered:
                error.message = f"{error.message} Filtered: {', '.join(filtered)}."[:_MOST_TEXT]
        return error

    async def list_models(self) -> Sequence[Model]:
        """The configured names: Azure lists what there is, not what is deployed."""
        return [Model(id=name, providers=[self.name]) for name in self._models]

    async def close(self) -> None:
        if self.place.credentials is not None:
            await self.place.credentials.close()
        await super().close()


class _Completions(_Placed, CompletionsProvider):
    pass


class _Responses(_Placed, ResponsesProvider):
    pass


class AzureProvider(_Placed, OpenAIFamilyProvider):
    """The API below `/openai/v1`, in which a model is named as its deployment."""

    def __init__(
        self, name: str, transport: Transport, headers: Mapping[str, str], models: Sequence[str], place: Place
    ) -> None:
        super().__init__(name, transport, headers, OPENAI, models)
        self.place = place
        own = _Responses(name, transport, headers, models)
        own.place = place
        self._responses = own
        self._choices = Choices(own)

    def completions(self) -> HttpProvider:
        return _completions(self)

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        return None  # Azure does not count


class DeploymentsProvider(_Placed, OpenAIProvider):
    """The API that `api_version` asks for, which has Chat Completions, Completions and embeddings."""

    def __init__(
        self, name: str, transport: Transport, headers: Mapping[str, str], models: Sequence[str], place: Place
    ) -> None:
        super().__init__(name, transport, headers, OPENAI, models)
        self.place = place

    def completions(self) -> HttpProvider:
        return _completions(self)


def _completions(provider: _Placed) -> HttpProvider:
    own = _Completions(provider.name, provider._transport, provider._headers)
    own.place = provider.place
    return own


def _filtered(body: bytes) -> list[str]:
    """The categories for which a prompt was filtered, and how severe each was."""
    try:
        wire: Json = loads(body)
        results = wire["error"]["innererror"]["content_filter_result"].items()
    except (GatewayError, LookupError, TypeError, AttributeError):
        return []
    names = []
    for category, result in results:
        if isinstance(result, dict) and result.get("filtered") is True:
            severity = result.get("severity")
            names.append(f"{category} ({severity})" if isinstance(severity, str) else str(category))
    return names


def make(name: str, config: ProviderConfig) -> HttpProvider:
    """The provider that `config` describes.

    Without a key, Entra ID makes the tokens. Raises `ValueError`, naming the setting, where there is no address, where
    azure-identity is needed and not installed, or where an option is unknown.
    """
    unknown = sorted(config.options.keys() - _OPTIONS)
    if unknown:
        raise ValueError(f"`providers.{name}.options.{unknown[0]}` is unknown to the kind `{config.kind}`.")
    if config.base_url is None:
        raise ValueError(f"`providers.{name}.base_url` is required for the kind `{config.kind}`.")
    headers = headers_of(config, PRESETS["azure"])
    credentials = None if headers.keys() & {"api-key", "authorization"} else _credentials(name, config)
    base_url, place, dated = _placed(str(config.base_url).rstrip("/"), config.options.get("api_version"), credentials)
    transport = AiohttpTransport(base_url, timeout=config.timeout, connect_timeout=config.connect_timeout)
    kind = DeploymentsProvider if dated else AzureProvider
    return kind(name, transport, headers, config.models, place)


def _placed(base_url: str, version: str | None, credentials: AzureCredentials | None) -> tuple[str, Place, bool]:
    """The base URL as the paths need it, the place, and whether the API is the one that has dates as versions."""
    path = urlsplit(base_url).path
    query = f"?api-version={quote(version, safe='')}" if version not in (None, "v1") else ""
    if version is None or version in _UNDATED:
        base_url = f"{base_url.removesuffix('/openai')}/openai/v1" if path in ("", "/openai") else base_url
        return base_url, Place(query, credentials=credentials), False
    if path.endswith("/models") or "/deployments/" in path:
        # The models of Foundry, whose names stand in the body, or one deployment.
        return base_url, Place(query, credentials=credentials), True
    root = base_url.removesuffix("/v1").removesuffix("/openai")
    return f"{root}/openai", Place(query, deployments=True, credentials=credentials), True


def _credentials(name: str, config: ProviderConfig) -> AzureCredentials:
    try:
        from trunkline.providers.azure_credentials import SCOPE, AzureCredentials
    except ImportError:
        raise ValueError(
            f"`providers.{name}.api_key` is required for the kind `{config.kind}`; to sign in with Entra ID instead, "
            "install `trunkline[azure]`."
        ) from None
    return AzureCredentials(config.options.get("scope", SCOPE))
