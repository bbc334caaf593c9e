"""What an answer used, in classes that are priced apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from trunkline.v1.chat_pb2 import Usage


class Tokens(NamedTuple):
    """Tokens by class. No token is in two classes: the input classes add up to `Usage.input_tokens`, the output ones to
    `Usage.output_tokens`."""

    input: int
    input_audio: int
    input_image: int
    input_video: int
    cached_input: int
    cached_audio: int
    cached_image: int
    cache_write: int
    cache_write_1h: int
    output: int
    output_audio: int
    output_image: int
    output_video: int
    reasoning: int


@dataclass(slots=True)
class Said:
    """What only a provider's own words tell: tokens by class, and its searches of the web."""

    input_audio: int = 0
    input_image: int = 0
    input_video: int = 0
    cached_audio: int = 0
    cached_image: int = 0
    cache_write_1h: int = 0
    output_audio: int = 0
    output_image: int = 0
    output_video: int = 0
    searches: int = 0


_NOTHING: Final = Said()


def count(usage: Usage, said: Said = _NOTHING) -> Tokens:
    """The tokens of `usage` by class; a part that is larger than its whole is cut to it."""
    left = max(usage.input_tokens, 0)
    cached = min(max(usage.cached_input_tokens, 0), left)
    left -= cached
    written = min(max(usage.cache_write_input_tokens, 0), left)
    left -= written
    cached_audio = min(said.cached_audio, cached)
    cached_image = min(said.cached_image, cached - cached_audio)
    hour = min(said.cache_write_1h, written)
    audio = min(max(said.input_audio - cached_audio, 0), left)
    image = min(max(said.input_image - cached_image, 0), left - audio)
    video = min(said.input_video, left - audio - image)
    wrote = max(usage.output_tokens, 0)
    reasoning = min(max(usage.reasoning_output_tokens, 0), wrote)
    wrote -= reasoning
    spoken = min(said.output_audio, wrote)
    drawn = min(said.output_image, wrote - spoken)
    filmed = min(said.output_video, wrote - spoken - drawn)
    return Tokens(
        input=left - audio - image - video,
        input_audio=audio,
        input_image=image,
        input_video=video,
        cached_input=cached - cached_audio - cached_image,
        cached_audio=cached_audio,
        cached_image=cached_image,
        cache_write=written - hour,
        cache_write_1h=hour,
        output=wrote - spoken - drawn - filmed,
        output_audio=spoken,
        output_image=drawn,
        output_video=filmed,
        reasoning=reasoning,
    )


def said_of(usage: Usage) -> Said:
    """What the provider said of its usage that the contract does not count."""
    said = Said()
    for dialect, text in usage.extras.items():
        read = _READERS.get(dialect)
        if read is None:
            continue
        try:
            wire = json.loads(text)
        except ValueError:
            continue
        if isinstance(wire, dict):
            read(wire, said)
    return said


def _openai(wire: dict[str, Any], said: Said) -> None:
    # https://platform.openai.com/docs/api-reference/chat/object, `usage`; xAI and Azure tell the same.
    inputs, outputs = _object(wire, "prompt_tokens_details"), _object(wire, "completion_tokens_details")
    said.input_audio, said.input_image = _count(inputs, "audio_tokens"), _count(inputs, "image_tokens")
    said.output_audio, said.output_image = _count(outputs, "audio_tokens"), _count(outputs, "image_tokens")


def _responses(wire: dict[str, Any], said: Said) -> None:
    inputs, outputs = _object(wire, "input_tokens_details"), _object(wire, "output_tokens_details")
    said.input_audio, said.input_image = _count(inputs, "audio_tokens"), _count(inputs, "image_tokens")
    said.output_audio, said.output_image = _count(outputs, "audio_tokens"), _count(outputs, "image_tokens")


def _anthropic(wire: dict[str, Any], said: Said) -> None:
    # https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching, "1-hour cache duration".
    said.cache_write_1h = _count(_object(wire, "cache_creation"), "ephemeral_1h_input_tokens")
    said.searches = _count(_object(wire, "server_tool_use"), "web_search_requests")


def _bedrock(wire: dict[str, Any], said: Said) -> None:
    # `TokenUsage.cacheDetails` of Converse: one entry for each time to live.
    for entry in _list(wire, "cacheDetails"):
        if entry.get("ttl") == "1h":
            said.cache_write_1h += _count(entry, "inputTokens")


def _gemini(wire: dict[str, Any], said: Said) -> None:
    # `UsageMetadata`: https://ai.google.dev/api/generate-content#UsageMetadata.
    said.input_audio = _modality(wire, "promptTokensDetails", "AUDIO")
    said.input_image = _modality(wire, "promptTokensDetails", "IMAGE")
    said.input_video = _modality(wire, "promptTokensDetails", "VIDEO")
    said.cached_audio = _modality(wire, "cacheTokensDetails", "AUDIO")
    said.cached_image = _modality(wire, "cacheTokensDetails", "IMAGE")
    said.output_audio = _modality(wire, "candidatesTokensDetails", "AUDIO")
    said.output_image = _modality(wire, "candidatesTokensDetails", "IMAGE")
    said.output_video = _modality(wire, "candidatesTokensDetails", "VIDEO")


_READERS: Final[dict[str, Callable[[dict[str, Any], Said], None]]] = {
    "openai": _openai,
    "responses": _responses,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "gemini": _gemini,
}


def _modality(wire: dict[str, Any], key: str, modality: str) -> int:
    return sum(_count(entry, "tokenCount") for entry in _list(wire, key) if entry.get("modality") == modality)


def _object(wire: dict[str, Any], key: str) -> dict[str, Any]:
    value = wire.get(key)
    return value if isinstance(value, dict) else {}


def _list(wire: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = wire.get(key)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _count(wire: dict[str, Any], key: str) -> int:
    value = wire.get(key)
    return value if type(value) is int and 0 <= value < 2**31 else 0
