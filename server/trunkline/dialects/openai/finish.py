"""Why an answer ended, in OpenAI's words and in those of the servers that speak its language."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import Finish, FinishReason

_REASONS: Final[dict[str, FinishReason.ValueType]] = {
    "": chat_pb2.FINISH_REASON_STOP,  # Snowflake
    "stop": chat_pb2.FINISH_REASON_STOP,
    "eos": chat_pb2.FINISH_REASON_STOP,  # Together
    "eos_token": chat_pb2.FINISH_REASON_STOP,  # TGI
    "stop_sequence": chat_pb2.FINISH_REASON_STOP,
    "end_turn": chat_pb2.FINISH_REASON_STOP,
    "length": chat_pb2.FINISH_REASON_LENGTH,
    "max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "model_length": chat_pb2.FINISH_REASON_LENGTH,  # Mistral
    "tool_calls": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "tool_use": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "function_call": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}

_WORDS: Final[dict[int, str]] = {
    chat_pb2.FINISH_REASON_STOP: "stop",
    chat_pb2.FINISH_REASON_LENGTH: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
}


def decode_finish(word: str, *, native: str | None = None, calls: bool) -> Finish:
    """Read the finish reason of a whole answer, empty where its server gives none.

    `calls` tells whether the answer calls tools, for servers that say `stop` all the same.
    """
    reason = _REASONS.get(word, chat_pb2.FINISH_REASON_OTHER)
    if calls and reason == chat_pb2.FINISH_REASON_STOP:
        reason = chat_pb2.FINISH_REASON_TOOL_CALLS
    return Finish(reason=reason, native_reason=word if native is None else native)


def encode_finish(finish: Finish) -> tuple[str, str | None]:
    """The word of the four that OpenAI knows, and the provider's own where it is another."""
    word = _WORDS.get(finish.reason, "stop")
    if finish.native_reason == "function_call":
        word = "function_call"
    return word, finish.native_reason if finish.native_reason not in ("", word) else None
