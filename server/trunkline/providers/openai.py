"""OpenAI, and every server that speaks its Chat Completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from trunkline.call import Loss
from trunkline.dialects import openai
from trunkline.dialects.emulate import Structured
from trunkline.dialects.openai.profile import Profile
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError
from trunkline.providers.completions import CompletionsProvider
from trunkline.providers.http import HttpProvider, StreamDecoder
from trunkline.providers.transport import Transport
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse


class OpenAIProvider(HttpProvider):
    """One server; `profile` tells how it differs from the others."""

    custom_tools: Set[str] = frozenset({openai.DIALECT})

    def __init__(
        self, name: str, transport: Transport, headers: Mapping[str, str], profile: Profile, models: Sequence[str] = ()
    ) -> None:
        super().__init__(name, transport, headers, models)
        self._profile = profile
        self.chooses = profile.chooses

    def structured_output(self, model: str) -> Structured:
        return self._profile.structured_output

    def fetches(self, model: str) -> Set[str]:
        return self._profile.fetches

    def completions(self) -> HttpProvider | None:
        if self._profile.completions is None:
            return None
        completions = CompletionsProvider(self._name, self._transport, self._headers, self._models)
        completions.chooses = self.chooses
        return completions

    def continues(self, model: str) -> bool:
        known = self._profile.completions
        return known is not None and known.match(model) is not None

    def path(self, model: str, *, stream: bool) -> str:
        return "/chat/completions"

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return openai.encode_request(request, self._profile, losses)

    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        wire["model"] = model
        if stream:
            wire["stream"] = True
            if not self._profile.stream_options:
                wire.pop("stream_options", None)
                return
            options = wire.get("stream_options")
            wire["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}

    def decode_response(self, wire: Object) -> ChatResponse:
        return openai.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return openai.StreamDecoder()

    def embed_path(self, model: str) -> str | None:
        return "/embeddings"

    def encode_embed(self, request: EmbedRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        wire = openai.encode_embed_request(request, self._profile.embeddings, losses)
        wire["model"] = model
        return wire

    def decode_embed(self, wire: Object, model: str, headers: Mapping[str, str]) -> EmbedResponse:
        return openai.decode_embed_response(wire)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return openai.decode_error(status, headers, body)

    def decode_models(self, wire: Json) -> list[str]:
        items = wire.get("data") if isinstance(wire, dict) else wire
        return [
            item["id"]
            for item in (items if isinstance(items, list) else ())
            if isinstance(item, dict) and isinstance(item.get("id"), str)
        ]
