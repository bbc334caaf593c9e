"""Amazon Bedrock, by Converse and ConverseStream; embeddings by InvokeModel."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence, Set
from contextlib import aclosing
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from trunkline.call import Attempt, Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects import bedrock
from trunkline.dialects.emulate import Structured
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError, unsupported
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.batches import Most
from trunkline.providers.http import HttpProvider, Reader, StreamDecoder
from trunkline.providers.transport import Reply, Transport
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse

if TYPE_CHECKING:
    from trunkline.providers.aws_signer import AwsSigner

_OPTIONS: Final = frozenset({"region", "profile"})

_REGION: Final = re.compile(r"\bbedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
"""An address of AWS's that tells the region."""

_PROFILES: Final = "/inference-profiles?maxResults=1000"


class Planes:
    """The two addresses of Bedrock: that of the models, and that of what it says of them."""

    def __init__(self, base_url: str, transport: Callable[[str], Transport]) -> None:
        self._runtime_url = base_url
        self._control_url = base_url.replace("//bedrock-runtime", "//bedrock", 1)
        self._runtime = transport(self._runtime_url)
        self._control = transport(self._control_url)

    def url(self, path: str) -> str:
        """The whole address of `path`."""
        return (self._runtime_url if path.startswith("/model/") else self._control_url) + path

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """See `Transport.send`."""
        plane = self._runtime if path.startswith("/model/") else self._control
        return await plane.send(method, path, headers, body)

    async def close(self) -> None:
        """Close every connection."""
        await self._runtime.close()
        await self._control.close()


_COUNTED: Final = ("messages", "system", "toolConfig", "additionalModelRequestFields")
"""What the counting of tokens takes of a request."""


class BedrockProvider(HttpProvider):
    """Bedrock in one region. A model is named by its id, that of an inference profile, or an ARN.

    It lists the foundation models that answer on demand, and the inference profiles.
    """

    native_choices = False

    models_path = "/foundation-models?byInferenceType=ON_DEMAND&byOutputModality=TEXT"

    def __init__(
        self, name: str, planes: Planes, headers: Mapping[str, str], models: Sequence[str], signer: AwsSigner | None
    ) -> None:
        super().__init__(name, planes, headers, models)
        self._planes = planes
        self._signer = signer

    def structured_output(self, model: str) -> Structured:
        profile = bedrock.profile_of(model)
        if profile.structured:
            return "schema"
        return "tool" if "tool" in profile.choices else "instruction"

    def fetches(self, model: str) -> Set[str]:
        return frozenset()

    def path(self, model: str, *, stream: bool) -> str:
        # The colon stays as it is: what is sent and what is signed must be the same.
        return f"/model/{quote(model, safe=':')}/{'converse-stream' if stream else 'converse'}"

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return bedrock.encode_request(request, bedrock.profile_of(model), losses)

    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        bedrock.ask_for_stop_sequence(wire, bedrock.profile_of(model), stream=stream)

    def decode_response(self, wire: Object) -> ChatResponse:
        return bedrock.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return bedrock.StreamDecoder()

    def reader(self) -> Reader:
        return bedrock.Reader()

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        response = await super().chat(request, attempt)
        _name(response, attempt)
        return response

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        async with aclosing(super().stream_chat(request, attempt)) as batches:
            async for batch in batches:
                if batch[0].HasField("start"):
                    _name(batch[0].start, attempt)
                yield batch

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        """As Bedrock counts it, for the models for which it does."""
        wire = self.encode_request(request, attempt.model, attempt.losses)
        converse = {key: wire[key] for key in _COUNTED if key in wire}
        path = f"/model/{quote(attempt.model, safe=':')}/count-tokens"
        try:
            answer = await self._ask(path, {"input": {"converse": converse}}, attempt)
        except GatewayError as error:
            if error.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST:
                return None
            raise
        return CountTokensResponse(input_tokens=answer.take_int("inputTokens", 0) or 0)

    def most_inputs(self, model: str) -> Most:
        return Most(1 if bedrock.embed_form_of(model) in ("titan-1", "titan-2") else 96)

    def embed_path(self, model: str) -> str | None:
        return f"/model/{quote(model, safe=':')}/invoke"

    def encode_embed(self, request: EmbedRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return bedrock.encode_embed_request(request, self._form(model), losses)

    def decode_embed(self, wire: Object, model: str, headers: Mapping[str, str]) -> EmbedResponse:
        response = bedrock.decode_embed_response(wire, self._form(model), headers)
        response.model = model
        return response

    def _form(self, model: str) -> bedrock.EmbedForm:
        form = bedrock.embed_form_of(model)
        if form is None:
            raise unsupported(
                f"The model `{model}` is none by which `{self.name}` embeds: those of `amazon.titan-embed-text` and "
                "`cohere.embed` are.",
                "model",
            )
        return form

    async def authorize(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Mapping[str, str]:
        if self._signer is None:
            return headers
        return await self._signer.sign(method, self._planes.url(path), headers, body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return bedrock.decode_error(status, headers, body)

    def decode_models(self, wire: Json) -> list[str]:
        names: list[str] = []
        for key, field in (("modelSummaries", "modelId"), ("inferenceProfileSummaries", "inferenceProfileId")):
            items = wire.get(key) if isinstance(wire, dict) else None
            names += [
                item[field]
                for item in (items if isinstance(items, list) else ())
                if isinstance(item, dict) and isinstance(item.get(field), str)
            ]
        return names

    def next_models_path(self, wire: Json) -> str | None:
        if not isinstance(wire, dict):
            return None
        if "modelSummaries" in wire:
            return _PROFILES
        token = wire.get("nextToken")
        return f"{_PROFILES}&nextToken={quote(token, safe='')}" if isinstance(token, str) and token else None

    async def close(self) -> None:
        if self._signer is not None:
            await self._signer.close()
        await super().close()


def _name(response: ChatResponse, attempt: Attempt) -> None:
    """Give an answer its id and its model, which it tells of itself in its headers alone or not at all."""
    response.id = attempt.upstream_id
    response.model = attempt.model


def make(name: str, config: ProviderConfig) -> BedrockProvider:
    """The provider that `config` describes.

    With a key, or a bearer token in the environment, that is presented; without, requests are signed. Raises
    `ValueError`, naming the setting, where there is no region, or where an option is unknown.
    """
    unknown = sorted(config.options.keys() - _OPTIONS)
    if unknown:
        raise ValueError(f"`providers.{name}.options.{unknown[0]}` is unknown to the kind `{config.kind}`.")
    headers = {key.lower(): value.get_secret_value() for key, value in config.headers.items()}
    key = config.api_key.get_secret_value() if config.api_key is not None else None
    profile = config.options.get("profile")
    if key is None and profile is None:
        key = os.environ.get("AWS_BEARER_TOKEN_BEDROCK", "").strip() or None
    if key is not None:
        headers.setdefault("authorization", f"Bearer {key}")
    signed = "authorization" not in headers
    base_url = str(config.base_url or "").rstrip("/")
    region = None
    if signed or not base_url:
        region = _region(config.options.get("region"), base_url, profile)
        if region is None:
            raise ValueError(f"`providers.{name}.options.region` is required for the kind `{config.kind}`.")
        base_url = base_url or _address(region)
    signer = None
    if signed and region is not None:
        # Imported where it is used: it takes longer than all the rest of the program.
        from trunkline.providers.aws_signer import AwsSigner

        signer = AwsSigner(region, profile)

    def transport(url: str) -> Transport:
        return AiohttpTransport(url, timeout=config.timeout, connect_timeout=config.connect_timeout)

    return BedrockProvider(name, Planes(base_url, transport), headers, config.models, signer)


def _region(option: str | None, base_url: str, profile: str | None) -> str | None:
    """The region that is configured, that of the address, of the environment, or of AWS's own configuration files."""
    told = _REGION.search(base_url)
    region = option or (told[1] if told is not None else None)
    region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region is None:
        from trunkline.providers.aws_signer import configured_region

        region = configured_region(profile)
    return region


def _address(region: str) -> str:
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://bedrock-runtime.{region}.{domain}"
