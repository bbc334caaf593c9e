"""The blocks of a message that are images and documents."""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from trunkline.dialects.wire import Json, Object
from trunkline.errors import invalid_request, unsupported
from trunkline.v1.content_pb2 import Media

_TEXTS: Final = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
"""Media types beside `text/*` that are text."""

_SOURCES: Final = frozenset({"base64", "url", "file", "text"})


def is_media(block: Object) -> bool:
    """Whether a block is an image or a document whose content is of a form that the contract can hold."""
    source = block.fields.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    return isinstance(kind, str) and kind in _SOURCES


def decode_media(wire: Object, kind: str, media: Media) -> None:
    """Read a block of `kind`, `image` or `document`. Base64 stays as it is, in a `data:` URL."""
    source = wire.take_object("source")
    if source is None:
        raise invalid_request(f"`{wire.at('source')}` is required.", wire.at("source"))
    form = source.take_str("type")
    fallback = "image/*" if kind == "image" else "application/pdf"
    if form == "base64":
        media.media_type = source.take_str("media_type") or fallback
        media.uri = f"data:{media.media_type};base64,{source.need_str('data')}"
    elif form == "text":
        media.media_type = source.take_str("media_type") or "text/plain"
        media.data = source.need_str("data").encode()
    elif form == "url":
        media.media_type = fallback
        media.uri = source.need_str("url")
    else:
        media.media_type = fallback
        media.file_id = source.need_str("file_id")
    if kind == "document":
        media.filename = wire.take_str("title") or ""


def markdown(media: Media) -> str:
    """`media` as a piece of Markdown, with the content in it where it is known."""
    uri = media.uri
    if media.WhichOneof("source") == "data":
        uri = f"data:{media.media_type};base64,{base64.b64encode(media.data).decode('ascii')}"
    sort = media.media_type.partition("/")[0]
    mark = "!" if sort == "image" else ""
    return f"{mark}[{media.filename or sort or 'file'}]({uri or media.file_id})"


def encode_media(media: Media, path: str) -> dict[str, Json]:
    """A block that holds `media`. Raises `GatewayError` (UNSUPPORTED) where no block can."""
    sort = media.media_type.partition("/")[0]
    if sort in ("audio", "video"):
        raise unsupported(f"`{path}` is {sort}, which this target cannot read.", path)
    # Read once: each reading of a field copies it, and this one may be large.
    uri = media.uri
    if sort == "image":
        return {"type": "image", "source": _source(media, uri, path)}
    block: dict[str, Json] = {"type": "document"}
    inline = media.WhichOneof("source") == "data" or uri.startswith("data:")
    if inline and (sort == "text" or media.media_type in _TEXTS):
        block["source"] = {"type": "text", "media_type": "text/plain", "data": _text(media, uri, path)}
    elif not inline or media.media_type == "application/pdf":
        block["source"] = _source(media, uri, path)
    else:
        raise unsupported(f"`{path}` is `{media.media_type}`, which this target cannot read: send a PDF or text.", path)
    if media.filename:
        block["title"] = media.filename
    return block


def _source(media: Media, uri: str, path: str) -> dict[str, Json]:
    match media.WhichOneof("source"):
        case "file_id":
            return {"type": "file", "file_id": media.file_id}
        case "uri" if uri.startswith("data:"):
            url = _read(uri)
            data = url.data if url.is_base64 else base64.b64encode(unquote_to_bytes(url.data)).decode()
            return {"type": "base64", "media_type": _media_type(media, url.media_type), "data": data}
        case "uri":
            return {"type": "url", "url": uri}
        case "data":
            data = base64.b64encode(media.data).decode()
            return {"type": "base64", "media_type": _media_type(media, ""), "data": data}
        case _:
            raise invalid_request(f"`{path}` has no content.", path)


def _text(media: Media, uri: str, path: str) -> str:
    if media.WhichOneof("source") == "data":
        return media.data.decode("utf-8", "replace")
    url = _read(uri)
    try:
        content = base64.b64decode(url.data) if url.is_base64 else unquote_to_bytes(url.data)
    except (binascii.Error, ValueError):
        raise invalid_request(f"`{path}` is not valid base64.", path) from None
    return content.decode("utf-8", "replace")


class _DataUrl(NamedTuple):
    media_type: str
    is_base64: bool
    data: str


def _read(uri: str) -> _DataUrl:
    """The pieces of a `data:` URL; its content is sliced out, not decoded."""
    comma = uri.find(",", 5, 512)
    if comma < 0:
        return _DataUrl("", False, "")
    media_type, *parameters = uri[5:comma].split(";")
    return _DataUrl(media_type, "base64" in parameters, uri[comma + 1 :])


def _media_type(media: Media, written: str) -> str:
    """What is known of the type: never a wildcard where the content itself says more."""
    return written if written and media.media_type.endswith("/*") else media.media_type
