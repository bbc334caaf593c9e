"""A stream of Chat Completions or of Completions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, Literal, Protocol

from trunkline.call import Call
from trunkline.core.conceal import Concealer
from trunkline.dialects import openai
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse
from trunkline.web.cost import cost_of
from trunkline.web.events import frames
from trunkline.web.skins.table import skin_of

DONE: Final = b"data: [DONE]\n\n"
"""The last event of a stream that is whole."""


def date(response: ChatResponse) -> None:
    """Say when an answer was begun, where its provider does not: OpenAI's clients require it."""
    if not response.create_time.seconds:
        response.create_time.seconds = int(time.time())


class Encoder(Protocol):
    """Writes the events of an answer as chunks."""

    def feed(self, event: ChatEvent) -> list[bytes]:
        """The chunks that `event` is written as."""
        ...

    def end(self, more: Mapping[str, Json], used: Mapping[str, Json]) -> list[bytes]:
        """The last chunk, where there is one, with `more` in it, and `used` in its usage."""
        ...


class Chunks:
    """Chunks as events without a type, and `[DONE]` after the last. `costs` tells that the caller asked what the call
    cost."""

    def __init__(
        self,
        encoder: Encoder,
        call: Call,
        kind: Literal["chat.completion.chunk", "text_completion"],
        concealer: Concealer | None = None,
        *,
        costs: bool = False,
    ) -> None:
        self._encoder = encoder
        self._call = call
        self._kind = kind
        self._concealer = concealer
        self._costs = costs
        self._skin = skin_of(call)
        self._dresses = self._skin.dresses
        self._start: ChatResponse | None = None

    def feed(self, event: ChatEvent) -> bytes:
        """See `Writer.feed`."""
        if self._concealer is not None:
            left = self._concealer.feed(event)
            if left is None:
                return b""
            event = left
        if self._start is None:
            self._start = event.start
            date(event.start)
        if self._dresses:
            self._skin.dress_event(event, self._call)
        return frames(self._encoder.feed(event))

    def end(self) -> bytes:
        """See `Writer.end`."""
        used = cost_of(self._call, asked=self._costs)
        return frames(self._encoder.end(self._skin.fields(self._call), used)) + DONE

    def error(self, error: GatewayError) -> bytes:
        """See `Writer.error`."""
        told = self._skin.broken(error, self._call, self._head())
        return frames([dumps(openai.encode_error(error))]) if told is None else told

    def _head(self) -> dict[str, Json]:
        """What chunks repeat, also where none was sent yet."""
        start = self._start
        if start is None:
            start = ChatResponse(model=self._call.model)
            date(start)
            self._skin.dress(start, self._call)
        head: dict[str, Json] = {
            "id": start.id,
            "object": self._kind,
            "created": start.create_time.seconds,
            "model": start.model,
        }
        if start.provider:
            head["provider"] = start.provider
        return head
