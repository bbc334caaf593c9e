"""The tools of a request, which a client sends again with each turn of a conversation: read and written once.

What was made of them is remembered by their exact bytes, so that a caller can only ever find what those same bytes are
read or written as.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from trunkline.dialects.wire import Json, Object, dumps, loads, loads_but
from trunkline.v1.chat_pb2 import ChatRequest, Tool

Made = TypeVar("Made", bytes, msgspec.Raw)

_TOOLS: Final = "tools"

_SHORT: Final = 2 * 1024
_LONG: Final = 128 * 1024
"""The bounds of the size of a request, in bytes, of which the tools are looked up: in a shorter one that does not pay,
in a longer one they are the least of it."""

_SHARE: Final = 16


class Memo(Generic[Made]):
    """What was made of bytes, by these. At most `most` bytes of both are held, a sixteenth of that for one; what was
    put in first goes first."""

    __slots__ = ("_held", "_left", "_most", "get")

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._held: dict[bytes, Made] = {}
        self.get: Callable[[bytes], Made | None] = self._held.get
        """What was made of these bytes."""

    def put(self, key: bytes, made: Made) -> None:
        """Remember what was made of `key`."""
        size = len(key) + len(made)
        if size > self._most // _SHARE or key in self._held:
            return
        self._held[key] = made
        self._left -= size
        while self._left < 0:
            first = next(iter(self._held))
            self._left += len(first) + len(self._held.pop(first))


class ToolReader:
    """Reads what is at `key` of requests in one dialect by `read`, which makes of it nothing but `tools` and
    `tool_choice` of a `ChatRequest`."""

    def __init__(self, read: Callable[[Object, ChatRequest], None], key: str = _TOOLS) -> None:
        self._read = read
        self._key = key
        self._memo: Memo[bytes] = Memo(8 * 1024 * 1024)

    def read(self, wire: Object, request: ChatRequest) -> None:
        """Read the tools into `request`, which has none yet. Raises `GatewayError` as the dialect does."""
        key = self._key
        given = wire.fields.get(key)
        if type(given) is not msgspec.Raw:
            self._read(wire, request)
            return
        text = bytes(given)
        known = self._memo.get(text)
        if known is not None:
            del wire.fields[key]
            request.MergeFromString(known)
            return
        wire.fields[key] = loads(text)
        made = ChatRequest()
        self._read(wire, made)
        request.MergeFrom(made)
        if not wire.fields.get(key):
            self._memo.put(text, made.SerializeToString())


class ToolWriter:
    """Remembers how one dialect writes functions that hold a name, a description and a schema and nothing else, which
    it writes alike whatever the model; with `strict` also whether the arguments must match."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._memo: Memo[msgspec.Raw] = Memo(8 * 1024 * 1024)

    def find(self, tool: Tool) -> tuple[bytes, msgspec.Raw | None]:
        """A key for `put`, and the function as it is written, where it is known."""
        key = tool.SerializeToString()
        return key, self._memo.get(key)

    def put(self, key: bytes, tool: Tool, wire: Json) -> Json:
        """Remember that `tool`, of this `key`, is written as `wire`, if it is of that sort. Gives what to write."""
        function = tool.function
        if tool.extras or tool.HasField("cache") or not function.parameters_json:
            return wire
        if not self._strict and function.HasField("strict"):
            return wire
        written = msgspec.Raw(dumps(wire))
        self._memo.put(key, written)
        return written


def open_request(text: bytes, texts: tuple[str, ...] = ()) -> Json:
    """The JSON value in a request's body, where `tools` stays text if that pays, and what is at `texts` always.

    Raises `GatewayError` as `loads`.
    """
    if texts or _SHORT < len(text) < _LONG:
        return loads_but(text, (_TOOLS, *texts))
    return loads(text)
