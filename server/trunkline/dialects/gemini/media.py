"""The parts of a content that are images, sounds, videos and documents."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from trunkline.dialects.gemini.names import camel
from trunkline.dialects.wire import Json, Object
from trunkline.errors import unsupported
from trunkline.v1.content_pb2 import Media

FILES: Final = "https://generativelanguage.googleapis.com/v1beta/"
"""Where the files are that were uploaded to the Gemini API: their ids begin with `files/`."""

_EXTENSIONS: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/md",
    "csv": "text/csv",
    "html": "text/html",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "avi": "video/avi",
}
"""The end of an address -> the media type that it promises."""


_STANDARD: Final = str.maketrans("-_", "+/")


def decode_inline(wire: Object, media: Media) -> None:
    """Read an `inlineData`. Its base64 stays text, in the alphabet that all read: Google's clients use another."""
    camel(wire.fields)
    media.media_type = wire.take_str("mimeType") or ""
    data = wire.need_str("data")
    if "-" in data or "_" in data:
        data = data.translate(_STANDARD)
    media.uri = f"data:{media.media_type};base64,{data}"
    media.filename = wire.take_str("displayName") or ""


def decode_file(wire: Object, media: Media) -> None:
    """Read a `fileData`."""
    camel(wire.fields)
    media.media_type = wire.take_str("mimeType") or ""
    media.uri = wire.need_str("fileUri")
    media.filename = wire.take_str("displayName") or ""


def encode_media(media: Media, path: str) -> dict[str, Json]:
    """A part that holds `media`. Raises `GatewayError` (UNSUPPORTED) where none can."""
    # Read once: each reading of a field copies it, and this one may be large.
    uri = media.uri
    match media.WhichOneof("source"):
        case "data":
            return {"inlineData": _inline(media, media.media_type, base64.b64encode(media.data).decode())}
        case "uri" if uri.startswith("data:"):
            head, _, data = uri.partition(",")
            media_type = head[5:].removesuffix(";base64")
            if not head.endswith(";base64"):
                data = base64.b64encode(unquote_to_bytes(data)).decode()
            return {"inlineData": _inline(media, media_type or media.media_type, data)}
        case "uri":
            return {"fileData": _file(media, uri)}
        case "file_id" if media.file_id.startswith("files/"):
            return {"fileData": _file(media, FILES + media.file_id)}
        case _:
            raise unsupported(f"`{path}` names a file that was not uploaded to Gemini.", path)


def _inline(media: Media, media_type: str, data: str) -> dict[str, Json]:
    wire: dict[str, Json] = {"mimeType": media_type or "application/octet-stream", "data": data}
    if media.filename:
        wire["displayName"] = media.filename
    return wire


def _file(media: Media, uri: str) -> dict[str, Json]:
    wire: dict[str, Json] = {}
    media_type = media.media_type
    if media_type in ("", "application/octet-stream") or media_type.endswith("/*"):
        # Google wants the exact type. Where the address does not tell it, Google may still find out.
        media_type = _EXTENSIONS.get(urlsplit(uri).path.rpartition(".")[2].lower(), "")
    if media_type:
        wire["mimeType"] = media_type
    wire["fileUri"] = uri
    if media.filename:
        wire["displayName"] = media.filename
    return wire
