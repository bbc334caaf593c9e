"""What a file is, by its first bytes and by what its server says."""

from __future__ import annotations

import re
from typing import Final

SORTS: Final = frozenset({"image", "audio", "video", "document"})
"""The sorts of media."""

_SIGNATURES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS: Final = {b"avif": "image/avif", b"heic": "image/heic", b"mif1": "image/heif", b"M4A ": "audio/mp4"}
"""The brand of an ISO media file -> its type; video where it is another."""

_UNKNOWN: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-download"})
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "application/x-pdf": "application/pdf",
}

_WEAK: Final = frozenset({"image/bmp", "audio/mpeg", "audio/aac"})
"""Types whose signature is short: whatever the server says goes before it."""
_SHARED: Final = frozenset({"audio/ogg", "video/webm", "video/mp4"})
"""Types that share their signature: what the server says goes before it where that is sound or moving pictures, too."""
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
"""What a type looks like (RFC 6838)."""


def sniff(data: bytes) -> str:
    """The type that the first bytes tell; empty where they tell none."""
    for signature, media_type in _SIGNATURES:
        if data.startswith(signature):
            return media_type
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video/mp4")
    return ""


def media_type_of(data: bytes, said: str) -> str:
    """The type of `data`, of which its server says that it is `said`; empty where neither tells."""
    told = said.partition(";")[0].strip().lower()
    told = _ALIASES.get(told, told)
    if told in _UNKNOWN or not _TYPE.fullmatch(told):
        told = ""
    seen = sniff(data)
    if not seen or (told and (seen in _WEAK or (seen in _SHARED and sort_of(told) in ("audio", "video")))):
        return told
    return seen


def sort_of(media_type: str) -> str:
    """`image`, `audio` or `video`; `document` for anything else."""
    sort = media_type.partition("/")[0]
    return sort if sort in ("image", "audio", "video") else "document"
