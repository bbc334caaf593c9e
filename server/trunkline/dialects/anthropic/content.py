"""The blocks of a message: each is a part of the contract, or is carried verbatim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from trunkline.call import LossKind
from trunkline.dialects.anthropic.cache import encode_cache, take_cache
from trunkline.dialects.anthropic.carry import is_packed, unpack
from trunkline.dialects.anthropic.citations import decode_citation, encode_citation, is_own
from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.media import decode_media, encode_media, is_media
from trunkline.dialects.anthropic.objects import object_text
from trunkline.dialects.anthropic.profile import Writing
from trunkline.dialects.turn import Kind, bare_text
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.errors import GatewayError, invalid_request, unsupported
from trunkline.v1.content_pb2 import Part

KINDS: Final = frozenset({"text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"})
"""The types of block that the contract has a kind for."""


def decode_blocks(wire: Object, key: str, parts: Any) -> None:
    """Read the blocks at `key`, or the one text that stands for them, into `parts`."""
    content = wire.fields.get(key)
    if type(content) is str:
        del wire.fields[key]
        parts.add().text = content
        return
    for item in wire.take_objects(key, decode_plain_block, parts):
        decode_block(item, parts)


def decode_plain_block(fields: dict[str, Json], parts: Any) -> bool:
    """Read a text, a call or a result that holds nothing but what every one does, as most do, into `parts`, a repeated
    field. Tells whether this was one."""
    kind = fields.get("type")
    if kind == "text":
        text = fields.get("text")
        if len(fields) == 2 and type(text) is str:
            parts.add().text = text
            return True
    elif kind == "tool_use":
        call_id, name, given = fields.get("id"), fields.get("name"), fields.get("input")
        if len(fields) == 4 and type(call_id) is str and type(name) is str and type(given) is dict:
            call = parts.add().tool_call
            call.id, call.name, call.arguments_json = call_id, name, text_of(given)
            return True
    elif kind == "tool_result":
        call_id, text = fields.get("tool_use_id"), fields.get("content")
        if len(fields) == 3 and type(call_id) is str and type(text) is str:
            result = parts.add().tool_result
            result.tool_call_id = call_id
            result.parts.add().text = text
            return True
    return False


def decode_block(wire: Object, parts: Any, *, carried: bool = True) -> None:
    """Read one block. A type that the contract has no kind for is carried verbatim.

    `carried` tells whether a client may have brought back what the gateway gave it for other dialects.
    """
    kind = wire.fields.get("type")
    if type(kind) is not str:
        kind = wire.need_str("type")
    if kind not in KINDS or (kind in ("image", "document") and not is_media(wire)):
        part = parts.add()
        part.opaque.dialect = DIALECT
        part.opaque.json = text_of({"type": kind, **wire.fields})
        return
    wire.fields.pop("type", None)
    if kind in ("thinking", "redacted_thinking"):
        _decode_reasoning(wire, kind, parts, carried)
        return
    part = parts.add()
    match kind:
        case "text":
            part.text = wire.need_str("text")
            if "citations" in wire.fields:
                part.citations.extend(decode_citation(item) for item in wire.take_objects("citations"))
        case "tool_use":
            decode_call(wire, part)
        case "tool_result":
            result = part.tool_result
            result.tool_call_id = wire.need_str("tool_use_id")
            decode_blocks(wire, "content", result.parts)
            if wire.take_bool("is_error"):
                result.failed = True
        case _:
            decode_media(wire, kind, part.media)
    if "cache_control" in wire.fields:
        take_cache(wire, part)
    if wire.fields:
        wire.keep(part.extras, DIALECT)


def decode_call(wire: Object, part: Part) -> None:
    """Read the id, the name and the input of a tool call."""
    call = part.tool_call
    call.id = wire.need_str("id")
    call.name = wire.need_str("name")
    arguments = wire.take("input")
    call.arguments_json = text_of({} if arguments is None else arguments)


def _decode_reasoning(wire: Object, kind: str, parts: Any, carried: bool) -> None:
    key = "signature" if kind == "thinking" else "data"
    sealed = wire.fields.get(key)
    text = (wire.take_str("thinking") or "") if kind == "thinking" else ""
    part = Part()
    part.reasoning.text = text
    part.reasoning.redacted = kind == "redacted_thinking"
    if carried and isinstance(sealed, str) and is_packed(sealed):
        calls = {one.tool_call.id: one for one in parts if one.WhichOneof("kind") == "tool_call"}
        last = next((one for one in reversed(parts) if one.WhichOneof("kind") == "text"), None)
        if unpack(sealed, part, calls, last):
            parts.append(part)
        return
    if sealed == "" and kind == "thinking":
        # Another provider's reasoning, which came without a signature and goes nowhere with one.
        wire.take(key)
    wire.keep(part.extras, DIALECT)
    parts.append(part)


def encode_part(part: Part, kind: Kind, to: Writing, path: str) -> Json:
    """Write one part, of `kind`, of a request as a block; None where nothing of it can or need be sent."""
    wire: dict[str, Json]
    match kind:
        case "text":
            # The API refuses blank texts.
            text = part.text
            if not text or text.isspace():
                return None
            wire = {"type": "text", "text": text}
            citations = part.citations
            if citations:
                own = [encode_citation(citation) for citation in citations if is_own(citation)]
                if own:
                    wire["citations"] = own
                if len(own) < len(citations):
                    to.lose(f"{path}.annotations")
        case "refusal":
            if not part.refusal or part.refusal.isspace():
                return None
            wire = {"type": "text", "text": part.refusal}
        case "media":
            wire = encode_media(part.media, path)
        case "tool_call":
            wire = encode_call(part, to, path)
        case "tool_result":
            wire = _encode_result(part, to, path)
        case "reasoning":
            return encode_own_reasoning(part)
        case "opaque":
            return encode_opaque(part, to, path)
        case None:
            raise unsupported(f"`{path}` has a part of a kind that this gateway does not know.", path)
    if part.HasField("cache"):
        wire["cache_control"] = encode_cache(part.cache)
    if part.extras:
        restore(wire, part.extras, DIALECT)
    return wire


def encode_own_reasoning(part: Part) -> dict[str, Json] | None:
    """Reasoning that this dialect wrote, byte for byte; None for any other, which nobody could check."""
    if DIALECT not in part.extras:
        return None
    wire: dict[str, Json] = {}
    if part.reasoning.redacted:
        wire["type"] = "redacted_thinking"
    else:
        wire["type"] = "thinking"
        wire["thinking"] = part.reasoning.text
    restore(wire, part.extras, DIALECT)
    return wire


def encode_call(part: Part, to: Writing, path: str) -> dict[str, Json]:
    """Write a tool call. Arguments that are no object, as no API takes them, are put into one."""
    call = part.tool_call
    given = call.arguments_json
    arguments = object_text(given)
    if arguments is None:
        arguments = {"arguments": given}
        to.lose(f"{path}.tool_calls", LossKind.APPROXIMATED)
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _encode_result(part: Part, to: Writing, path: str) -> dict[str, Json]:
    result = part.tool_result
    wire: dict[str, Json] = {"type": "tool_result", "tool_use_id": result.tool_call_id}
    parts = result.parts[:]
    content = encode_content(parts, to, path)
    if content or (content == "" and parts):
        wire["content"] = content
    if result.failed:
        wire["is_error"] = True
    return wire


def encode_content(parts: Sequence[Part], to: Writing, path: str) -> Json:
    """A bare text where that is all, a list of blocks otherwise."""
    text = bare_text(parts)
    if text and not text.isspace() and not parts[0].citations:
        return text
    blocks = [block for part in parts if (block := encode_part(part, part.WhichOneof("kind"), to, path)) is not None]
    return plain(blocks)


def plain(blocks: list[Json]) -> Json:
    """The text of `blocks` where one plain text is all there is, the empty text for none, else `blocks`."""
    if not blocks:
        return ""
    first = blocks[0]
    if len(blocks) == 1 and type(first) is dict and len(first) == 2 and first["type"] == "text":
        return first["text"]
    return blocks


def encode_opaque(part: Part, to: Writing, path: str) -> Json:
    """A block of this dialect verbatim; one of another is left out, and noted."""
    if part.opaque.dialect == DIALECT:
        block = loads(part.opaque.json)
        if not isinstance(block, dict):
            raise invalid_request(f"`{path}` holds a block that is not the text of a JSON object.", path)
        return msgspec.Raw(part.opaque.json.encode())
    to.lose(f"{path}.{kind_of(part.opaque.json)}")
    return None


def kind_of(json: str) -> str:
    """What a block of another dialect calls itself, for the loss report."""
    try:
        block = loads(json)
    except GatewayError:
        return "block"
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else "block"
