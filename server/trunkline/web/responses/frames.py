"""The events of one response, as the bytes of its stream."""

from __future__ import annotations

import time

from trunkline.call import Call
from trunkline.dialects import responses
from trunkline.dialects.wire import Json
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse
from trunkline.web.responses.turn import Turn
from trunkline.web.skins.table import skin_of


class Frames:
    """Writes the events of `turn`, which are made by `call`. `body` is the whole response, once its end is known."""

    def __init__(self, turn: Turn, call: Call) -> None:
        self._turn = turn
        self.call = call
        expected = adopt(ChatResponse(model=turn.request.model), turn)
        self._encoder = responses.StreamEncoder(turn.request, turn.own, expected)
        self.body: dict[str, Json] = {}

    def feed(self, event: ChatEvent) -> bytes:
        """What `event` is written as; empty where it waits for others."""
        return b"".join(self.each(event))

    def end(self) -> bytes:
        """The last event, with the whole response."""
        return b"".join(self.each_of_end())

    def error(self, error: GatewayError) -> bytes:
        """The end of a response that failed."""
        return b"".join(self.each_of_error(error))

    def each_of_queue(self) -> list[bytes]:
        """The events, one by one, of a response that waits to be written."""
        return _framed(self._encoder.queue())

    def each(self, event: ChatEvent) -> list[bytes]:
        """As `feed`, one by one."""
        if event.HasField("start"):
            adopt(event.start, self._turn)
        return _framed(self._encoder.feed(event))

    def each_of_end(self) -> list[bytes]:
        """As `end`, one by one."""
        self.body = completed(self._encoder.whole())
        skin_of(self.call).settle(self.body, self.call, None)
        return _framed(self._encoder.end(self.body))

    def each_of_error(self, error: GatewayError) -> list[bytes]:
        """As `error`, one by one."""
        self.body = self._encoder.failed(error)
        skin_of(self.call).settle(self.body, self.call, error)
        return _framed(self._encoder.error(error, self.body))

    def so_far(self, status: str) -> dict[str, Json]:
        """The response as far as it came."""
        return self._encoder.so_far(status)


def framed_failure(error: GatewayError, body: dict[str, Json], number: int) -> bytes:
    """The end of a response that failed and that nobody writes any more; `number` is that of its first event."""
    return b"".join(_framed(responses.encode_failure(error, body, number)))


def adopt(response: ChatResponse, turn: Turn) -> ChatResponse:
    """Make a provider's answer the gateway's own response: its caller asks for it by that id."""
    response.id = turn.id
    response.create_time.seconds = turn.created_at
    return response


def completed(body: dict[str, Json]) -> dict[str, Json]:
    """Say when a response was completed, where it was."""
    if body["status"] == "completed":
        body["completed_at"] = int(time.time())
    return body


def _framed(events: list[tuple[str, bytes]]) -> list[bytes]:
    return [b"event: %b\ndata: %b\n\n" % (kind.encode(), data) for kind, data in events]
