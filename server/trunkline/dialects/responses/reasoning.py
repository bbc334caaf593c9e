"""Reasoning: the items that hold it, and how much of it is asked for."""

from __future__ import annotations

from typing import Final

from trunkline.call import LossKind
from trunkline.dialects.responses.extras import DIALECT, own
from trunkline.dialects.responses.writing import Writing
from trunkline.dialects.wire import Json, Object, text_of
from trunkline.v1.chat_pb2 import ReasoningConfig
from trunkline.v1.content_pb2 import Part

PIECES: Final = "pieces"
"""The key of where the texts of an item are in the text of its part: pairs of array and length. Not kept where the part
is one piece of `summary`."""

TYPES: Final = {"summary": "summary_text", "content": "reasoning_text"}
"""The arrays of a reasoning item that hold text -> the type of what they hold."""

SEPARATOR: Final = "\n\n"
"""What stands between two texts of an item in the text of its part."""

_BUDGETS: Final = ((0, "none"), (4096, "low"), (16384, "medium"))
"""The most tokens to spend on reasoning -> the effort that comes near it; `high` above."""


def decode_reasoning(wire: Object, part: Part) -> None:
    """Read a reasoning item. What the server needs to read it again stays in the part's extras, byte by byte."""
    wire.take("type")
    pieces: list[tuple[str, str]] | None = []
    texts: list[str] = []
    for array, kind in TYPES.items():
        told = wire.fields.get(array)
        if told is not None and not isinstance(told, list):
            pieces = None
            continue
        for piece in told or ():
            text = piece.get("text") if isinstance(piece, dict) else None
            if not isinstance(text, str) or not text or piece != {"type": kind, "text": text}:
                pieces = None
            elif pieces is not None:
                pieces.append((array, text))
            if isinstance(text, str):
                texts.append(text)
    part.reasoning.text = SEPARATOR.join(texts)
    kept = wire.rest()
    if pieces is not None:
        for array in TYPES:
            kept.pop(array, None)
        put_pieces(kept, [(array, len(text)) for array, text in pieces])
    part.extras[DIALECT] = text_of({key: value for key, value in kept.items() if value is not None})


def put_pieces(kept: dict[str, Json], pieces: list[tuple[str, int]]) -> None:
    """Keep where the texts of an item are, unless it is a single one where it is looked for anyhow."""
    if len(pieces) > 1 or any(array != "summary" for array, _ in pieces):
        kept[PIECES] = pieces


def encode_reasoning(part: Part) -> dict[str, Json]:
    """Write a part that this dialect wrote as the item that it was."""
    kept = own(part.extras)
    pieces = kept.pop(PIECES, None)
    wire: dict[str, Json] = {"type": "reasoning", "summary": [], **kept}
    if "summary" in kept or "content" in kept:
        return wire
    for array, text in _cut(part.reasoning.text, pieces):
        wire.setdefault(array, []).append({"type": TYPES[array], "text": text})
    return wire


def cuts(pieces: Json) -> list[tuple[str, int]]:
    """The arrays and the lengths of the texts of an item, as far as `pieces` tell them."""
    found: list[tuple[str, int]] = []
    for piece in pieces if isinstance(pieces, list) else ():
        match piece:
            case [("summary" | "content") as array, int(length)] if length >= 0:
                found.append((array, length))
            case _:
                break
    return found


def _cut(text: str, pieces: Json) -> list[tuple[str, str]]:
    """The texts of an item; one alone where the text is not the one that was cut."""
    known = cuts(pieces)
    texts: list[tuple[str, str]] = []
    at = 0
    for array, length in known:
        texts.append((array, text[at : at + length]))
        at += length + len(SEPARATOR)
    if texts and SEPARATOR.join(cut for _, cut in texts) == text:
        return texts
    return [(known[0][0] if len(known) == 1 else "summary", text)] if text else []


def decode_config(wire: Object, config: ReasoningConfig) -> None:
    """Read `reasoning`."""
    config.effort = wire.take_str("effort") or ""
    # `generate_summary` is the older name.
    older = wire.take_str("generate_summary")
    config.summary = wire.take_str("summary") or older or ""


def encode_config(config: ReasoningConfig, to: Writing) -> dict[str, Json]:
    """Write `reasoning`; a number of tokens becomes the effort that comes near it."""
    wire: dict[str, Json] = {}
    if config.effort:
        wire["effort"] = config.effort
    elif config.HasField("enabled") and not config.enabled:
        wire["effort"] = "none"
    elif config.HasField("budget_tokens"):
        wire["effort"] = next((word for most, word in _BUDGETS if config.budget_tokens <= most), "high")
        to.lose("reasoning.budget_tokens", LossKind.APPROXIMATED)
    elif config.HasField("enabled"):
        # A model that can reason does so unasked.
        to.lose("reasoning.enabled", LossKind.APPROXIMATED)
    if config.effort and config.HasField("budget_tokens"):
        to.lose("reasoning.budget_tokens")
    if config.summary and config.summary != "none":
        wire["summary"] = config.summary
    return wire
