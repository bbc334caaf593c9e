"""Why an answer ended, and in what state that leaves the response."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Json
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import Finish, FinishReason

_INCOMPLETE: Final[dict[str, FinishReason.ValueType]] = {
    "max_output_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "length": chat_pb2.FINISH_REASON_LENGTH,
    "content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}
"""`incomplete_details.reason` -> reason."""

_REASONS: Final[dict[int, str]] = {
    chat_pb2.FINISH_REASON_LENGTH: "max_output_tokens",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
}


def decode_finish(status: str, details: Json, *, calls: bool) -> Finish:
    """Read `status` and `incomplete_details`. `calls` tells whether the answer calls tools."""
    if status in ("completed", "complete"):
        reason = chat_pb2.FINISH_REASON_TOOL_CALLS if calls else chat_pb2.FINISH_REASON_STOP
        return Finish(reason=reason, native_reason=status)
    word = details.get("reason") if isinstance(details, dict) else None
    if status == "incomplete" and isinstance(word, str):
        return Finish(reason=_INCOMPLETE.get(word, chat_pb2.FINISH_REASON_OTHER), native_reason=word)
    return Finish(reason=chat_pb2.FINISH_REASON_OTHER, native_reason=status)


_RUNNING: Final = frozenset({"queued", "in_progress", "cancelled", "incomplete"})
"""The states of a response that is not whole, which a background call tells of."""


def encode_finish(finish: Finish) -> tuple[str, dict[str, Json] | None]:
    """`status` and `incomplete_details`."""
    if finish.reason in _REASONS:
        return "incomplete", {"reason": _REASONS[finish.reason]}
    if finish.reason == chat_pb2.FINISH_REASON_OTHER:
        if finish.native_reason in _RUNNING:
            return finish.native_reason, None
        if finish.native_reason in ("max_messages", "steered"):
            return "incomplete", {"reason": finish.native_reason}
    return "completed", None
