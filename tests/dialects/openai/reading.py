"""How the tests of OpenAI's dialect read: from JSON, or from the chunks of a stream."""

from __future__ import annotations

from typing import Any

from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.dialects import openai
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse


def request(**fields: Any) -> ChatRequest:
    """The request that the JSON says."""
    wire = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return openai.decode_request(Object(loads(dumps(wire))))


def response(*, message: Any = None, choice: Any = None, **fields: Any) -> ChatResponse:
    """The answer that the JSON says."""
    one = {"index": 0, "message": message or {"content": "Hi"}, "finish_reason": "stop", **(choice or {})}
    return openai.decode_response(Object(loads(dumps({"id": "r", "choices": [one], **fields})), lenient=True))


def chunk(delta: Any = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of a stream with one choice."""
    return {"id": "r", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **fields}


def streamed(*chunks: dict[str, Any], done: bool = True) -> ChatResponse:
    """The answer that a whole stream of chunks folds to."""
    decoder, grammar = openai.StreamDecoder(), Grammar()
    events = [event for one in chunks for event in decoder.feed(dumps(one))]
    if done:
        events += decoder.feed(b"[DONE]")
    events += decoder.end()
    for event in events:
        grammar.feed(event)
    grammar.end()
    return fold(events)


def kinds(answer: ChatResponse) -> list[str | None]:
    """The kinds of the parts of the first choice."""
    return [part.WhichOneof("kind") for part in answer.choices[0].message.parts]
