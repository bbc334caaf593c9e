"""Ids for function calls that Gemini gave none: a result could not name its call otherwise."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.ids import made_id

_MARK: Final = "call_gemini_"


def invent(*place: str | int) -> str:
    """An id for the call at `place`: the same for the same call, and another for any other."""
    return made_id(_MARK, "/".join(map(str, place)))


def is_invented(call_id: str) -> bool:
    """Whether the id is the gateway's own, and of no use to Google."""
    return call_id.startswith(_MARK)
