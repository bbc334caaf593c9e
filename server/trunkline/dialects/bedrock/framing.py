"""The frames of `application/vnd.amazon.eventstream` as a pure reader: bytes in, the data of whole events out."""

from __future__ import annotations

import struct
from typing import Final

from botocore.eventstream import EventStreamBuffer, ParserError

from trunkline.dialects.sse import Event
from trunkline.dialects.wire import dumps, loads
from trunkline.errors import GatewayError, provider_failed

_LEAST: Final = 16
"""The bytes of an empty frame: two lengths, and a checksum for them and for all."""
_MOST: Final = 32 * 1024 * 1024
"""The most bytes of one frame."""


class Reader:
    """Splits a stream into events, however its bytes are cut.

    The data of an event is a JSON object with one key, the type of the event, as Amazon's SDKs show it:
    `{"messageStop":{...}}`. An exception is `{"exception":{"__type":...,"message":...}}`. botocore checks and reads
    each frame; here frames are only parted, so that long ones cost no more than their length.
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises `GatewayError` where a frame is damaged or outgrows every bound."""
        rest = self._rest
        rest += chunk
        events: list[Event] = []
        start = 0
        while len(rest) - start >= _LEAST:
            size = int.from_bytes(rest[start : start + 4])
            if not _LEAST <= size <= _MOST:
                raise provider_failed("A frame of the provider's stream has no possible length.")
            if len(rest) - start < size:
                break
            events.append(_event(bytes(rest[start : start + size])))
            start += size
        if start:
            del rest[:start]
        return events

    def end(self) -> list[Event]:
        """Nothing: a frame that is not whole tells nothing."""
        return []


def _event(frame: bytes) -> Event:
    buffer = EventStreamBuffer()
    buffer.add_data(frame)
    try:
        message = next(buffer)
    except (ParserError, struct.error, StopIteration, ValueError, LookupError) as error:
        raise provider_failed(f"A frame of the provider's stream is damaged: {type(error).__name__}.") from None
    headers, payload = message.headers, message.payload
    kind = headers.get(":event-type")
    if headers.get(":message-type", "event") == "event" and type(kind) is str:
        return Event(kind.encode(), b"{%s:%s}" % (dumps(kind), payload or b"{}"))
    name = headers.get(":exception-type") or headers.get(":error-code") or "unknown"
    try:
        fields = loads(payload)
    except GatewayError:
        fields = {}
    wire = fields if isinstance(fields, dict) else {}
    text = headers.get(":error-message")
    if isinstance(text, str):
        wire.setdefault("message", text)
    return Event(b"exception", dumps({"exception": {**wire, "__type": str(name)}}))
