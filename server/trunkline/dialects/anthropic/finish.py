"""Why an answer ended, in Anthropic's words."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import Finish, FinishReason

_REASONS: Final[dict[str, FinishReason.ValueType]] = {
    "end_turn": chat_pb2.FINISH_REASON_STOP,
    "stop_sequence": chat_pb2.FINISH_REASON_STOP,
    "max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "model_context_window_exceeded": chat_pb2.FINISH_REASON_LENGTH,
    "tool_use": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "refusal": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "pause_turn": chat_pb2.FINISH_REASON_OTHER,
    "compaction": chat_pb2.FINISH_REASON_OTHER,
}

_WORDS: Final[dict[int, str]] = {
    chat_pb2.FINISH_REASON_STOP: "end_turn",
    chat_pb2.FINISH_REASON_LENGTH: "max_tokens",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_use",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "refusal",
}


def decode_finish(word: str | None, stop_sequence: str | None) -> Finish:
    """Read `stop_reason` and `stop_sequence`."""
    if word is None:
        return Finish()
    reason = _REASONS.get(word, chat_pb2.FINISH_REASON_OTHER)
    return Finish(reason=reason, native_reason=word, stop_sequence=stop_sequence or "")


def encode_finish(finish: Finish) -> str | None:
    """The `stop_reason`: Anthropic's own word where it is one, else the nearest to the reason."""
    if _REASONS.get(finish.native_reason) == finish.reason:
        return finish.native_reason
    if finish.reason == chat_pb2.FINISH_REASON_STOP and finish.stop_sequence:
        return "stop_sequence"
    if finish.reason == chat_pb2.FINISH_REASON_UNSPECIFIED:
        return None
    return _WORDS.get(finish.reason, "end_turn")
