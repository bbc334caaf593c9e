"""What an answer rests on: `annotations`, as OpenAI and OpenRouter tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from trunkline.dialects.openai.content import DIALECT, decode_reference
from trunkline.dialects.wire import Json, Object, loads, restore
from trunkline.v1.content_pb2 import Citation, Message, Part

ANNOTATIONS: Final = "annotations"
_URL: Final = "url_citation"


def decode_annotations(wires: Json) -> list[Citation]:
    """The citations that the annotations of a text are; none where one of them is something else, such as OpenRouter's
    reading of a file: then all stay as they are."""
    citations: list[Citation] = []
    for wire in wires if type(wires) is list else ():
        inner = wire.get(_URL) if type(wire) is dict and wire.get("type") == _URL else None
        if type(inner) is not dict or not _is_known(inner):
            return []
        citations.append(_decode(Object({"type": _URL, _URL: dict(inner)}, lenient=True)))
    return citations


def decode_sources(answer: Mapping[str, Json]) -> list[Citation]:
    """What an answer rests on as a whole, told beside its choices: `search_results`, as Perplexity tells it, or mere
    addresses in `citations`, as xAI does, too. They stay where they are."""
    results = answer.get("search_results")
    if type(results) is list and results and all(type(one) is dict and type(one.get("url")) is str for one in results):
        return [
            Citation(uri=one["url"], title=_text(one, "title"), cited_text=_text(one, "snippet")) for one in results
        ]
    addresses = answer.get("citations")
    if type(addresses) is list and all(type(one) is str for one in addresses):
        return [Citation(uri=one) for one in addresses]
    return []


def _text(wire: dict[str, Json], key: str) -> str:
    value = wire.get(key)
    return value if type(value) is str else ""


def cite(message: Message, sources: Sequence[Citation]) -> None:
    """Give `sources` to the one text of a message that tells of none of its own."""
    texts = [part for part in message.parts if part.WhichOneof("kind") == "text"]
    if len(texts) == 1 and not texts[0].citations:
        texts[0].citations.extend(sources)


def _is_known(inner: dict[str, Json]) -> bool:
    places = [inner.get(key) for key in ("start_index", "end_index")]
    return type(inner.get("url")) is str and all(type(place) is int and 0 <= place < 2**31 for place in places)


def _decode(wire: Object) -> Citation:
    wire.take("type")
    citation = Citation()
    inner = wire.take_object(_URL)
    if inner is not None:
        citation.uri = inner.take_str("url") or ""
        citation.title = inner.take_str("title") or ""
        citation.cited_text = inner.take_str("content") or ""
        citation.start_index = inner.take_int("start_index", 0) or 0
        citation.end_index = inner.take_int("end_index", 0) or 0
    wire.keep(citation.extras, DIALECT)
    return citation


def encode_annotations(citations: Iterable[Citation], begin: int, length: int) -> list[Json]:
    """The annotations of a text of `length` characters, which begins at `begin` of all that the answer says.

    What rests on a source as a whole is told to do so from its begin to its end. Mistral's references stand in the
    content itself.
    """
    return [_encode(citation, begin, length) for citation in citations if not _is_reference(citation)]


def _encode(citation: Citation, begin: int, length: int) -> Json:
    end = citation.end_index if citation.HasField("end_index") else length
    inner: dict[str, Json] = {
        "start_index": begin + citation.start_index,
        "end_index": begin + end,
        "url": citation.uri,
        "title": citation.title,
    }
    if citation.cited_text:
        inner["content"] = citation.cited_text
    wire: dict[str, Json] = {"type": _URL, _URL: inner}
    restore(wire, citation.extras, DIALECT)
    return wire


def _is_reference(citation: Citation) -> bool:
    if DIALECT not in citation.extras:
        return False
    block = loads(citation.extras[DIALECT])
    return isinstance(block, dict) and decode_reference(block) is not None


def put_annotations(wire: dict[str, Json], annotations: Sequence[Json], kept: str | None) -> None:
    """Write into a message what its texts rest on, in front of the annotations that are `kept` as they came."""
    if not annotations:
        return
    others = loads(kept).get(ANNOTATIONS) if kept is not None else None
    wire[ANNOTATIONS] = [*annotations, *(others if isinstance(others, list) else ())]


def take_annotations(message: Object, parts: Iterable[Part]) -> None:
    """Read the annotations of a whole answer's message into the one text among its `parts`; they stay where there are
    several, since nobody tells which is meant."""
    if not message.fields.get(ANNOTATIONS):
        return
    texts = [part for part in parts if part.WhichOneof("kind") == "text"]
    citations = decode_annotations(message.fields[ANNOTATIONS]) if len(texts) == 1 else []
    if citations:
        message.take(ANNOTATIONS)
        texts[0].citations.extend(citations)
