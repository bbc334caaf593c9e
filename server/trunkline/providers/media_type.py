"""What a file is, by its first bytes and by what its server says."""

from __future__ import annotations

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
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS: Final = {b"avif": "image/avif", b"heic": "image/heic", b"mif1": "image/heif", b"M4A ": "audio/mp4"}
"""The brand of an ISO media file -> its type; video where it is another."""

_UNKNOWN: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-download"})
_ALIASES: Final = {"image/jpg": "image/jpeg", "audio/x-wav": "audio/wav", "audio/mp3": "audio/mpeg"}

_WEAK: Final = frozenset({"image/bmp", "audio/ogg", "video/webm"})
"""Types whose signature is short, or shared: what the server says of the same sort goes before it."""


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
    seen = sniff(data)
    if not seen or (seen in _WEAK and told not in _UNKNOWN):
        return "" if told in _UNKNOWN else told
    return seen


def sort_of(media_type: str) -> str:
    """`image`, `audio` or `video`; `document` for anything else."""
    sort = media_type.partition("/")[0]
    return sort if sort in ("image", "audio", "video") else "document"
