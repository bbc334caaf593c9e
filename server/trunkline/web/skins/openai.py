"""OpenAI's own, with four fields more: who answered, how he was chosen, how long it took, and the id of the call.

The fields are TokenRouter's; clients of OpenAI's language pass over what they do not know.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from trunkline.call import Call
from trunkline.dialects.wire import Json
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse
from trunkline.v1.embeddings_pb2 import EmbedResponse
from trunkline.web.skins.skin import Refusal

_NOTHING: Final[Mapping[str, str]] = {}
_DIRECT: Final = "direct"
"""The mode of a call whose model has nothing to choose from."""


class OpenAISkin:
    """The skin of every path that has no other; each of the others says what it has differently."""

    name = "openai"
    always_usage = False
    dresses = False
    sign = b": keep-alive\n\n"

    def refusal(self, error: GatewayError, call: Call) -> Refusal | None:
        """See `Skin.refusal`."""
        return None

    def broken(self, error: GatewayError, call: Call, head: Mapping[str, Json]) -> bytes | None:
        """See `Skin.broken`."""
        return None

    def headers(self, call: Call) -> Mapping[str, str]:
        """See `Skin.headers`."""
        return _NOTHING

    def fields(self, call: Call) -> Mapping[str, Json]:
        """See `Skin.fields`. The provider is told by the dialect itself, in every chunk."""
        return {
            "latency_ms": latency_ms(call),
            "routing_mode": call.routing_mode or _DIRECT,
            "x_request_id": call.id,
        }

    def dress_message(self, body: dict[str, Json], call: Call) -> None:
        """See `Skin.dress_message`."""

    def last_message_fields(self, call: Call) -> Mapping[str, Json]:
        """See `Skin.last_message_fields`."""
        return _NOTHING

    def dress(self, answer: ChatResponse | EmbedResponse, call: Call) -> None:
        """See `Skin.dress`."""

    def dress_event(self, event: ChatEvent, call: Call) -> None:
        """See `Skin.dress_event`."""

    def settle(self, body: dict[str, Json], call: Call, error: GatewayError | None) -> None:
        """See `Skin.settle`."""


def latency_ms(call: Call) -> int:
    """Milliseconds since the call came."""
    return round((time.monotonic() - call.started) * 1000)
