"""The sources that a text rests on."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1.content_pb2 import Citation

_NAMES: Final[dict[str, tuple[str | None, str]]] = {
    "web_search_result_location": ("url", "title"),
    "search_result_location": ("source", "title"),
    "char_location": (None, "document_title"),
    "page_location": (None, "document_title"),
    "content_block_location": (None, "document_title"),
}
"""`type` -> the keys of the address and of the title."""


_FOREIGN: Final[dict[str, Json]] = {"type": "web_search_result_location", "encrypted_index": ""}
"""How a citation of another dialect is written for clients. Anthropic refuses an index that it did not encrypt."""


def decode_citation(wire: Object) -> Citation:
    """Read one citation. Where it stands in the document that is cited stays in its extras."""
    foreign = wire.fields.items() >= _FOREIGN.items()
    kind = wire.fields.get("type")
    address, title = _NAMES.get(kind if isinstance(kind, str) else "", ("url", "title"))
    citation = Citation(cited_text=wire.take_str("cited_text") or "", title=wire.take_str(title) or "")
    if address is not None:
        citation.uri = wire.take_str(address) or ""
    if foreign:
        for key in _FOREIGN:
            wire.take(key)
    wire.keep(citation.extras, DIALECT)
    return citation


def is_own(citation: Citation) -> bool:
    """Whether this dialect wrote the citation, which it alone can read back."""
    return DIALECT in citation.extras


def encode_citation(citation: Citation) -> dict[str, Json]:
    """Write a citation; one of another dialect as the result of a web search."""
    wire: dict[str, Json] = {}
    restore(wire, citation.extras, DIALECT)
    if not wire:
        wire = {**_FOREIGN}
    kind = wire.get("type")
    address, title = _NAMES.get(kind if isinstance(kind, str) else "", ("url", "title"))
    wire["cited_text"] = citation.cited_text
    wire[title] = citation.title or None
    if address is not None:
        wire[address] = citation.uri
    return wire
