"""The parts of a message's content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, assert_never

from trunkline.dialects.openai.extra_content import take_foreign
from trunkline.dialects.openai.media import decode_media, encode_media
from trunkline.dialects.openai.profile import Writing
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.errors import GatewayError, invalid_request, unsupported
from trunkline.v1.content_pb2 import CacheBreakpoint, Citation, Opaque, Part

DIALECT: Final = "openai"

_KINDS: Final = frozenset({"text", "image_url", "video_url", "input_audio", "file", "refusal"})
"""The types of part that the contract has a kind for."""

_TTLS: Final = {None: None, "5m": 300, "1h": 3600}
"""Anthropic's `cache_control.ttl`, which OpenRouter and others take in OpenAI's language -> seconds."""


def decode_content(wire: Object, parts: Any, *, thinking: bool = False) -> None:
    """Read `content` into `parts`, a repeated field. `thinking` tells whether the model wrote it, and so may think."""
    content = wire.fields.get("content")
    if type(content) is str:
        del wire.fields["content"]
        parts.add().text = content
        return
    for item in wire.take_objects("content"):
        if wire.lenient and parts and parts[-1].WhichOneof("kind") == "text":
            citation = decode_reference(item.fields)
            if citation is not None:
                parts[-1].citations.append(citation)
                continue
        decode_part(item, parts.add(), thinking=thinking)


def decode_part(wire: Object, part: Part, *, thinking: bool = False) -> None:
    """Read one part. A type that the contract has no kind for is carried verbatim."""
    kind = wire.fields.get("type")
    if kind == "thinking" and thinking:
        text = take_thinking(wire)
        if text is not None:
            part.reasoning.text = text
            wire.keep(part.extras, DIALECT)
            return
    if type(kind) is not str or kind not in _KINDS:
        if not wire.lenient:
            wire.check_str("type")
        decode_opaque(wire, part)
        return
    del wire.fields["type"]
    match kind:
        case "text":
            part.text = wire.need_str("text")
        case "image_url" | "video_url" | "input_audio" | "file":
            decode_media(wire, kind, part.media)
        case "refusal":
            part.refusal = wire.need_str("refusal")
    if "cache_control" in wire.fields:
        take_cache(wire, part.cache)
    take_foreign(wire, part.extras)
    wire.keep(part.extras, DIALECT)


def decode_reference(block: dict[str, Json]) -> Citation | None:
    """The citation that a block of type `reference` stands for, as Mistral writes one behind the text that rests on it;
    None where it is another block. What it cites has no more than a name, in the result of a tool."""
    names = block.get("reference_ids")
    if block.get("type") != "reference" or not isinstance(names, list):
        return None
    return Citation(title=", ".join(str(name) for name in names), extras={DIALECT: text_of(block)})


def encode_references(part: Part) -> list[Json]:
    """The blocks that `decode_reference` read."""
    return [loads(citation.extras[DIALECT]) for citation in part.citations if DIALECT in citation.extras]


def decode_opaque(wire: Object, part: Part) -> None:
    """Carry a block as it is."""
    part.opaque.dialect = DIALECT
    part.opaque.json = text_of(wire.fields)


def take_thinking(wire: Object) -> str | None:
    """The text of a block of type `thinking`, as Mistral writes it; None where it holds more than text."""
    thinking = wire.fields.get("thinking")
    if type(thinking) is str:
        text = thinking
    elif type(thinking) is list and all(_is_text(item) for item in thinking):
        text = "".join(item["text"] for item in thinking)
    else:
        return None
    del wire.fields["type"], wire.fields["thinking"]
    return text


def _is_text(item: Json) -> bool:
    return (
        type(item) is dict and item.keys() == {"type", "text"} and item["type"] == "text" and type(item["text"]) is str
    )


def take_cache(wire: Object, cache: CacheBreakpoint) -> None:
    """Read `cache_control` where it is of the known form; left alone otherwise."""
    mark = wire.fields["cache_control"]
    if isinstance(mark, dict) and mark.get("type") == "ephemeral" and mark.keys() <= {"type", "ttl"}:
        ttl = mark.get("ttl")
        if ttl is None or (isinstance(ttl, str) and ttl in _TTLS):
            del wire.fields["cache_control"]
            cache.SetInParent()
            seconds = _TTLS[ttl]
            if seconds is not None:
                cache.ttl.seconds = seconds


def encode_cache(cache: CacheBreakpoint) -> dict[str, Json]:
    """The mark that `take_cache` reads."""
    if not cache.HasField("ttl"):
        return {"type": "ephemeral"}
    return {"type": "ephemeral", "ttl": "1h" if cache.ttl.seconds > 300 else "5m"}


def encode_content(parts: Sequence[Part], to: Writing, path: str) -> Json:
    """A bare text where that is all, an array otherwise."""
    wires = [
        encode_part(part, to, f"{path}.parts[{index}]") for index, part in enumerate(parts) if is_known(part, to, path)
    ]
    if len(wires) == 1 and wires[0].keys() == {"type", "text"}:
        return wires[0]["text"]
    return wires or ""


def encode_part(part: Part, to: Writing, path: str) -> dict[str, Json]:
    """Write one part. Raises `GatewayError` (UNSUPPORTED) where the format has no place for it."""
    kind = part.WhichOneof("kind")
    wire: dict[str, Json]
    match kind:
        case "text":
            wire = {"type": "text", "text": part.text}
        case "media":
            wire = encode_media(part.media, path)
        case "refusal":
            wire = {"type": "refusal", "refusal": part.refusal}
        case "reasoning" if to.profile.reasoning == "thinking":
            wire = {"type": "thinking", "thinking": [{"type": "text", "text": part.reasoning.text}]}
        case "opaque":
            wire = encode_opaque(part, path)
        case "tool_call" | "tool_result" | "reasoning" | None:
            raise unsupported(f"`{path}` cannot stand in this message.", path)
        case _:
            assert_never(kind)
    if part.HasField("cache"):
        if to.profile.cache_control:
            wire["cache_control"] = encode_cache(part.cache)
        else:
            to.lose("cache_control")
    if part.extras:
        restore(wire, part.extras, DIALECT)
    return wire


def is_known(part: Part, to: Writing, path: str) -> bool:
    """Whether the format has the part; a block that only another dialect can read is left out, and noted."""
    if part.WhichOneof("kind") == "opaque" and part.opaque.dialect != DIALECT:
        to.lose(f"{path}.{name_of(part.opaque)}")
        return False
    return True


def name_of(opaque: Opaque) -> str:
    """What a block or a tool of another dialect is called there."""
    try:
        block = loads(opaque.json)
    except GatewayError:
        return opaque.dialect
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else opaque.dialect


def encode_opaque(part: Part, path: str) -> dict[str, Json]:
    """Write a block of this dialect as it was read."""
    field = f"{path}.opaque.json"
    try:
        block = loads(part.opaque.json)
    except GatewayError as error:
        raise invalid_request(error.message, field) from None
    if not isinstance(block, dict):
        raise invalid_request(f"`{field}` must be the text of a JSON object.", field)
    return block
