"""What other dialects need back, carried through clients of this one as the encrypted content of reasoning items.

A client that keeps nothing on the server sends every reasoning item back as it is, so that is where a signature of
another provider, or a block that only it can read, survives the next turn.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from trunkline.dialects.responses.extras import DIALECT
from trunkline.dialects.wire import dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1.content_pb2 import Opaque, Part

_MARK: Final = "trunkline1:"
"""How encrypted content begins that is the gateway's own."""


class Cargo(NamedTuple):
    """What one item carries: for itself, for the last text or image, for the call `call_id`, or a block of its own."""

    kind: Literal["reasoning", "text", "media", "call", "opaque"]
    call_id: str
    redacted: bool
    extras: dict[str, str]
    opaque: Opaque


def pack(part: Part) -> str | None:
    """What `part` holds for other dialects, as encrypted content; None where it is nothing."""
    extras = foreign(part.extras)
    kind = part.WhichOneof("kind")
    cargo: dict[str, Any]
    match kind:
        case "reasoning" if extras or part.reasoning.redacted:
            cargo = {"kind": "reasoning", "redacted": part.reasoning.redacted, "extras": extras}
        case "opaque":
            cargo = {"kind": "opaque", "dialect": part.opaque.dialect, "json": part.opaque.json, "extras": extras}
        case "text" | "media" if extras:
            cargo = {"kind": kind, "extras": extras}
        case "tool_call" if extras:
            cargo = {"kind": "call", "id": part.tool_call.id, "extras": extras}
        case _:
            return None
    return _MARK + base64.b64encode(dumps(cargo)).decode()


def foreign(extras: Mapping[str, str]) -> dict[str, str]:
    """What `extras` hold of other dialects."""
    return {dialect: text for dialect, text in extras.items() if dialect != DIALECT}


def unpack(content: Any) -> Cargo | None:
    """What encrypted content carries; None where it is a provider's own, or damaged."""
    if not isinstance(content, str) or not content.startswith(_MARK):
        return None
    try:
        value = loads(base64.b64decode(content[len(_MARK) :], validate=True))
    except (GatewayError, binascii.Error, ValueError):
        return None
    match value:
        case {"kind": ("reasoning" | "text" | "media" | "call" | "opaque") as kind, "extras": dict(extras)}:
            return Cargo(
                kind,
                _text(value.get("id")),
                value.get("redacted") is True,
                {key: text for key, text in extras.items() if isinstance(key, str) and isinstance(text, str)},
                Opaque(dialect=_text(value.get("dialect")), json=_text(value.get("json"))),
            )
        case _:
            return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def unload(cargo: Cargo, text: str, parts: Any) -> None:
    """Give what an item carried to `parts`, the parts so far of the turn that it stands in; `text` is its own."""
    match cargo.kind:
        case "reasoning":
            part = parts.add()
            part.reasoning.text = text
            part.reasoning.redacted = cargo.redacted
            part.extras.update(cargo.extras)
        case "opaque":
            part = parts.add()
            part.opaque.CopyFrom(cargo.opaque)
            part.extras.update(cargo.extras)
        case "text" | "media" | "call":
            for part in reversed(parts):
                kind = part.WhichOneof("kind")
                if kind == cargo.kind or (
                    kind == "tool_call" and cargo.kind == "call" and part.tool_call.id == cargo.call_id
                ):
                    part.extras.update(cargo.extras)
                    break


def is_carrier(part: Part) -> bool:
    """Whether `part` needs an item of its own to carry what it holds for other dialects."""
    match part.WhichOneof("kind"):
        case "text" | "media" | "tool_call":
            return bool(part.extras) and bool(foreign(part.extras))
        case "opaque":
            return part.opaque.dialect != DIALECT
        case _:
            return False
