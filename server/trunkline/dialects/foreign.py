"""What a request holds for other dialects than the one that it is written in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trunkline.call import Loss
from trunkline.dialects.turn import Turn
from trunkline.dialects.wire import keys_of, loads
from trunkline.v1.chat_pb2 import ChatRequest, Tool
from trunkline.v1.embeddings_pb2 import EmbedRequest

_OWN: Final[dict[str, frozenset[str]]] = {
    "gemini": frozenset({"thoughtSignature"}),
    "responses": frozenset({"item"}),
    # The contract's `ReasoningConfig` says the same; and what an earlier answer rested on, no model reads.
    "openai": frozenset(
        {"annotations", "reasoning", "include_reasoning", "thinking", "enable_thinking", "thinking_budget"}
    ),
}
"""Dialect -> the keys of its extras that nobody but the server which wrote them has a use for."""


def foreign_losses(
    request: ChatRequest, turns: Iterable[Turn], tools: Iterable[Tool], dialect: str, losses: list[Loss]
) -> None:
    """Add to `losses` each field that another dialect's caller wrote, that the contract does not model, and that a
    request in `dialect` therefore leaves out. `turns` are the messages of `request`, `tools` its tools."""
    if request.extras:
        _note(request.extras, "", dialect, losses)
    for index, (message, _, parts, _, text) in enumerate(turns):
        if text:
            continue
        if message.extras:
            _note(message.extras, f"messages[{index}].", dialect, losses)
        for part in parts:
            # Reasoning goes back to its origin alone, by contract: leaving its signature out is no loss.
            if part.extras and part.WhichOneof("kind") != "reasoning":
                _note(part.extras, f"messages[{index}].", dialect, losses)
    for index, tool in enumerate(tools):
        if tool.extras:
            _note(tool.extras, f"tools[{index}].", dialect, losses)


def foreign_embed_losses(request: EmbedRequest, dialect: str, losses: list[Loss]) -> None:
    """As `foreign_losses`, of what is to be embedded."""
    _note(request.extras, "", dialect, losses)


def is_needed(dialect: str, text: str) -> bool:
    """Whether the origin of a text or a call needs back what it keeps beside it.

    Of an item of OpenAI's Responses that is not its mere id and status: the API makes new ones for what it is sent.
    """
    if dialect != "responses":
        return True
    kept = loads(text)
    if not isinstance(kept, dict) or kept.keys() != {"item"}:
        return True
    item = kept["item"]
    return isinstance(item, dict) and not item.keys() <= {"id", "status"}


def _note(extras: Mapping[str, str], path: str, dialect: str, losses: list[Loss]) -> None:
    for origin, text in extras.items():
        if origin != dialect:
            own = _OWN.get(origin, ())
            losses.extend(Loss(f"{path}{key}") for key in keys_of(text) if key not in own)
