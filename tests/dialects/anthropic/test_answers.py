"""Whole answers: read, written, and accepted by Anthropic's own types."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import Message
from dialects.anthropic.cases import (
    ANSWERS,
    each,
    framed,
    load,
    read_answer,
    read_stream,
    whole,
    write_answer,
    write_request,
    write_stream,
)
from pydantic import TypeAdapter, ValidationError
from wire.recordings import Recording

from trunkline.call import Loss
from trunkline.core.fold import unfold
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse

SDK = TypeAdapter(Message)


def is_valid(wire: Any) -> bool:
    """Whether the SDK's model takes an answer. It refuses some recordings, which are older or younger than it."""
    try:
        SDK.validate_python(wire)
    except ValidationError:
        return False
    return True


def without_nulls(value: Any) -> Any:
    """`value` without the keys whose value is null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@each(ANSWERS)
def test_answer_is_lossless_on_the_wire(recording: Recording) -> None:
    """Reading and writing a recorded answer gives it back; a key that is null is absent."""
    wire = load(recording.body)
    assert without_nulls(write_answer(read_answer(wire))) == without_nulls(wire)


@each([one for one in ANSWERS if is_valid(load(one.body))])
def test_written_answer_is_valid_for_the_sdk(recording: Recording) -> None:
    """What is written of an answer is valid by the SDK's model wherever the recording itself is."""
    assert is_valid(write_answer(read_answer(load(recording.body))))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", chat_pb2.FINISH_REASON_STOP),
        ("stop_sequence", chat_pb2.FINISH_REASON_STOP),
        ("max_tokens", chat_pb2.FINISH_REASON_LENGTH),
        ("model_context_window_exceeded", chat_pb2.FINISH_REASON_LENGTH),
        ("tool_use", chat_pb2.FINISH_REASON_TOOL_CALLS),
        ("refusal", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        ("pause_turn", chat_pb2.FINISH_REASON_OTHER),
        ("something_new", chat_pb2.FINISH_REASON_OTHER),
    ],
)
def test_finish_reasons(word: str, reason: int) -> None:
    """Each `stop_reason` has its reason, keeps its own word, and comes back."""
    answer = read_answer(
        {"content": [], "stop_reason": word, "stop_sequence": "END" if word == "stop_sequence" else None}
    )
    finish = answer.choices[0].finish
    assert (finish.reason, finish.native_reason) == (reason, word)
    assert finish.stop_sequence == ("END" if word == "stop_sequence" else "")
    known = word != "something_new"
    assert write_answer(answer)["stop_reason"] == (word if known else "end_turn")


def test_other_providers_reasons_get_anthropics_words() -> None:
    """An answer of another provider ends in a word that Anthropic's clients know."""
    words = {
        chat_pb2.FINISH_REASON_STOP: "end_turn",
        chat_pb2.FINISH_REASON_LENGTH: "max_tokens",
        chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_use",
        chat_pb2.FINISH_REASON_CONTENT_FILTER: "refusal",
        chat_pb2.FINISH_REASON_OTHER: "end_turn",
    }
    for reason, word in words.items():
        response = ChatResponse()
        response.choices.add().finish.reason = reason
        response.choices[0].finish.native_reason = "eos"
        assert write_answer(response)["stop_reason"] == word


def test_refusals_keep_their_details() -> None:
    """`stop_details` stays with the choice and comes back."""
    details = {"type": "refusal", "category": "cyber", "explanation": "no"}
    answer = read_answer({"content": [], "stop_reason": "refusal", "stop_details": details})
    assert answer.choices[0].extras["anthropic"]
    assert write_answer(answer)["stop_details"] == details


@pytest.mark.parametrize(
    "wire", [{}, {"content": 5}, {"content": [{"type": "tool_use"}, 7, {"text": "x"}], "usage": []}]
)
def test_answers_of_other_shapes_are_borne(wire: dict[str, Any]) -> None:
    """An answer that holds something else than the expected is read as far as it goes."""
    assert len(read_answer(wire).choices) == 1


@pytest.mark.parametrize(
    "block",
    [
        {"type": "compaction", "content": "What was said.", "encrypted_content": "e"},
        {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
        {
            "type": "advisor_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": {"type": "advisor_result", "text": "a"},
        },
        {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": {"tool_references": []}},
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "n", "server_name": "s", "input": {"a": 2**60}},
        {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False, "content": []},
        {"type": "container_upload", "file_id": "file_1"},
    ],
    ids=lambda block: block["type"],
)
def test_blocks_of_anthropics_own_are_carried(block: dict[str, Any]) -> None:
    """Whole, and back to it: none is a call for the caller to make."""
    text = {"type": "text", "text": "Hi"}
    read = read_answer({"content": [block, text], "stop_reason": "end_turn"})
    assert [part.WhichOneof("kind") for part in read.choices[0].message.parts] == ["opaque", "text"]
    assert read.choices[0].finish.reason == chat_pb2.FINISH_REASON_STOP
    assert write_answer(read)["content"] == [block, text]
    losses: list[Loss] = []
    asked = ChatRequest(model="m", messages=[{"role": content_pb2.ROLE_USER, "parts": [{"text": "?"}]}])  # type: ignore[list-item]
    asked.messages.append(read.choices[0].message)
    assert write_request(asked, losses=losses)["messages"][1]["content"] == [block, text]
    assert losses == []


def test_what_stands_beside_the_content_is_kept() -> None:
    """`container`, `context_management` and `stop_details`, whole and streamed."""
    beside = {
        "container": {"id": "c", "expires_at": "2026-01-01T00:00:00Z"},
        "context_management": {"applied_edits": [{"type": "clear_tool_uses_20250919"}]},
        "stop_details": {"type": "refusal"},
    }
    read = read_answer({"id": "m", "content": [], "stop_reason": "end_turn", "usage": {}, **beside})
    written = write_answer(read)
    assert {key: written[key] for key in beside} == beside
    again = whole(read_stream(framed(write_stream(unfold(read)))))
    written = write_answer(again)
    assert {key: written[key] for key in beside} == beside
