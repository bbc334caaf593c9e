"""The sources that a text rests on."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.wire import Json, Object, keys_of, restore
from trunkline.v1.content_pb2 import Citation, Part

CITED: Final = '{"citationsContent":{}}'
"""What marks a text as one that came with citations, where nothing else does."""


def plain_texts(value: Json) -> str | None:
    """The words of a list of objects that hold a `text` each; None where it is anything else."""
    if type(value) is not list:
        return None
    texts: list[str] = []
    for item in value:
        text = item.get("text") if type(item) is dict and len(item) == 1 else None
        if type(text) is not str:
            return None
        texts.append(text)
    return "".join(texts)


def decode_citation(wire: Object) -> Citation:
    """Read one citation. Where it stands in the source stays in its extras."""
    citation = Citation(title=wire.take_str("title") or "")
    words = plain_texts(wire.fields.get("sourceContent"))
    if words is not None:
        wire.take("sourceContent")
        citation.cited_text = words
    source = wire.take_str("source")
    if source is None:
        location = wire.take_object("location")
        web = location.take_object("web") if location is not None and type(location.fields.get("web")) is dict else None
        if web is not None:
            citation.uri = web.take_str("url") or ""
    else:
        citation.uri = source
    wire.keep(citation.extras, DIALECT)
    return citation


def is_cited(part: Part) -> bool:
    """Whether a text came with citations of this dialect, which goes back the same way."""
    if any(DIALECT in citation.extras for citation in part.citations):
        return True
    return DIALECT in part.extras and "citationsContent" in keys_of(part.extras[DIALECT])


def encode_citation(citation: Citation) -> dict[str, Json]:
    """Write a citation."""
    wire: dict[str, Json] = {}
    restore(wire, citation.extras, DIALECT)
    if citation.title:
        wire["title"] = citation.title
    if citation.cited_text:
        wire["sourceContent"] = [{"text": citation.cited_text}]
    if citation.uri:
        location = wire.get("location")
        web = location.get("web") if type(location) is dict else None
        if type(web) is dict:
            web["url"] = citation.uri
        elif DIALECT in citation.extras:
            wire["source"] = citation.uri
        else:
            wire["location"] = {"web": {"url": citation.uri}}
    return wire
