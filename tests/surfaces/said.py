"""What a client asks of a surface, and what it gets, whichever the surface is."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""

CITY: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
"""The arguments of every tool of these tests."""

NAMED: Json = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
"""The schema of every structured answer of these tests."""


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients, which would read the certificates of all authorities: nothing here has TLS, and that takes longer than
most of these tests."""


LONG = 12
"""So long is a history that goes past what an SDK does with each argument of its own: it holds every item against every
type there is, turn after turn, which takes longer than all the rest of a long session. What is sent is the same."""


@dataclass(frozen=True)
class Asked:
    """One request. `history` is in the surface's own form, made by its `user`, `answered` and what it `Said`."""

    model: str
    history: list[Any]
    tools: tuple[str, ...] = ()
    forced: str = ""
    schema: bool = False
    reasoning: bool = False
    streamed: bool = False
    system: str = ""


@dataclass
class Said:
    """One answer. `turn` is what of it goes back into the history."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str, Json]] = field(default_factory=list)
    turn: list[Any] = field(default_factory=list)
    tokens: int = 0


class Surface(ABC):
    """One surface, by its vendor's own SDK."""

    errors: type[Exception]
    """What the SDK raises."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key

    @abstractmethod
    async def ask(self, asked: Asked) -> Said:
        """The answer, at once or as a stream."""

    @abstractmethod
    def user(self, text: str, image: str = "") -> Any:
        """What the user says; `image` is a PNG in base64."""

    @abstractmethod
    def answered(self, results: dict[str, str], said: Said, image: str = "") -> list[Any]:
        """What the tools that `said` calls returned, by the ids of the calls; `image` is a PNG beside each."""

    @abstractmethod
    async def begin(self, asked: Asked) -> Any:
        """A stream of which the first event was read, to be left alone; its `close` ends it."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""

    @abstractmethod
    def status(self, error: Exception) -> int | None:
        """The HTTP status of an error."""
