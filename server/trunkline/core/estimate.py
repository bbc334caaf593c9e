"""How many tokens a request is, where nobody can be asked.

No tokenizer is run: each vendor has another, and what a vendor puts around a request is in none of them. Of the
requests in `tests/wire` that hold texts and tools alone, six of ten were charged between half and twice the estimate,
eight of ten between a third and three times; these are small, and what surprises is what their vendor adds: some 300
tokens before tools at Anthropic, 150 before anything at xAI. The longer a request, the nearer the estimate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Media, Message, Part

_PER_CHARACTER: Final = 1 / 4.4
"""Tokens of a character of English, of code or of JSON."""

_PER_BYTE: Final = 0.35
"""Tokens of each byte that a character has beyond its first: Cyrillic has one, Chinese two, an emoji three."""

_BASE: Final = 6
_PER_MESSAGE: Final = 4
"""Tokens that mark who speaks."""
_PER_CALL: Final = 10
"""Tokens around a call of a tool, or around its result."""
_TOOLS: Final = 60
"""Tokens that tell a model how tools are called: 10 to 30 for most, about 300 at Anthropic."""
_PER_TOOL: Final = 6

IMAGE_TOKENS: Final = 1_000
"""Tokens of an image: 258 to 1290 at Google, 85 to 1105 for most of OpenAI's, up to 1600 for most of Anthropic's."""

_BYTES: Final = {"application": 64, "text": 4, "audio": 500, "video": 1_000}
"""Bytes of a document, a text, a sound or a video in a token, about."""

_REFERRED: Final = 2_000
"""Tokens of what is only referred to: two pages of a document, or a minute of sound."""

_KEPT: Final = ('"previous_response_id"', '"conversation"', '"prompt"', '"cachedContent"')
"""The keys by which a request refers to what its provider keeps."""

_MOST_BASE: Final = 400
_MOST_PER_MESSAGE: Final = 32
_MOST_PER_CALL: Final = 128
_MOST_TOOLS: Final = 1_024
_MOST_PER_TOOL: Final = 128
_MOST_IMAGE: Final = 5_000
"""What Anthropic's newest models count of the largest image that they take. Small models of OpenAI's count more."""


class Estimate(NamedTuple):
    """What a model would read of a request.

    `tokens` is the likely count. `most` is what it will not exceed: a token of a text is at least one of its bytes, and
    what vendors put around it is counted as at the one who puts the most. It is about four times the likely count, and
    None where the request holds what only its provider can read: documents, sounds and videos, tools that the
    provider runs, blocks that only it can read, and conversations that it keeps.
    """

    tokens: int
    most: int | None


class _Sum:
    """What was counted so far."""

    __slots__ = ("calls", "images", "media", "texts", "told")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls = 0
        self.images = 0
        self.media = 0
        self.told = True
        """Whether all that the model would read is in the request."""


def estimate(request: ChatRequest) -> Estimate:
    """How many tokens a model would read of `request`, instructions, tools and media included."""
    total = _Sum()
    texts = total.texts
    # Slices are lists of Python's own: to walk through them costs less than to walk through the fields.
    messages, tools = request.messages[:], request.tools[:]
    for message in messages:
        parts = message.parts[:]
        if len(parts) == 1 and (text := parts[0].text):
            texts.append(text)
        else:
            _add_parts(parts, total)
    for tool in tools:
        function = tool.function
        name = function.name
        if name:
            texts += name, function.description, function.parameters_json
        else:
            texts.append(tool.native.json)
            total.told = False
    tokens = 0
    if request.HasField("completion"):
        completion = request.completion
        texts.append(completion.suffix)
        for prompt in completion.prompts:
            texts.append(prompt.text)
            tokens += len(prompt.tokens.ids)
    if request.HasField("response_format"):
        texts.append(request.response_format.json_schema.schema_json)
    if request.extras:
        total.told = total.told and not any(key in text for text in request.extras.values() for key in _KEPT)
    characters, size = _measure("".join(texts))
    overhead = _BASE + _PER_MESSAGE * len(messages) + _PER_CALL * total.calls
    overhead += _TOOLS + _PER_TOOL * len(tools) if tools else 0
    tokens += overhead + total.media + IMAGE_TOKENS * total.images + _tokens_of(characters, size)
    if not total.told:
        return Estimate(tokens, None)
    most = _MOST_BASE + _MOST_PER_MESSAGE * len(messages) + _MOST_PER_CALL * total.calls
    most += _MOST_TOOLS + _MOST_PER_TOOL * len(tools) if tools else 0
    if request.HasField("completion"):
        # A model that knows conversations alone is asked once for each.
        most += (_MOST_BASE + _MOST_PER_MESSAGE) * len(request.completion.prompts)
    return Estimate(tokens, max(tokens, most + total.media + _MOST_IMAGE * total.images + size))


def estimate_tokens(request: ChatRequest) -> int:
    """About how many tokens a model would read of `request`."""
    return estimate(request).tokens


def estimate_message(message: Message) -> int:
    """About how many tokens a message of a conversation is."""
    total = _Sum()
    _add_parts(message.parts[:], total)
    overhead = _PER_MESSAGE + _PER_CALL * total.calls + total.media + IMAGE_TOKENS * total.images
    return overhead + estimate_text("".join(total.texts))


def estimate_text(text: str) -> int:
    """About how many tokens `text` is."""
    return _tokens_of(*_measure(text))


def _add_parts(parts: Iterable[Part], total: _Sum) -> None:
    for part in parts:
        match part.WhichOneof("kind"):
            case "text":
                total.texts.append(part.text)
            case "refusal":
                total.texts.append(part.refusal)
            case "reasoning":
                total.texts.append(part.reasoning.text)
                total.told = total.told and not part.extras and not part.reasoning.redacted
            case "media":
                _add_media(part.media, total)
            case "tool_call":
                call = part.tool_call
                total.calls += 1
                total.texts += call.name, call.arguments_json
            case "tool_result":
                total.calls += 1
                _add_parts(part.tool_result.parts[:], total)
            case "opaque":
                total.texts.append(part.opaque.json)
                total.told = False
            case None:
                pass


def _add_media(media: Media, total: _Sum) -> None:
    sort = media.media_type.partition("/")[0]
    if sort == "image":
        total.images += 1
        return
    # What a provider makes of a document is its own affair: Anthropic adds 600 tokens to one that is to be cited.
    total.told = False
    size = len(media.data)
    if not size and media.uri.startswith("data:"):
        size = len(media.uri) * 3 // 4
    if size:
        total.media += max(1, size // _BYTES.get(sort, _BYTES["application"]))
    else:
        total.media += _REFERRED


def _measure(text: str) -> tuple[int, int]:
    """How many characters a text has, and how many bytes as UTF-8."""
    characters = len(text)
    return characters, characters if text.isascii() else len(text.encode())


def _tokens_of(characters: int, size: int) -> int:
    tokens = characters * _PER_CHARACTER + (size - characters) * _PER_BYTE
    return -int(-tokens // 1)
