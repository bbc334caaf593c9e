"""The frames of `application/vnd.amazon.eventstream` as a pure reader: bytes in, the data of whole events out."""

from __future__ import annotations

import struct
from typing import Any, Final
from zlib import crc32

from botocore.eventstream import EventStreamHeaderParser, ParserError

from trunkline.dialects.sse import Event
from trunkline.dialects.wire import dumps, loads
from trunkline.errors import GatewayError, provider_failed

_LEAST: Final = 16
"""The bytes of an empty frame: its length, that of its headers, and a checksum for these and for all."""
_MOST: Final = 32 * 1024 * 1024
"""The most bytes of one frame."""
_MOST_HEADERS: Final = 128 * 1024

_prelude = struct.Struct(">III").unpack_from


class Reader:
    """Splits a stream into events, however its bytes are cut.

    The data of an event is a JSON object with one key, the type of the event, as Amazon's SDKs show it:
    `{"messageStop":{...}}`. An exception is `{"exception":{"__type":...,"message":...}}`. botocore reads the headers,
    which are the same for all events of a type and so are read once.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._parse = EventStreamHeaderParser().parse
        self._prefixes: dict[bytes, bytes] = {}

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises `GatewayError` where a frame is damaged or outgrows every bound."""
        rest = self._rest
        rest += chunk
        events: list[Event] = []
        start = 0
        while len(rest) - start >= _LEAST:
            size, headers, checksum = _prelude(rest, start)
            if crc32(rest[start : start + 8]) != checksum:
                raise _damaged()
            if not _LEAST + headers <= size <= _MOST or headers > _MOST_HEADERS:
                raise provider_failed("A frame of the provider's stream has no possible length.")
            if len(rest) - start < size:
                break
            frame = bytes(rest[start : start + size])
            start += size
            if crc32(frame[:-4]) != int.from_bytes(frame[-4:]):
                raise _damaged()
            events.append(self._event(frame[12 : 12 + headers], frame[12 + headers : -4]))
        if start:
            del rest[:start]
        return events

    def end(self) -> list[Event]:
        """Nothing: a frame that is not whole tells nothing."""
        return []

    def _event(self, headers: bytes, payload: bytes) -> Event:
        prefix = self._prefixes.get(headers)
        if prefix is not None:
            return Event(b"", b"%b%b}" % (prefix, payload or b"{}"))
        try:
            fields = self._parse(headers)
        except (ParserError, struct.error, ValueError, LookupError):
            raise _damaged() from None
        kind = fields.get(":event-type")
        if fields.get(":message-type", "event") != "event" or type(kind) is not str:
            return Event(b"", dumps({"exception": _exception(fields, payload)}))
        prefix = b"{%b:" % dumps(kind)
        if len(self._prefixes) < 64:
            self._prefixes[headers] = prefix
        return Event(b"", b"%b%b}" % (prefix, payload or b"{}"))


def _damaged() -> GatewayError:
    return provider_failed("A frame of the provider's stream is damaged.")


def _exception(headers: dict[str, Any], payload: bytes) -> dict[str, Any]:
    try:
        value = loads(payload)
    except GatewayError:
        value = None
    wire = value if isinstance(value, dict) else {}
    text = headers.get(":error-message")
    if isinstance(text, str):
        wire.setdefault("message", text)
    wire["__type"] = str(headers.get(":exception-type") or headers.get(":error-code") or "unknown")
    return wire
