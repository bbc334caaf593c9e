"""What other dialects need back, carried through clients of this one as the signatures of thoughts and calls.

A client sends every `thoughtSignature` back as it got it, so that is where a signature of another provider, or a block
that only it can read, survives the next turn. Some clients leave thoughts out and send the calls alone: the first call
of an answer carries the thoughts before it once more.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import DecodeError

from trunkline.dialects.foreign import is_needed
from trunkline.dialects.gemini.names import DIALECT
from trunkline.dialects.wire import Json
from trunkline.v1.content_pb2 import Message, Part

_MARK: Final = b"trunkline1:"
"""How a signature begins that is the gateway's own."""

SIGNATURE: Final = "thoughtSignature"


def is_foreign(part: Part) -> bool:
    """Whether a part of an answer holds what another dialect needs back."""
    match part.WhichOneof("kind"):
        case "reasoning":
            return any(dialect != DIALECT for dialect in part.extras)
        case "tool_call":
            return any(dialect != DIALECT and is_needed(dialect, text) for dialect, text in part.extras.items())
        case "opaque":
            return part.opaque.dialect != DIALECT
        case _:
            return False


def pack(parts: Iterable[Part]) -> str:
    """`parts` as a signature; of a call only what stands beside it, as the client sends the rest."""
    message = Message()
    for part in parts:
        kept = message.parts.add()
        if part.HasField("tool_call"):
            kept.tool_call.SetInParent()
            for dialect, text in part.extras.items():
                kept.extras[dialect] = text
        else:
            kept.CopyFrom(part)
    return base64.b64encode(_MARK + message.SerializeToString()).decode("ascii")


def unpack(signature: Json) -> list[Part] | None:
    """What a signature carries; None where it is Google's own, or damaged."""
    if not isinstance(signature, str):
        return None
    try:
        data = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not data.startswith(_MARK):
        return None
    message = Message()
    try:
        message.ParseFromString(data[len(_MARK) :])
    except DecodeError:
        return None
    return [part for part in message.parts if part.WhichOneof("kind") in ("reasoning", "opaque", "tool_call")]


def unload(carried: Iterable[Part], parts: Any) -> dict[str, str]:
    """Give `parts`, those so far of a turn, what a signature carried, unless they have it already.

    Gives what it carried for the call that it stood beside.
    """
    extras: dict[str, str] = {}
    for part in carried:
        if part.HasField("tool_call"):
            extras = dict(part.extras)
        elif part not in parts:
            parts.append(part)
    return extras


def drop_bare_thoughts(parts: Any) -> None:
    """Take the thoughts out that are told once more by what was carried."""
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if part.HasField("reasoning") and all(dialect == DIALECT for dialect in part.extras):
            del parts[index]


class Carrier:
    """Writes the parts of one answer, one by one, each with what it carries."""

    def __init__(self) -> None:
        self._waiting: list[Part] = []

    def load(self, part: Part, wire: Json) -> Json:
        """`wire`, the part as a client of Gemini knows it or None, with what other dialects need back."""
        if part.HasField("tool_call"):
            carried = [*self._waiting, part] if is_foreign(part) else self._waiting
            if isinstance(wire, dict) and SIGNATURE not in wire and carried:
                wire[SIGNATURE] = pack(carried)
            self._waiting = []
            return wire
        if not is_foreign(part):
            return wire
        self._waiting.append(part)
        told = wire if isinstance(wire, dict) else {"text": "", "thought": True}
        return {**told, SIGNATURE: pack([part])}
