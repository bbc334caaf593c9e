"""Splits a Gemini stream into its chunks, in whichever of its forms it comes."""

from __future__ import annotations

import re
from typing import Final

from trunkline.dialects import sse
from trunkline.errors import provider_failed

_MOST: Final = 32 * 1024 * 1024
"""The most bytes of one chunk."""

_BARE: Final = re.compile(rb"[\r\n][{\[]")
"""A line of a stream of events that is none: an error that follows them without `data:`."""

_MARKS: Final = re.compile(rb'["\\{}\[\]]')
_QUOTE, _ESCAPE, _OPEN, _CLOSE = b'"', b"\\", b"{[", b"}]"


class Reader:
    """Takes server-sent events, one JSON array of chunks (what Google sends without `alt=sse`), and events after which
    an error comes as bare JSON."""

    def __init__(self) -> None:
        self._events = sse.Reader()
        self._values: _Values | None = None
        self._last = b"\n"

    def feed(self, chunk: bytes) -> list[sse.Event]:
        """The events that `chunk` completes. Raises `GatewayError` where one outgrows every bound."""
        if self._values is not None:
            return self._values.feed(chunk)
        # A line may begin with the first byte of the piece.
        bare = _BARE.search(self._last + chunk)
        if bare is None:
            self._last = chunk[-1:] or self._last
            return self._events.feed(chunk)
        begin = bare.start()
        events = self._events.feed(chunk[:begin]) + self._events.end()
        self._values = _Values()
        return events + self._values.feed(chunk[begin:])

    def end(self) -> list[sse.Event]:
        """The events that the end of the stream completes."""
        return self._events.end() if self._values is None else []


class _Values:
    """Splits bytes into the JSON objects in them: those of an array, or those that stand alone."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._depth = 0
        self._in_text = False
        self._escaped = False

    def feed(self, chunk: bytes) -> list[sse.Event]:
        """The objects that `chunk` completes."""
        events: list[sse.Event] = []
        begin = 0 if self._depth else -1
        skip = 0 if self._escaped else -1
        self._escaped = False
        for match in _MARKS.finditer(chunk):
            at, mark = match.start(), match[0]
            if at == skip:
                continue
            if self._in_text:
                if mark == _ESCAPE:
                    skip = at + 1
                    self._escaped = skip == len(chunk)
                elif mark == _QUOTE:
                    self._in_text = False
            elif mark == _QUOTE:
                self._in_text = self._depth > 0
            elif mark in _OPEN and (self._depth or mark == b"{"):
                if not self._depth:
                    begin = at
                self._depth += 1
            elif mark in _CLOSE and self._depth:
                self._depth -= 1
                if not self._depth:
                    self._pieces.append(chunk[begin : at + 1])
                    events.append(sse.Event(b"", b"".join(self._pieces)))
                    self._pieces.clear()
                    self._size = 0
        if self._depth:
            self._pieces.append(chunk[begin:])
            self._size += len(chunk) - begin
            if self._size > _MOST:
                raise provider_failed(f"One chunk of the provider's stream is larger than {_MOST} bytes.")
        return events
