"""What will go over the wire, planned before any of it goes: scripts make it, faults break it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple


class Break(Enum):
    """What a connection does other than carry bytes."""

    SILENCE = "silence"
    """Nothing more comes, until the other side gives up."""

    CUT = "cut"
    """The connection breaks."""


FrameKind = Literal["delta", "finish", "usage", "done"]
"""`finish` ends a choice; before the first frame that is no `delta`, no part of the answer is whole."""


class Frame(NamedTuple):
    """Bytes that are sent together: an event of a stream, or a unary body."""

    data: bytes
    kind: FrameKind


Step = Frame | Break


@dataclass(slots=True)
class Plan:
    """One answer. Where `before` is set, that happens in place of an answer."""

    status: int
    headers: dict[str, str]
    steps: Iterable[Step]
    stream: bool = False
    before: Break | None = None
