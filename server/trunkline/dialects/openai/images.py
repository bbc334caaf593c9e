"""What the assistant drew: `images` of its message, as OpenRouter has it, in answers and in what clients send back."""

from __future__ import annotations

from typing import Any, Final

from trunkline.dialects.openai.content import DIALECT, decode_part, encode_part
from trunkline.dialects.openai.extra_content import put_foreign
from trunkline.dialects.openai.media import encode_media
from trunkline.dialects.openai.profile import Writing
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1.content_pb2 import Part

IMAGES: Final = "images"

_INDEX: Final = "index"
"""The place among the images, by which clients put the chunks of a stream together."""


def take_images(wire: Object, parts: Any) -> None:
    """Read the images of a message into `parts`, a repeated field. What callers call so and is none stays."""
    images = wire.fields.get(IMAGES)
    if not images or not (wire.lenient or (type(images) is list and all(map(_is_image, images)))):
        return
    for item in wire.take_objects(IMAGES):
        decode_image(item, parts.add())


def _is_image(item: Json) -> bool:
    inner = item.get("image_url") if type(item) is dict and item.get("type") == "image_url" else None
    return type(inner) is str or (type(inner) is dict and type(inner.get("url")) is str)


def decode_image(wire: Object, part: Part) -> None:
    """Read one image."""
    if type(wire.fields.get(_INDEX)) is int:
        del wire.fields[_INDEX]
    decode_part(wire, part)


def encode_image(part: Part, index: int, to: Writing, path: str) -> dict[str, Json]:
    """Write an image for a server."""
    return {_INDEX: index, **encode_part(part, to, path)}


def encode_drawn(part: Part, index: int) -> dict[str, Json]:
    """Write an image for a client, with what other dialects need back."""
    wire = {_INDEX: index, **encode_media(part.media, "message")}
    restore(wire, part.extras, DIALECT)
    put_foreign(wire, part.extras)
    return wire
