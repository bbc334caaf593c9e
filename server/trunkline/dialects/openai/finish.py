"""Why an answer ended, in OpenAI's words and in those of the servers that speak its language."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Json, Object
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

_MET: Final = ("stop_reason", "matched_stop")


def decode_finish(word: str, *, native: str | None = None, calls: bool, met: str = "") -> Finish:
    """Read the finish reason of a whole answer, empty where its server gives none.

    `met` is the stop sequence that was met; `calls` tells whether the answer calls tools, for servers that say `stop`
    all the same.
    """
    reason = _REASONS.get(word, chat_pb2.FINISH_REASON_OTHER)
    if calls and reason == chat_pb2.FINISH_REASON_STOP:
        reason = chat_pb2.FINISH_REASON_TOOL_CALLS
    return Finish(reason=reason, native_reason=word if native is None else native, stop_sequence=met)


def take_stop_sequence(wire: Object) -> str:
    """The stop sequence that a choice met, empty where its server does not tell: vLLM does by `stop_reason`, SGLang by
    `matched_stop`. Where these hold the number of a token, or repeat the finish reason, they stay."""
    for key in _MET:
        word = wire.fields.get(key)
        if type(word) is str and word not in _REASONS:
            del wire.fields[key]
            return word
    return ""


def put_finish(finish: Finish, wire: dict[str, Json]) -> None:
    """Write into a choice why it ended, and which stop sequence it met, in vLLM's word: OpenAI has none."""
    word, native = encode_finish(finish)
    wire["finish_reason"] = word
    if native is not None:
        wire["native_finish_reason"] = native
    if finish.stop_sequence:
        wire[_MET[0]] = finish.stop_sequence


def encode_finish(finish: Finish) -> tuple[str, str | None]:
    """The word of the four that OpenAI knows, and the provider's own where it is another."""
    word = _WORDS.get(finish.reason, "stop")
    if finish.native_reason == "function_call":
        word = "function_call"
    return word, finish.native_reason if finish.native_reason not in ("", word) else None
