"""Why an answer ended, in Gemini's words."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Json
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import Finish

_BLOCKED: Final = frozenset(
    {
        "BLOCKLIST",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_SAFETY",
        "JAILBREAK",
        "MODEL_ARMOR",
        "PROHIBITED_CONTENT",
        "RECITATION",
        "SAFETY",
        "SPII",
    }
)
"""The reasons by which Google withholds an answer."""

_NUMBERS: Final = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
"""The numbers of `enum-encoding=int`. Beyond these the Gemini API and Vertex AI do not agree."""

_BLOCKED_NUMBERS: Final = frozenset({7, 8})
"""Reasons whose name depends on the API, and which withhold an answer in both."""

_WORDS: Final[dict[int, str]] = {
    chat_pb2.FINISH_REASON_STOP: "STOP",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "STOP",
    chat_pb2.FINISH_REASON_LENGTH: "MAX_TOKENS",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "SAFETY",
    chat_pb2.FINISH_REASON_OTHER: "OTHER",
}

_KNOWN: Final = _BLOCKED | {
    "FINISH_REASON_UNSPECIFIED",
    "IMAGE_OTHER",
    "LANGUAGE",
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "MAX_TOKENS",
    "MISSING_THOUGHT_SIGNATURE",
    "NO_IMAGE",
    "OTHER",
    "STOP",
    "TOO_MANY_TOOL_CALLS",
    "UNEXPECTED_TOOL_CALL",
}


def is_finish(value: Json) -> bool:
    """Whether a `finishReason` says that the candidate ended."""
    return (isinstance(value, str) and value not in ("", "FINISH_REASON_UNSPECIFIED")) or (
        type(value) is int and value > 0
    )


def decode_finish(value: Json, *, calls: bool) -> Finish:
    """Read a finish reason, a word or a number. `calls` tells whether the candidate calls functions."""
    word = _NUMBERS.get(value, str(value)) if type(value) is int else str(value)
    if word in _BLOCKED or (type(value) is int and value in _BLOCKED_NUMBERS):
        reason = chat_pb2.FINISH_REASON_CONTENT_FILTER
    elif word == "STOP":
        reason = chat_pb2.FINISH_REASON_TOOL_CALLS if calls else chat_pb2.FINISH_REASON_STOP
    elif word == "MAX_TOKENS":
        reason = chat_pb2.FINISH_REASON_LENGTH
    else:
        reason = chat_pb2.FINISH_REASON_OTHER
    return Finish(reason=reason, native_reason=word)


def decode_block(feedback: Json) -> Finish | None:
    """What a `promptFeedback` says of an answer without candidates; None where the prompt was not blocked.

    A blocked prompt is an answer that was withheld, not an error: clients of every surface know
    `content_filter` as the end of an answer, and the tokens of the prompt are counted.
    """
    if not isinstance(feedback, dict):
        return None
    word = feedback.get("blockReason")
    if not word and not feedback.get("blockReasonMessage"):
        return None
    return Finish(
        reason=chat_pb2.FINISH_REASON_CONTENT_FILTER,
        native_reason=str(word) if isinstance(word, str | int) and word else "BLOCKED_REASON_UNSPECIFIED",
    )


def encode_finish(finish: Finish) -> str:
    """The word: the provider's own where that is one of Gemini's, or may be one that is younger than this list."""
    native = finish.native_reason
    if native in _KNOWN or (finish.reason == chat_pb2.FINISH_REASON_OTHER and native.isupper()):
        return native
    return _WORDS.get(finish.reason, "FINISH_REASON_UNSPECIFIED")
