"""The blocks of a message that are images, documents, videos and sounds."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from trunkline.dialects.bedrock.profile import Writing
from trunkline.dialects.wire import Json, Object
from trunkline.errors import invalid_request, unsupported
from trunkline.v1.content_pb2 import Media

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"

_SOUNDS: Final = (
    *("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv"),
    *("mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"),
)

_TYPES: Final[dict[str, dict[str, str]]] = {
    "image": {name: f"image/{name}" for name in ("png", "jpeg", "gif", "webp")},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {name: f"audio/{name}" for name in _SOUNDS},
}
"""Kind of block -> its formats -> their media types."""

KINDS: Final = frozenset(_TYPES)

_FORMATS: Final[Mapping[str, tuple[str, str]]] = {
    **{media_type: (kind, name) for kind, types in _TYPES.items() for name, media_type in types.items()},
    "image/jpg": ("image", "jpeg"),
    "audio/x-wav": ("audio", "wav"),
    "audio/wave": ("audio", "wav"),
    "audio/vnd.wave": ("audio", "wav"),
    "audio/x-flac": ("audio", "flac"),
    "audio/x-m4a": ("audio", "m4a"),
    "audio/x-matroska": ("audio", "mka"),
    "audio/l16": ("audio", "pcm"),
    "application/json": ("document", "txt"),
    "application/xml": ("document", "txt"),
    "application/yaml": ("document", "txt"),
}
"""Media type -> kind of block and format. Other kinds of text are documents of the format `txt`."""

_ENDINGS: Final[Mapping[str, tuple[str, str]]] = {
    **{name: (kind, name) for kind in ("image", "document", "video") for name in _TYPES[kind]},
    "jpg": ("image", "jpeg"),
    "3gp": ("video", "three_gp"),
    **{name: ("audio", name) for name in ("mp3", "wav", "flac", "ogg", "opus", "m4a", "aac")},
}
"""How the name of a file ends -> kind of block and format, where the media type is not known."""

_NAME: Final = re.compile(r"(?! )(?:[0-9A-Za-z_()\[\]-]| (?! |$)){1,200}")
"""A name that the API takes for a document: it also takes the underscore, which its description does not tell."""
_ILLEGAL: Final = re.compile(r"[^0-9A-Za-z_()\[\] -]+")
_MOST_NAME: Final = 190


def is_media(wire: Object, kind: str) -> bool:
    """Whether a block of `kind` holds a medium in a form that the contract can hold."""
    inner = wire.fields.get(kind)
    if type(inner) is not dict:
        return False
    name, source = inner.get("format"), inner.get("source")
    if type(name) is not str or name not in _TYPES[kind] or type(source) is not dict:
        return False
    if kind == "document" and type(inner.get("name")) is not str:
        return False
    place = source.get("s3Location")
    return type(source.get("bytes")) is str or (type(place) is dict and type(place.get("uri")) is str)


def decode_media(wire: Object, kind: str, media: Media) -> None:
    """Read a block that `is_media`. Base64 stays as it is, in a `data:` URL."""
    inner = wire.take_object(kind)
    source = inner.take_object("source") if inner is not None else None
    if inner is None or source is None:
        return
    media.media_type = _TYPES[kind][inner.need_str("format")]
    data = source.take_str("bytes")
    if data is not None:
        media.uri = f"data:{media.media_type};base64,{data}"
    else:
        place = source.take_object("s3Location")
        media.uri = place.need_str("uri") if place is not None else ""
    if kind == "document":
        media.filename = inner.need_str("name")


def encode_media(media: Media, to: Writing, path: str) -> dict[str, Json]:
    """A block that holds `media`. Raises `GatewayError` (UNSUPPORTED) where no block can."""
    # Read once: each reading of a field copies it, and this one may be large.
    uri = media.uri
    media_type, data = media.media_type.partition(";")[0].lower(), None
    match media.WhichOneof("source"):
        case "data":
            data = base64.b64encode(media.data).decode()
        case "uri" if uri.startswith("data:"):
            written, data = _read(uri)
            media_type = written if written and (not media_type or media_type.endswith("/*")) else media_type
        case "uri" if not uri.startswith("s3://"):
            raise unsupported(f"`{path}` holds an address, which this target cannot fetch: send the data.", path)
        case "file_id":
            raise unsupported(f"`{path}` names an uploaded file, which this target does not know: send the data.", path)
        case None:
            raise invalid_request(f"`{path}` has no content.", path)
    kind, name = _format(media_type, media.filename or (uri if data is None else ""), path)
    block: dict[str, Json] = {"format": name}
    if kind == "document":
        block["name"] = _document_name(media.filename, to.documents)
    block["source"] = {"s3Location": {"uri": uri}} if data is None else {"bytes": data}
    return {kind: block}


def _format(media_type: str, filename: str, path: str) -> tuple[str, str]:
    known = _FORMATS.get(media_type)
    if known is None and media_type.startswith("text/"):
        return "document", "txt"
    if known is None and (media_type.endswith("/*") or media_type in ("", "application/octet-stream")):
        known = _ENDINGS.get(filename.rpartition(".")[2].lower())
        if known is not None and media_type.endswith("/*") and not media_type.startswith((f"{known[0]}/", "*")):
            known = None
    if known is None:
        raise unsupported(f"`{path}` is `{media_type or 'of an unknown type'}`, which this target cannot read.", path)
    return known


def _document_name(filename: str, taken: set[str]) -> str:
    """The name of the file as far as the API takes it, which also wants it to be the only one of that name."""
    name = filename
    if not _NAME.fullmatch(name):
        stem, dot, ending = name.rpartition(".")
        if dot and ending.lower() in _ENDINGS:
            name = stem
        name = " ".join(_ILLEGAL.sub("-", name).split())[:_MOST_NAME].strip(" -") or "Document"
    number, unique = 1, name
    while unique.lower() in taken:
        number += 1
        unique = f"{name[:_MOST_NAME].rstrip()} {number}"
    taken.add(unique.lower())
    return unique


def _read(uri: str) -> tuple[str, str]:
    """The media type and the base64 of a `data:` URL; its content is sliced out, not decoded."""
    comma = uri.find(",", 5, 512)
    if comma < 0:
        return "", ""
    media_type, *parameters = uri[5:comma].split(";")
    content = uri[comma + 1 :]
    return media_type.lower(), content if "base64" in parameters else base64.b64encode(
        unquote_to_bytes(content)
    ).decode()
