"""How one router's clients want to be told what OpenAI's language has no word for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from trunkline.call import Call
from trunkline.dialects.wire import Json
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse
from trunkline.v1.embeddings_pb2 import EmbedResponse


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that is told in place of an answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Skin(Protocol):
    """What differs between routers that speak the same languages: errors, and what is told beside the answer.

    A skin is chosen by the path of a call, or by its caller's key; it holds nothing of a call. It is asked by every
    surface, and looks at `Call.surface` where the languages differ.
    """

    name: str
    """The name in the configuration."""

    always_usage: bool
    """Whether every stream of Chat Completions tells its usage, asked or not."""

    dresses: bool
    """Whether `dress` and `dress_event` do anything: where not, they need not be called."""

    sign: bytes
    """What keeps a silent stream of OpenAI's language alive."""

    def refusal(self, error: GatewayError, call: Call) -> Refusal | None:
        """What is answered in place of an answer; None where it is as the surface's own language has it."""
        ...

    def broken(self, error: GatewayError, call: Call, head: Mapping[str, Json]) -> bytes | None:
        """The last event of a stream that breaks off; None as with `refusal`. `head` is what its chunks repeat."""
        ...

    def headers(self, call: Call) -> Mapping[str, str]:
        """Headers of every answer."""
        ...

    def fields(self, call: Call) -> Mapping[str, Json]:
        """What a whole answer of Chat Completions, Completions or Embeddings, or its last chunk, tells beside."""
        ...

    def dress_message(self, body: dict[str, Json], call: Call) -> None:
        """Tell in a whole answer of Messages what the router tells there."""
        ...

    def last_message_fields(self, call: Call) -> Mapping[str, Json]:
        """What the last event of a stream of Messages tells beside."""
        ...

    def dress(self, answer: ChatResponse | EmbedResponse, call: Call) -> None:
        """Tell in an answer who gave it, in the router's own words."""
        ...

    def dress_event(self, event: ChatEvent, call: Call) -> None:
        """As `dress`, in an event of a stream."""
        ...

    def settle(self, body: dict[str, Json], call: Call, error: GatewayError | None) -> None:
        """Tell in a whole response of Responses, which `error` ended or nothing did, what the router tells there."""
        ...
