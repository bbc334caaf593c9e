"""The parts of a message that are images, sounds and documents."""

from __future__ import annotations

import base64
from typing import Final

from trunkline.dialects.openai.media import sound_format
from trunkline.dialects.wire import Json, Object
from trunkline.errors import invalid_request, unsupported
from trunkline.v1.content_pb2 import Media

KINDS: Final = frozenset({"input_image", "input_file", "input_audio"})
"""The types of part that hold a medium."""


def decode_media(wire: Object, kind: str, media: Media) -> None:
    """Read a part of `kind`. A `data:` URL stays as it is."""
    if kind == "input_audio":
        inner = wire.take_object("input_audio") or Object({}, parent=wire, key="input_audio")
        media.media_type = f"audio/{inner.need_str('format')}"
        media.uri = f"data:{media.media_type};base64,{inner.need_str('data')}"
        return
    file_id = wire.take_str("file_id")
    if kind == "input_image":
        uri = wire.take_str("image_url")
        media.media_type = _media_type(uri) or "image/*"
    else:
        uri = wire.take_str("file_data") or wire.take_str("file_url")
        media.media_type = _media_type(uri) or "application/octet-stream"
        media.filename = wire.take_str("filename") or ""
    if file_id is not None:
        media.file_id = file_id
    elif uri is not None:
        media.uri = uri
    else:
        name = wire.at("image_url" if kind == "input_image" else "file_data")
        raise invalid_request(f"`{name}` is required.", name)


def sort_of(media: Media) -> str:
    """The sort of medium: `image`, `audio` or `video`, or what else its type begins with."""
    return media.media_type.partition("/")[0]


def encode_media(media: Media, path: str, *, is_file: bool = False) -> dict[str, Json]:
    """A part that holds `media`, as a file where it `is_file` whatever it holds.

    Raises `GatewayError` (UNSUPPORTED) where no type of part can.
    """
    sort = "" if is_file else sort_of(media)
    if sort == "video":
        raise unsupported(f"`{path}` is a video, which this target cannot take.", path)
    if sort == "audio":
        return _audio(media, path)
    if sort == "image":
        if media.WhichOneof("source") == "file_id":
            return {"type": "input_image", "detail": "auto", "file_id": media.file_id}
        return {"type": "input_image", "detail": "auto", "image_url": _url(media, path)}
    file: dict[str, Json] = {"type": "input_file"}
    if media.filename:
        file["filename"] = media.filename
    # Read once: each reading of a field copies it, and this one may be large.
    uri = media.uri
    if media.WhichOneof("source") == "file_id":
        file["file_id"] = media.file_id
    elif uri.startswith(("http://", "https://")):
        file["file_url"] = uri
    else:
        file["file_data"] = uri or _url(media, path)
        if not media.filename:
            # The API refuses data without a name.
            file["filename"] = f"file.{_SUFFIXES.get(media.media_type, 'bin')}"
    return file


_SUFFIXES: Final = {
    "application/pdf": "pdf",
    "application/json": "json",
    "text/plain": "txt",
    "text/html": "html",
    "text/markdown": "md",
    "text/csv": "csv",
}


def _audio(media: Media, path: str) -> dict[str, Json]:
    uri = media.uri
    match media.WhichOneof("source"):
        case "data":
            data = base64.b64encode(media.data).decode()
        case "uri" if uri.startswith("data:"):
            data = uri.partition(",")[2]
        case _:
            raise unsupported(f"`{path}` is audio by address, which this format cannot hold: send its data.", path)
    return {"type": "input_audio", "input_audio": {"data": data, "format": sound_format(media.media_type)}}


def _media_type(uri: str | None) -> str:
    if uri is None or not uri.startswith("data:"):
        return ""
    return uri[5 : uri.find(",", 5, 261)].partition(";")[0]


def _url(media: Media, path: str) -> str:
    match media.WhichOneof("source"):
        case "uri":
            return media.uri
        case "data":
            return f"data:{media.media_type};base64,{base64.b64encode(media.data).decode()}"
        case _:
            raise unsupported(f"`{path}` holds no medium.", path)
