"""What a file is, by its first bytes and by what its server says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.media_type import SORTS, media_type_of, sort_of


@pytest.mark.parametrize(
    ("data", "said", "is_"),
    [
        (b"\x89PNG\r\n\x1a\n", "text/plain", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/x-wav", "audio/wav"),
        (b"RIFF\x00\x00\x00\x00what", "", ""),
        (b"\x00\x00\x00\x20ftypavif", "", "image/avif"),
        (b"\x00\x00\x00\x20ftypisom", "application/octet-stream", "video/mp4"),
        (b"\x00\x00\x00\x20ftypmp42", "audio/mp4", "audio/mp4"),
        (b"\x00\x00\x00\x20ftypqt  ", "video/quicktime", "video/quicktime"),
        (b"\x00\x00\x00\x20ftypisom", "text/html", "video/mp4"),
        (b"\x1aE\xdf\xa3", "audio/webm", "audio/webm"),
        (b"<svg/>", "image/svg+xml; charset=utf-8", "image/svg+xml"),
        (b"BMW is a car", "text/plain", "text/plain"),
        (b"BM\x00\x00", "", "image/bmp"),
        (b"\xff\xfb\x90", "audio/mpeg", "audio/mpeg"),
        (b"\xff\xf1\x50", "", "audio/aac"),
        (b"\xff\xd8\xff\xe0", "image/jpg", "image/jpeg"),
        (b"words", "image/jpg", "image/jpeg"),
        (b"words", "IMAGE/JPEG ; q=1", "image/jpeg"),
        (b"words", "application/octet-stream", ""),
        (b"words", "no type", ""),
        (b"words", "image/" + "x" * 200, ""),
        (b"words", 'image/png"\x00', ""),
        (b"", "", ""),
    ],
)
def test_types(data: bytes, said: str, is_: str) -> None:
    """The first bytes decide, then what the server says, where that is a type at all."""
    assert media_type_of(data, said) == is_


@given(st.binary(max_size=16), st.text(max_size=40))
def test_any_bytes_and_any_word(data: bytes, said: str) -> None:
    """There comes a type out of it, or none, and never what a server made up."""
    found = media_type_of(data, said)
    assert found == "" or re.fullmatch(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", found)
    assert sort_of(found) in SORTS


@pytest.mark.parametrize(
    ("media_type", "sort"),
    [
        ("image/*", "image"),
        ("audio/wav", "audio"),
        ("video/mp4", "video"),
        ("text/plain", "document"),
        ("", "document"),
    ],
)
def test_sorts(media_type: str, sort: str) -> None:
    """What is neither seen nor heard is a document."""
    assert sort_of(media_type) == sort
