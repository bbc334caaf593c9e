"""The parts of a message: text with what it rests on, refusals and media."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from trunkline.dialects.openai.logprobs import decode_logprobs
from trunkline.dialects.responses.extras import DIALECT, ITEM, keep, own, restore_item
from trunkline.dialects.responses.media import KINDS, decode_media, encode_media, sort_of
from trunkline.dialects.responses.writing import Writing
from trunkline.dialects.turn import bare_text
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.errors import unsupported
from trunkline.v1.content_pb2 import Citation, Part, TokenLogprob

_LEAST: Final = -9999.0
"""What OpenAI writes for a probability of nothing; JSON has no infinity."""


def decode_content(wire: Object, parts: Any, item: Json = ...) -> None:
    """Read the content of an item into `parts`, where the first part holds `item`, if given."""
    content = wire.fields.get("content")
    if type(content) is str:
        del wire.fields["content"]
        part = parts.add()
        part.text = content
        if item is not ...:
            part.extras[DIALECT] = text_of({ITEM: item})
        return
    for inner in wire.take_objects("content"):
        _decode_part(inner, parts.add(), item)
        item = ...


def decode_said(wire: Object, parts: Any, item: Json = ...) -> None:
    """Read the content of a message of the assistant's: its blocks are told apart from the items around it."""
    begin = len(parts)
    said = type(wire.fields.get("content")) is str
    decode_content(wire, parts, item)
    if said:
        return
    for index in range(begin, len(parts)):
        part = parts[index]
        if part.WhichOneof("kind") == "opaque" and ITEM not in own(part.extras):
            part.extras[DIALECT] = text_of({ITEM: {} if index == begin else None})


def _decode_part(wire: Object, part: Part, item: Json) -> None:
    kind = wire.fields.get("type")
    match kind:
        case "input_text" | "output_text":
            part.text = wire.need_str("text")
            for annotation in wire.take_objects("annotations"):
                part.citations.append(decode_citation(annotation))
            if wire.fields.get("logprobs"):
                part.logprobs.extend(decode_logprobs(wire.take("logprobs")))
            else:
                wire.take("logprobs")
        case "refusal":
            part.refusal = wire.need_str("refusal")
        case str() if kind in KINDS:
            decode_media(wire, kind, part.media)
            if wire.fields.get("detail") == "auto":
                wire.take("detail")
            if kind == "input_file" and sort_of(part.media) in ("image", "audio", "video"):
                item = {"type": kind}
        case _:
            if not isinstance(kind, str):
                wire.need_str("type")
            part.opaque.dialect = DIALECT
            part.opaque.json = text_of(wire.fields)
            wire.fields = {}
    wire.take("type")
    keep(wire, part.extras, item)


def decode_citation(wire: Object) -> Citation:
    """Read one annotation. What it rests on has an address, or is a file that only the provider can name."""
    citation = Citation()
    kind = wire.fields.get("type")
    if kind == "url_citation":
        wire.take("type")
        citation.uri = wire.take_str("url") or ""
        citation.title = wire.take_str("title") or ""
    else:
        citation.title = wire.take_str("filename") or ""
    start = wire.take_int("start_index", 0)
    if start is not None:
        citation.start_index = start
    end = wire.take_int("end_index", 0)
    if end is not None:
        citation.end_index = end
    wire.keep(citation.extras, DIALECT)
    return citation


def encode_citation(citation: Citation) -> dict[str, Json]:
    """Write one annotation, with every field that its type requires."""
    kept = own(citation.extras)
    kind = kept.get("type", "url_citation" if citation.uri or not citation.title else "file_citation")
    wire: dict[str, Json] = {"type": kind}
    if kind == "url_citation":
        wire |= {"url": citation.uri, "title": citation.title}
    elif citation.title:
        wire["filename"] = citation.title
    if kind == "file_citation":
        wire |= {"file_id": kept.get("file_id", ""), "index": kept.get("index", citation.start_index)}
    elif kind == "url_citation" or citation.HasField("start_index"):
        wire |= {"start_index": citation.start_index, "end_index": citation.end_index}
    restore(wire, citation.extras, DIALECT)
    return wire


def encode_logprobs(logprobs: Iterable[TokenLogprob]) -> list[Json]:
    """Write the log probabilities of a text; here, other than in Chat Completions, `bytes` is never null."""
    return [{**_token(item), "top_logprobs": [_token(top) for top in item.top]} for item in logprobs]


def _token(item: TokenLogprob) -> dict[str, Json]:
    logprob = item.logprob if math.isfinite(item.logprob) else _LEAST
    return {"token": item.token, "logprob": logprob, "bytes": list(item.raw)}


def encode_output(part: Part) -> dict[str, Json]:
    """Write a text or a refusal as the assistant's."""
    wire: dict[str, Json]
    if part.WhichOneof("kind") == "refusal":
        wire = {"type": "refusal", "refusal": part.refusal}
    else:
        citations, logprobs = part.citations, part.logprobs
        wire = {
            "type": "output_text",
            "text": part.text,
            "annotations": [encode_citation(citation) for citation in citations] if citations else [],
            "logprobs": encode_logprobs(logprobs) if logprobs else [],
        }
    if part.extras:
        restore_item(wire, part.extras)
    return wire


def encode_input(parts: Sequence[Part], to: Writing, path: str) -> Json:
    """Write what a user, an operator or a tool says: a bare text where that is all, an array otherwise."""
    text = bare_text(parts)
    if text:
        return text
    wires = [wire for index, part in enumerate(parts) for wire in _encode_part(part, to, f"{path}.parts[{index}]")]
    if len(wires) == 1 and wires[0].keys() == {"type", "text"} and wires[0]["type"] == "input_text":
        return wires[0]["text"]
    return wires


def _encode_part(part: Part, to: Writing, path: str) -> list[dict[str, Json]]:
    wire: dict[str, Json]
    match part.WhichOneof("kind"):
        case "text":
            wire = {"type": "input_text", "text": part.text}
        case "refusal":
            wire = {"type": "input_text", "text": part.refusal}
        case "media":
            kept = own(part.extras)
            wire = encode_media(part.media, path, is_file=kept.get(ITEM) == {"type": "input_file"})
            if "detail" in kept:
                wire["detail"] = kept["detail"]
        case "opaque":
            block = encode_opaque(part, to, path.rpartition(".")[0])
            return [] if block is None else [block]
        case kind:
            raise unsupported(f"`{path}` is a {kind}, which cannot stand in this message.", path)
    if part.HasField("cache"):
        to.lose("cache_control")
    if part.extras:
        restore_item(wire, part.extras)
    return [wire]


def encode_opaque(part: Part, to: Writing, path: str) -> dict[str, Json] | None:
    """A block of this dialect, verbatim; None, and noted, where it is another's."""
    if part.opaque.dialect == DIALECT:
        block = loads(part.opaque.json)
        if isinstance(block, dict):
            return block
    to.lose(f"{path}.{_type_of(part.opaque.json)}")
    return None


def _type_of(text: str) -> str:
    block = loads(text)
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else "opaque"
