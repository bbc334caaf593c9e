"""The parts of a message that are images, sounds, videos and documents."""

from __future__ import annotations

import base64
import re
from typing import Final

from trunkline.dialects.wire import Json, Object
from trunkline.errors import unsupported
from trunkline.v1.content_pb2 import Media

_URL_KEYS: Final = {"image_url": "image/*", "video_url": "video/*"}
"""Types of part that hold an address under their own name -> what is known of the medium."""

_SOUNDS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
"""Subtypes of sounds that the format has another name for."""

_SOUND_HEADS: Final = {"UklG": "audio/wav", "Zkxh": "audio/flac", "T2dn": "audio/ogg"}
"""How sounds begin in base64 -> what they are; any other is taken for MP3."""

_ADDRESS: Final = re.compile(r"(?:https?://|data:)", re.IGNORECASE)

_SORTS: Final = ("image/", "video/", "audio/")
_OTHER: Final = "application/octet-stream"


def decode_media(wire: Object, kind: str, media: Media) -> None:
    """Read a part of `kind`: `image_url`, `video_url`, `input_audio` or `file`. A `data:` URL stays as it is."""
    if kind in _URL_KEYS and type(wire.fields.get(kind)) is str:
        # Mistral's form: the address alone.
        wire.fields[kind] = {"url": wire.fields[kind]}
    if kind == "input_audio" and type(wire.fields.get(kind)) is str:
        # Mistral's form: the address, or the data alone, of which Mistral itself looks what sort it is.
        sound = wire.take_str(kind) or ""
        media.media_type = _media_type(sound) or _SOUND_HEADS.get(sound[:4], "audio/mpeg")
        media.uri = sound if _ADDRESS.match(sound) else f"data:{media.media_type};base64,{sound}"
        return
    inner = wire.take_object(kind)
    if inner is None:
        inner = Object({}, parent=wire, key=kind)
    if kind in _URL_KEYS:
        url = inner.need_str("url")
        media.uri = url
        known = _media_type(url)
        media.media_type = known if known.startswith(_URL_KEYS[kind][:-1]) else _URL_KEYS[kind]
    elif kind == "input_audio":
        media.media_type = f"audio/{inner.need_str('format')}"
        media.uri = f"data:{media.media_type};base64,{inner.need_str('data')}"
    else:
        media.filename = inner.take_str("filename") or ""
        file_id = inner.take_str("file_id")
        if file_id is None:
            data = inner.need_str("file_data")
            media.uri = data
            known = _media_type(data)
            # One that has a part of its own would be written as such.
            media.media_type = _OTHER if not known or known.startswith(_SORTS) else known
        else:
            media.file_id = file_id
            media.media_type = _OTHER


def encode_media(media: Media, path: str) -> dict[str, Json]:
    """A part that holds `media`. Raises `GatewayError` (UNSUPPORTED) where no type of part can."""
    sort = media.media_type.partition("/")[0]
    if sort in ("image", "video"):
        return {"type": f"{sort}_url", f"{sort}_url": {"url": _url(media, path)}}
    if sort == "audio":
        data = _base64(media)
        if data is None:
            raise unsupported(f"`{path}` is audio by address, which this format cannot hold: send its data.", path)
        return {"type": "input_audio", "input_audio": {"data": data, "format": sound_format(media.media_type)}}
    file: dict[str, Json] = {}
    if media.filename:
        file["filename"] = media.filename
    if media.WhichOneof("source") == "file_id":
        file["file_id"] = media.file_id
    else:
        file["file_data"] = _url(media, path)
    return {"type": "file", "file": file}


def sound_format(media_type: str) -> str:
    """What the format calls a sound, such as `mp3`."""
    subtype = media_type.partition("/")[2]
    return _SOUNDS.get(subtype, subtype)


def _media_type(uri: str) -> str:
    if not uri.startswith("data:"):
        return ""
    return uri[5 : uri.find(",", 5, 261)].partition(";")[0]


def _url(media: Media, path: str) -> str:
    match media.WhichOneof("source"):
        case "uri":
            return media.uri
        case "data":
            return f"data:{media.media_type};base64,{base64.b64encode(media.data).decode()}"
        case _:
            raise unsupported(f"`{path}` names an uploaded file, which this format takes for documents alone.", path)


def _base64(media: Media) -> str | None:
    # Read once: each reading of a field copies it, and this one may be large.
    uri = media.uri
    match media.WhichOneof("source"):
        case "data":
            return base64.b64encode(media.data).decode()
        case "uri" if uri.startswith("data:"):
            return uri.partition(",")[2]
        case _:
            return None
