"""The laws of streams, held to every recorded one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.streams import cuts, decode, encode, frames, pieces, same
from wire.recordings import Recording, chats, each_chat, recording

from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.dialects import openai, sse
from trunkline.dialects.openai.finish import encode_finish
from trunkline.dialects.wire import Object, loads
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatResponse

_SMALL = 4096
_DONE = b"[DONE]"


def _is_whole(one: Recording) -> bool:
    return one.is_stream and "mid-stream-error" not in one.tags


each_whole_stream = each_chat(_is_whole)


@each_whole_stream
def test_a_stream_folds_to_what_its_chunks_say(recording: Recording) -> None:
    """The fold is the answer that a reader of chunks would put together by hand."""
    response = fold(decode([recording.body]))
    expected = _joined(_chunks(frames([recording.body])))
    assert _summary(response) == _summary(openai.decode_response(Object(expected, lenient=True)))


@each_whole_stream
def test_a_stream_survives_the_gateway(recording: Recording) -> None:
    """Written for a client and read by it, a stream folds to the same answer."""
    events = decode([recording.body])
    response = fold(events)
    for choice in response.choices:
        # A server that gives no reason is given its word.
        choice.finish.native_reason = choice.finish.native_reason or encode_finish(choice.finish)[0]
    assert same(fold(decode(encode(events)))) == same(response)


@each_whole_stream
def test_a_stream_reads_the_same_byte_by_byte(recording: Recording) -> None:
    """However the bytes are cut, the events are the same: here at every one."""
    body = recording.body
    assert frames(body[at : at + 1] for at in range(len(body))) == frames([body])


@each_chat(lambda one: _is_whole(one) and len(one.body) <= _SMALL)
def test_a_small_stream_reads_the_same_cut_anywhere(recording: Recording) -> None:
    """However the bytes are cut, the events are the same: here in two, at each place."""
    body = recording.body
    whole = frames([body])
    assert all(frames([body[:at], body[at:]]) == whole for at in range(len(body)))


@given(st.data())
def test_a_stream_reads_the_same_in_any_pieces(data: st.DataObject) -> None:
    """However the bytes are cut, the events are the same: here anywhere, any number of times."""
    body = data.draw(st.sampled_from([one for one in chats() if _is_whole(one)])).body
    assert frames(pieces(body, data.draw(cuts(len(body))))) == frames([body])


@each_whole_stream
def test_a_stream_that_was_cut_is_no_answer(recording: Recording) -> None:
    """Cut between two events, or inside one, before each choice has ended: an error, never an answer."""
    decoder, grammar = openai.StreamDecoder(), Grammar()
    told = [frame.data for frame in frames([recording.body])]
    for data in told[: _terminal(told) + 1]:
        assert decoder.end() == []
        with pytest.raises(GatewayError) as raised:
            grammar.end()
        assert raised.value.reason == errors_pb2.ERROR_REASON_PROVIDER_FAILED
        with pytest.raises(GatewayError):
            decoder.feed(data[: len(data) // 2])
        for event in decoder.feed(data):
            grammar.feed(event)
    for event in decoder.end():
        grammar.feed(event)
    grammar.end()


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("groq/chat/pydantic-ai-groq-tool-use-failed-error-streaming", "Tool call validation failed"),
        ("openrouter/chat/pydantic-ai-openrouter-stream-error", "Token limit reached"),
    ],
)
def test_an_error_within_a_stream_is_one(case: str, message: str) -> None:
    """Named `error` or beside `choices`, it ends the answer as an error."""
    with pytest.raises(GatewayError, match=message):
        decode([recording(case).body])


def _terminal(told: list[bytes]) -> int:
    """The place of the event that ends the last of the choices seen so far."""
    running: set[int] = set()
    for place, data in enumerate(told):
        if data.startswith(_DONE):
            return place
        items = loads(data).get("choices") or ()
        running |= {item["index"] for item in items}
        running -= {item["index"] for item in items if item.get("finish_reason")}
        if items and not running:
            return place
    raise AssertionError("the recording does not end")


def _chunks(told: list[sse.Event]) -> list[dict[str, Any]]:
    return [loads(frame.data) for frame in told if not frame.data.startswith(_DONE)]


def _joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The chunks of a stream as one answer: a plain and slow reading of OpenAI's own description."""
    answer: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for key in ("id", "model", "created"):
            if chunk.get("choices") or chunk.get("id"):
                answer.setdefault(key, chunk.get(key))
        groq = chunk.get("x_groq") or {}
        answer["usage"] = chunk.get("usage") or groq.get("usage") or answer.get("usage")
        for item in chunk.get("choices") or ():
            empty = {"index": item["index"], "message": {}, "finish_reason": None}
            choice = choices.setdefault(item["index"], empty)
            if item.get("finish_reason"):
                choice["finish_reason"] = item["finish_reason"]
                choice["native_finish_reason"] = item.get("native_finish_reason")
            _join(choice["message"], item.get("delta") or {})
    return {**answer, "choices": [choices[index] for index in sorted(choices)]}


def _join(message: dict[str, Any], delta: dict[str, Any]) -> None:
    content = delta.get("content") or ""
    if isinstance(content, list):
        blocks = content
        content = "".join(block["text"] for block in blocks if block["type"] == "text")
        thoughts = [text["text"] for block in blocks if block["type"] == "thinking" for text in block["thinking"]]
        message["reasoning"] = message.get("reasoning", "") + "".join(thoughts)
    message["content"] = message.get("content", "") + content
    reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
    message["reasoning"] = message.get("reasoning", "") + reasoning
    if delta.get("reasoning_details"):
        message["reasoning_details"] = [*message.get("reasoning_details", []), *delta["reasoning_details"]]
    message["refusal"] = message.get("refusal", "") + (delta.get("refusal") or "")
    for place, piece in enumerate(delta.get("tool_calls") or ()):
        function = piece.get("function") or {}
        calls = message.setdefault("tool_calls", [])
        number = piece.get("index", place)
        call = next((call for call in reversed(calls) if call["index"] == number), None)
        given = piece.get("id") or ""
        if call is None or (given and given != call["id"] and function.get("name")):
            # Cerebras numbers every call 0.
            call = {"index": number, "id": given, "function": {"name": "", "arguments": ""}}
            calls.append(call)
        call["function"]["name"] = call["function"]["name"] or function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""


def _summary(response: ChatResponse) -> list[Any]:
    """What two readings of an answer must agree on: parts may be cut differently, and extras are read elsewhere."""
    usage = response.usage
    usage.ClearField("extras")
    told: list[Any] = [response.id, response.model, response.create_time.seconds, usage]
    for choice in response.choices:
        parts = choice.message.parts
        told += [choice.index, choice.finish]
        for kind in ("text", "reasoning", "refusal"):
            told.append("".join(_text(part, kind) for part in parts if part.WhichOneof("kind") == kind))
        told += [part.tool_call for part in parts if part.WhichOneof("kind") == "tool_call"]
    return told


def _text(part: Any, kind: str) -> str:
    text = getattr(part, kind)
    return text if isinstance(text, str) else text.text
