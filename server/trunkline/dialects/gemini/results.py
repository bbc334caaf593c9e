"""What functions returned: an object in Gemini, parts in the contract."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from trunkline.dialects.anthropic.objects import object_text
from trunkline.dialects.gemini.media import decode_file, decode_inline, encode_media
from trunkline.dialects.gemini.names import camel
from trunkline.dialects.turn import bare_text
from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.errors import unsupported
from trunkline.v1.content_pb2 import Part, ToolResult

_OUTPUT: Final = "output"
_ERROR: Final = "error"
"""The keys that Google itself reads: what a function returned, and why it failed."""

_OWN: Final = re.compile(r'\{\s*"(?:output|error)"')


def decode_plain_result(said: str, result: ToolResult) -> None:
    """Read the `response` of a `functionResponse`, the text of a JSON object."""
    if _OWN.match(said) is None:
        result.parts.add().text = said
    else:
        _put(loads(said), result)


def decode_result(wire: Object, result: ToolResult) -> None:
    """Read a `functionResponse`, but for its id. An object with other keys than Google's own is JSON text."""
    result.name = wire.need_str("name")
    _put(wire.take_dict("response") or {}, result)
    for item in wire.take_objects("parts"):
        camel(item.fields)
        _decode_media(item, result.parts.add())


def _put(fields: dict[str, Json], result: ToolResult) -> None:
    text, failed = _plain(fields)
    if failed:
        result.failed = True
    result.parts.add().text = text_of(fields) if text is None else text


def _plain(fields: dict[str, Json]) -> tuple[str | None, bool]:
    """The text of `{"output": text}` or `{"error": text}`, unless it would be taken for an object on its way back."""
    if len(fields) == 1:
        (key, value), *_ = fields.items()
        if isinstance(value, str) and key in (_OUTPUT, _ERROR) and _object(value) is None:
            return value, key == _ERROR
    return None, False


def _decode_media(wire: Object, part: Part) -> None:
    inline = wire.take_object("inlineData")
    if inline is not None:
        decode_inline(inline, part.media)
        return
    file = wire.take_object("fileData")
    if file is None:
        raise unsupported(f"`{wire.path}` must be `inlineData` or `fileData`.", wire.path)
    decode_file(file, part.media)


def encode_result(result: ToolResult, name: str, *, media: bool, path: str) -> tuple[dict[str, Json], list[Json]]:
    """A `functionResponse`, but for its id, and the parts to stand beside it: media, where it may not hold `media`."""
    parts = result.parts[:]
    text = bare_text(parts)
    if text:
        return {"name": name, "response": _response([text], failed=result.failed)}, []
    texts: list[str] = []
    holds: list[Json] = []
    for part in parts:
        match part.WhichOneof("kind"):
            case "text":
                texts.append(part.text)
            case "media":
                holds.append(encode_media(part.media, path))
            case _:
                raise unsupported(f"`{path}` holds what the result of a tool cannot be for this target.", path)
    wire: dict[str, Json] = {"name": name, "response": _response(texts, failed=result.failed)}
    if holds and media:
        wire["parts"] = holds
        holds = []
    return wire, holds


def _response(texts: Sequence[str], *, failed: bool) -> Json:
    text = texts[0] if len(texts) == 1 else "\n".join(texts)
    if failed:
        return {_ERROR: text}
    fields = _object(text)
    return {_OUTPUT: text} if fields is None else fields


def _object(text: str) -> Json:
    """The JSON object that `text` is, to be written as it is; None where it is none."""
    return object_text(text) if text.lstrip().startswith("{") else None
