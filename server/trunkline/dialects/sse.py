"""Server-sent events as a pure reader: bytes in, the data of whole events out."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.errors import provider_failed

_MOST = 32 * 1024 * 1024
"""The most bytes of one event."""
_LINE = 64
"""What each of its lines counts for beside its bytes: empty ones take memory, too."""


class Event(NamedTuple):
    """One event: its type (empty where the stream names none) and its data."""

    type: bytes
    data: bytes


class Reader:
    """Splits a stream into events (WHATWG HTML, section 9.2), however the bytes are cut.

    Takes LF, CR LF and CR as line ends, and an event at the very end of the stream that no blank line follows. Comments
    and the fields `id` and `retry` are passed over.
    """

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._type = b""
        self._data: list[bytes] = []
        self._held = 0
        self._size = 0
        self._started = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises `GatewayError` where one event outgrows every bound."""
        self._size += len(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            self._line.append(chunk)
            self._bound()
            return []
        if self._line:
            chunk = b"".join([*self._line, chunk])
            self._line.clear()
        if not self._started:
            self._started = True
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in chunk:
            # A CR at the very end may be half of a CR LF: it waits for the next piece.
            held = b"\r" if chunk.endswith(b"\r") else b""
            chunk = chunk.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        lines = chunk.split(b"\n")
        rest = lines.pop()
        events: list[Event] = []
        for line in lines:
            self._take(line, events)
        if rest:
            self._line.append(rest)
        self._size = len(rest) + self._held
        self._bound()
        return events

    def end(self) -> list[Event]:
        """The events that the end of the stream completes."""
        events: list[Event] = []
        for line in b"".join(self._line).split(b"\r"):
            self._take(line, events)
        self._line.clear()
        self._take(b"", events)
        return events

    def _bound(self) -> None:
        if self._size > _MOST:
            raise provider_failed(f"One event of the provider's stream is larger than {_MOST} bytes.")

    def _take(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append(Event(self._type, data))
                self._data = []
                self._held = 0
            self._type = b""
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._held += len(line) + _LINE
        elif line.startswith(b"event:"):
            self._type = line[6:].removeprefix(b" ")
        elif line == b"data":
            self._data.append(b"")
            self._held += _LINE
