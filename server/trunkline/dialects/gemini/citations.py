"""What the texts of a candidate rest on: its `citationMetadata` and its `groundingMetadata`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from trunkline.dialects.gemini.names import DIALECT, camel
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.v1.content_pb2 import Citation, Part

_MOST: Final = 1000
"""The most citations of one answer."""

_CHUNK: Final = "groundingChunk"
"""Marks, in `Citation.extras`, what is also in the `groundingMetadata` that the choice keeps."""


class Cited(NamedTuple):
    """A citation, and the index of the part that it belongs to."""

    part: int
    citation: Citation


class _Span(NamedTuple):
    """Some words of an answer, in characters of one of its parts; without bounds where they are not known."""

    part: int
    start: int | None = None
    end: int | None = None


class _Text(NamedTuple):
    part: int
    text: str
    data: bytes

    def characters(self, start: int, end: int) -> _Span:
        """A span that Google gives in bytes."""
        if len(self.data) == len(self.text):
            return _Span(self.part, start, min(end, len(self.text)))
        first = len(self.data[:start].decode(errors="ignore"))
        return _Span(self.part, first, first + len(self.data[start:end].decode(errors="ignore")))


def decode_citations(candidate: Object, texts: Iterable[tuple[int, str]]) -> list[Cited]:
    """The citations of a candidate whose text parts are `texts`, each with its index.

    Takes `citationMetadata`. `groundingMetadata` tells more than citations hold, so that it also stays where it is.
    """
    said = [_Text(part, text, text.encode()) for part, text in texts]
    if not said:
        return []
    found: list[Cited] = []
    metadata = candidate.take_object("citationMetadata")
    if metadata is not None:
        camel(metadata.fields)
        for key in ("citations", "citationSources"):
            found.extend(_citation(item, said) for item in metadata.take_objects(key))
        metadata.fields.clear()
    grounding = candidate.fields.get("groundingMetadata")
    if isinstance(grounding, dict):
        found.extend(_grounding(grounding, said))
    return found[:_MOST]


def _citation(wire: Object, said: Sequence[_Text]) -> Cited:
    camel(wire.fields)
    citation = Citation(uri=wire.take_str("uri") or "", title=wire.take_str("title") or "")
    end = wire.take_int("endIndex", 0)
    start = wire.take_int("startIndex", 0)
    span = _within_all(start or 0, end, said) if end is not None else _Span(said[-1].part)
    _set_span(citation, span)
    wire.keep(citation.extras, DIALECT)
    return Cited(span.part, citation)


def _grounding(wire: dict[str, Json], said: Sequence[_Text]) -> Iterator[Cited]:
    chunks = wire.get("groundingChunks")
    sources = [_source(chunk, index) for index, chunk in enumerate(chunks[:_MOST] if isinstance(chunks, list) else ())]
    supports = wire.get("groundingSupports")
    if not isinstance(supports, list) or not supports:
        for source in sources:
            if source is not None:
                yield Cited(said[-1].part, source)
        return
    for support in supports[:_MOST]:
        if not isinstance(support, dict):
            continue
        segment, indices = support.get("segment"), support.get("groundingChunkIndices")
        span = _segment(segment if isinstance(segment, dict) else {}, said)
        for index in indices if isinstance(indices, list) else ():
            if type(index) is int and 0 <= index < len(sources):
                source = sources[index]
                if source is not None:
                    citation = Citation()
                    citation.CopyFrom(source)
                    _set_span(citation, span)
                    yield Cited(span.part, citation)


def _source(chunk: Json, index: int) -> Citation | None:
    """A chunk as a citation: of the web, of the caller's own documents, or of a map."""
    if not isinstance(chunk, dict):
        return None
    for kind in ("web", "retrievedContext", "maps"):
        fields = chunk.get(kind)
        if isinstance(fields, dict):
            uri, title, text = fields.get("uri"), fields.get("title"), fields.get("text")
            return Citation(
                uri=uri if isinstance(uri, str) else "",
                title=title if isinstance(title, str) else "",
                cited_text=text if kind == "retrievedContext" and isinstance(text, str) else "",
                extras={DIALECT: text_of({_CHUNK: index})},
            )
    return None


def _segment(segment: dict[str, Json], said: Sequence[_Text]) -> _Span:
    start, end, text = segment.get("startIndex", 0), segment.get("endIndex"), segment.get("text")
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        return _Span(said[-1].part)
    if isinstance(text, str):
        # Google counts from the beginning of a part; which one, it does not always say.
        words = text.encode(errors="replace")
        for one in said:
            if one.data[start:end] == words:
                return one.characters(start, end)
    return _within_all(start, end, said)


def _within_all(start: int, end: int, said: Sequence[_Text]) -> _Span:
    """A span counted from the beginning of the first text."""
    for one in said:
        if start < len(one.data):
            return one.characters(start, max(end, start))
        start -= len(one.data)
        end -= len(one.data)
    return _Span(said[-1].part)


def _set_span(citation: Citation, span: _Span) -> None:
    if span.start is not None and span.end is not None:
        citation.start_index, citation.end_index = span.start, span.end


def encode_citations(parts: Iterable[Part]) -> dict[str, Json] | None:
    """A `citationMetadata` of what is in no `groundingMetadata`; None where there is nothing."""
    citations: list[Json] = []
    before = 0
    for part in parts:
        if part.WhichOneof("kind") != "text":
            continue
        citations.extend(
            _encode(citation, part.text, before) for citation in part.citations if not _is_grounding(citation)
        )
        before += len(part.text.encode())
    return {"citations": citations} if citations else None


def _is_grounding(citation: Citation) -> bool:
    return DIALECT in citation.extras and _CHUNK in loads(citation.extras[DIALECT])


def _encode(citation: Citation, text: str, before: int) -> dict[str, Json]:
    wire: dict[str, Json] = {}
    if citation.HasField("end_index"):
        wire["startIndex"] = before + len(text[: citation.start_index].encode())
        wire["endIndex"] = before + len(text[: citation.end_index].encode())
    if citation.uri:
        wire["uri"] = citation.uri
    if citation.title:
        wire["title"] = citation.title
    restore(wire, citation.extras, DIALECT)
    return wire
