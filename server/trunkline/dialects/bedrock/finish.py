"""Why an answer ended, in Converse's words."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Object
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import Finish, FinishReason

_REASONS: Final[dict[str, FinishReason.ValueType]] = {
    "end_turn": chat_pb2.FINISH_REASON_STOP,
    "stop_sequence": chat_pb2.FINISH_REASON_STOP,
    "max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "model_context_window_exceeded": chat_pb2.FINISH_REASON_LENGTH,
    "tool_use": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "guardrail_intervened": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "content_filtered": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "malformed_model_output": chat_pb2.FINISH_REASON_OTHER,
    "malformed_tool_use": chat_pb2.FINISH_REASON_OTHER,
}

_WORDS: Final[dict[int, str]] = {
    chat_pb2.FINISH_REASON_LENGTH: "max_tokens",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_use",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filtered",
}


def decode_finish(wire: Object) -> Finish:
    """Read `stopReason`, and the sequence that was met where the model's own fields tell it."""
    word = wire.take_str("stopReason") or ""
    finish = Finish(native_reason=word)
    if word:
        finish.reason = _REASONS.get(word, chat_pb2.FINISH_REASON_OTHER)
    fields = wire.take_object("additionalModelResponseFields")
    if fields is not None:
        # An answer tells it at the top, the last event of a stream in the model's own event.
        delta = fields.take_object("delta")
        for inner in (fields, delta):
            if inner is not None and "stop_sequence" in inner.fields:
                finish.stop_sequence = inner.take_str("stop_sequence") or finish.stop_sequence
    return finish


def encode_finish(finish: Finish) -> str:
    """The `stopReason`: Converse's own word where it is one, else the nearest to the reason."""
    if finish.native_reason and _REASONS.get(finish.native_reason, chat_pb2.FINISH_REASON_OTHER) == finish.reason:
        return finish.native_reason
    if finish.reason == chat_pb2.FINISH_REASON_STOP and finish.stop_sequence:
        return "stop_sequence"
    return _WORDS.get(finish.reason, "end_turn")
