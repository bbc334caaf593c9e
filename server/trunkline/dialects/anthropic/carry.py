"""What other dialects need back, carried through clients of this one where they keep every byte.

A client sends each thinking block back with its `signature`, and each redacted one with its `data`, as they were: that
is where the signature of another provider, or a block that only it can read, survives the next turn.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.foreign import is_needed
from trunkline.dialects.wire import Json, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1.content_pb2 import Part

_MARK: Final = "trunkline1:"
"""How a signature begins that is the gateway's own."""


def is_packed(text: str) -> bool:
    """Whether a signature, or the data of a redacted block, is the gateway's own."""
    return text.startswith(_MARK)


def pack(part: Part) -> str | None:
    """What `part` holds for other dialects; None where it is nothing."""
    kind = part.WhichOneof("kind")
    extras = {
        dialect: text
        for dialect, text in part.extras.items()
        if dialect != DIALECT and (kind not in ("text", "tool_call") or is_needed(dialect, text))
    }
    cargo: dict[str, Json] = {"extras": extras} if extras else {}
    match kind:
        case "opaque" if part.opaque.dialect != DIALECT:
            cargo |= {"dialect": part.opaque.dialect, "json": part.opaque.json}
        case "tool_call" if extras:
            cargo["call"] = part.tool_call.id
        case "text" if extras:
            cargo["text"] = True
        case "reasoning" if extras:
            cargo["redacted"] = part.reasoning.redacted
        case _:
            return None
    return _MARK + base64.b64encode(dumps(cargo)).decode()


def unpack(text: str, part: Part, before: Mapping[str, Part], last_text: Part | None) -> bool:
    """Give what was carried to `part`, or to the call or the text in front of it that it belongs to.

    Tells whether `part` was used. `before` are the calls so far by id. What is damaged is passed over: it was a
    client's to send back.
    """
    try:
        cargo = loads(base64.b64decode(text[len(_MARK) :], validate=True))
    except (GatewayError, binascii.Error, ValueError):
        return False
    if not isinstance(cargo, dict):
        return False
    extras = cargo.get("extras", {})
    kept = {key: value for key, value in extras.items() if isinstance(value, str)} if isinstance(extras, dict) else {}
    owner: Part | None = part
    match cargo:
        case {"dialect": str(dialect), "json": str(json)} if dialect != DIALECT:
            part.opaque.dialect, part.opaque.json = dialect, json
        case {"call": str(call)}:
            owner = before.get(call)
        case {"text": True}:
            owner = last_text
        case {"redacted": bool(redacted)}:
            part.reasoning.redacted = redacted
        case _:
            return False
    kept.pop(DIALECT, None)
    if owner is not None:
        owner.extras.update(kept)
    return owner is part
