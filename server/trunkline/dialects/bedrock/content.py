"""The blocks of a message: each is a part of the contract, or is carried verbatim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from trunkline.call import LossKind
from trunkline.dialects.anthropic.objects import object_text
from trunkline.dialects.bedrock.cache import encode_cache, take_cache
from trunkline.dialects.bedrock.citations import CITED, decode_citation, encode_citation, is_cited, plain_texts
from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.bedrock.media import KINDS as MEDIA_KINDS
from trunkline.dialects.bedrock.media import decode_media, encode_media, is_media
from trunkline.dialects.bedrock.profile import Writing
from trunkline.dialects.turn import Kind, bare_text
from trunkline.dialects.wire import Json, Object, keys_of, loads, raw, restore, text_of
from trunkline.errors import GatewayError, invalid_request, unsupported
from trunkline.v1 import content_pb2
from trunkline.v1.content_pb2 import Part, Role

SERVER_TOOL: Final = "server_tool_use"
"""The `type` of a call that the provider runs by itself."""

_OBJECTS: Final = ("toolUse", "toolResult", "reasoningContent", "citationsContent")
_JSON: Final = '{"json":{}}'
"""What marks the text of a tool result that is a JSON value."""


def decode_blocks(wire: Object, key: str, parts: Any, role: Role.ValueType) -> None:
    """Read the blocks at `key` into `parts`."""
    for item in wire.take_objects(key):
        decode_block(item, parts, role)


def decode_block(wire: Object, parts: Any, role: Role.ValueType) -> None:
    """Read one block: an object with one key, which tells its type. What the contract has no kind for, and what a tool
    of the provider's own said, is carried verbatim."""
    fields = wire.fields
    if type(fields.get("text")) is str:
        part = parts.add()
        part.text = fields.pop("text")
        if fields:
            wire.take("type")
            wire.keep(part.extras, DIALECT)
        return
    if "cachePoint" in fields and take_cache(fields, parts[-1] if parts else None):
        return
    for kind in _OBJECTS:
        if type(fields.get(kind)) is dict and _decode_object(wire, kind, fields[kind], parts, role):
            return
    for kind in MEDIA_KINDS:
        if is_media(wire, kind):
            part = parts.add()
            decode_media(wire, kind, part.media)
            wire.keep(part.extras, DIALECT)
            return
    parts.add().opaque.MergeFrom(content_pb2.Opaque(dialect=DIALECT, json=text_of(fields)))


def _decode_object(wire: Object, kind: str, inner: dict[str, Json], parts: Any, role: Role.ValueType) -> bool:
    """Read a block that holds an object; tells whether the contract has a place for it."""
    match kind:
        case "toolUse" if inner.get("type") != SERVER_TOOL:
            part = parts.add()
            decode_call(wire, part)
        case "toolResult" if role != content_pb2.ROLE_ASSISTANT and "type" not in inner:
            part = parts.add()
            _decode_result(wire, part)
        case "reasoningContent":
            part = parts.add()
            _decode_reasoning(wire, part)
        case "citationsContent" if "content" not in inner or plain_texts(inner["content"]) is not None:
            part = parts.add()
            _decode_cited(wire, part)
        case _:
            return False
    wire.keep(part.extras, DIALECT)
    if kind == "citationsContent" and not is_cited(part):
        part.extras[DIALECT] = CITED
    return True


def decode_call(wire: Object, part: Part) -> None:
    """Read the id, the name and the input of a tool call."""
    inner = wire.take_object("toolUse")
    if inner is None:
        return
    if inner.fields.get("type") == "tool_use":
        # What every call is where nothing else is said.
        inner.take("type")
    call = part.tool_call
    call.id = inner.need_str("toolUseId")
    call.name = inner.need_str("name")
    arguments = inner.take("input")
    call.arguments_json = text_of({} if arguments is None else arguments)


def _decode_result(wire: Object, part: Part) -> None:
    inner = wire.take_object("toolResult")
    if inner is None:
        return
    result = part.tool_result
    result.tool_call_id = inner.need_str("toolUseId")
    for item in inner.take_objects("content"):
        if "json" in item.fields:
            text = text_of(item.take("json"))
            result.parts.add(text=text, extras={DIALECT: _JSON})
        else:
            decode_block(item, result.parts, content_pb2.ROLE_TOOL)
    if inner.fields.get("status") in ("success", "error"):
        result.failed = inner.take("status") == "error"


def _decode_reasoning(wire: Object, part: Part) -> None:
    inner = wire.take_object("reasoningContent")
    if inner is None:
        return
    text = inner.take_object("reasoningText") if type(inner.fields.get("reasoningText")) is dict else None
    part.reasoning.text = (text.take_str("text") or "") if text is not None else ""
    part.reasoning.redacted = type(inner.fields.get("redactedContent")) is str


def _decode_cited(wire: Object, part: Part) -> None:
    inner = wire.take_object("citationsContent")
    if inner is None:
        return
    part.text = plain_texts(inner.take("content") or []) or ""
    part.citations.extend(decode_citation(item) for item in inner.take_objects("citations"))


def encode_part(part: Part, kind: Kind, to: Writing, path: str) -> Json:
    """Write one part, of `kind`, of a request as a block; None where nothing of it can or need be sent."""
    wire: dict[str, Json]
    match kind:
        case "text":
            wire = _encode_text(part, to, path)
            # The API refuses blank texts.
            if not wire:
                return None
        case "refusal":
            if not part.refusal or part.refusal.isspace():
                return None
            wire = {"text": part.refusal}
        case "media":
            wire = encode_media(part.media, to, path)
        case "tool_call":
            wire = encode_call(part, to, path)
        case "tool_result":
            wire = _encode_result(part, to, path)
        case "reasoning":
            return encode_own_reasoning(part) if to.profile.reasoning == "thinking" else None
        case "opaque":
            return encode_opaque(part, to, path)
        case None:
            raise unsupported(f"`{path}` has a part of a kind that this gateway does not know.", path)
    if part.extras:
        restore(wire, part.extras, DIALECT)
    return wire


def _encode_text(part: Part, to: Writing, path: str) -> dict[str, Json]:
    text = part.text
    if not part.citations and not part.extras:
        return {"text": text} if text and not text.isspace() else {}
    if is_cited(part):
        own = [encode_citation(citation) for citation in part.citations]
        return {"citationsContent": {**({"content": [{"text": text}]} if text else {}), "citations": own}}
    if part.citations:
        to.lose(f"{path}.annotations")
    return {"text": text} if text and not text.isspace() else {}


def encode_own_reasoning(part: Part) -> dict[str, Json] | None:
    """Reasoning that this dialect wrote and a signature seals, byte for byte; None for any other, which nobody could
    check."""
    if DIALECT not in part.extras:
        return None
    inner: dict[str, Json] = {} if part.reasoning.redacted else {"reasoningText": {"text": part.reasoning.text}}
    wire: dict[str, Json] = {"reasoningContent": inner}
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
    return {"toolUse": {"toolUseId": call.id, "name": call.name, "input": arguments}}


def _encode_result(part: Part, to: Writing, path: str) -> dict[str, Json]:
    result = part.tool_result
    wire: dict[str, Json] = {"toolUseId": result.tool_call_id, "content": _contents(result.parts[:], to, path)}
    if result.failed:
        if to.profile.result_status:
            wire["status"] = "error"
        else:
            to.lose(f"{path}.is_error")
    return {"toolResult": wire}


def _contents(parts: Sequence[Part], to: Writing, path: str) -> list[Json]:
    text = bare_text(parts)
    if text and not text.isspace() and not parts[0].citations:
        return [{"text": text}]
    blocks: list[Json] = []
    for part in parts:
        kind = part.WhichOneof("kind")
        if kind == "text" and DIALECT in part.extras and "json" in keys_of(part.extras[DIALECT]):
            blocks.append({"json": raw(part.text, f"{path}.tool_result")})
            continue
        block = encode_part(part, kind, to, path)
        if type(block) is dict and "audio" in block:
            raise unsupported(f"`{path}` holds audio in a tool result, which this target cannot read.", path)
        if block is not None:
            blocks.append(block)
    return blocks


def encode_opaque(part: Part, to: Writing, path: str) -> Json:
    """A block of this dialect verbatim. One of another is left out, and noted."""
    if part.opaque.dialect != DIALECT:
        to.lose(f"{path}.{kind_of(part.opaque.json)}")
        return None
    if not isinstance(loads(part.opaque.json), dict):
        raise invalid_request(f"`{path}` must be the text of a JSON object.", path)
    return msgspec.Raw(part.opaque.json.encode())


def kind_of(text: str) -> str:
    """What another provider calls its block: its `type`, else its only key."""
    try:
        value = loads(text)
    except GatewayError:
        return "opaque"
    if not isinstance(value, dict):
        return "opaque"
    kind = value.get("type") or next(iter(value), "opaque")
    return kind if isinstance(kind, str) else "opaque"


def cache_block(part: Part, kind: Kind, to: Writing) -> dict[str, Json] | None:
    """The mark behind a part of `kind`, where it, or something in it, asks for one."""
    if part.HasField("cache"):
        return encode_cache(part.cache, to)
    if kind == "tool_result":
        for inner in part.tool_result.parts[:]:
            if inner.HasField("cache"):
                return encode_cache(inner.cache, to)
    return None
