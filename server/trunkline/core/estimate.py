"""How many tokens a request is, where nobody can be asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Media, Part

_ASCII_PER_TOKEN: Final = 4
"""Characters of English or of JSON in a token, about."""

_PER_MESSAGE: Final = 4
"""Tokens that mark who speaks."""

_PER_TOOL: Final = 8

_IMAGE: Final = 1_600
"""Tokens of an image of a million pixels at Anthropic, the dearest of the large providers."""

_MEDIA_BYTES_PER_TOKEN: Final = 64
"""Bytes of sound, of video or of a document in a token, about."""


def estimate_tokens(request: ChatRequest) -> int:
    """About how many tokens a model would read of `request`."""
    total = 0
    for message in request.messages:
        total += _PER_MESSAGE + _of_text(message.name) + _of_parts(message.parts)
    for prompt in request.completion.prompts:
        total += len(prompt.tokens.ids) + _of_text(prompt.text)
    total += _of_text(request.completion.suffix)
    for tool in request.tools:
        function = tool.function
        total += _PER_TOOL
        total += _of_text(function.name) + _of_text(function.description) + _of_text(function.parameters_json)
        total += _of_text(tool.native.json)
    return total + _of_text(request.response_format.json_schema.schema_json)


def estimate_text(text: str) -> int:
    """About how many tokens `text` is."""
    return _of_text(text)


def _of_parts(parts: Iterable[Part]) -> int:
    total = 0
    for part in parts:
        match part.WhichOneof("kind"):
            case "text":
                total += _of_text(part.text)
            case "refusal":
                total += _of_text(part.refusal)
            case "reasoning":
                total += _of_text(part.reasoning.text)
            case "media":
                total += _of_media(part.media)
            case "tool_call":
                total += _PER_TOOL + _of_text(part.tool_call.name) + _of_text(part.tool_call.arguments_json)
            case "tool_result":
                total += _PER_TOOL + _of_parts(part.tool_result.parts)
            case "opaque":
                total += _of_text(part.opaque.json)
            case None:
                pass
    return total


def _of_text(text: str) -> int:
    """A token for every four ASCII characters, and for every other character one of its own."""
    if not text:
        return 0
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    ascii_size = len(text.encode("ascii", "ignore"))
    return -(-ascii_size // _ASCII_PER_TOKEN) + len(text) - ascii_size


def _of_media(media: Media) -> int:
    if media.media_type.startswith("image/"):
        return _IMAGE
    return max(1, (len(media.data) or len(media.uri) * 3 // 4) // _MEDIA_BYTES_PER_TOKEN)
