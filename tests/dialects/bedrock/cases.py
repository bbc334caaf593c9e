"""What was recorded of Converse and ConverseStream, and how the tests read and write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from wire.recordings import Recording, recordings

from trunkline.call import Loss, LossKind
from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.dialects import bedrock
from trunkline.dialects.known import open_request
from trunkline.dialects.wire import Object, dumps
from trunkline.errors import GatewayError
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.content_pb2 import Message, Part, ToolCall, ToolResult

CASES = [one for one in recordings() if one.id.startswith("bedrock/converse")]
REQUESTS = [one for one in CASES if one.request is not None]
ANSWERS = [one for one in CASES if one.status == 200 and not one.is_stream]

BROKEN = {"bedrock/converse-stream/documented-throttling-mid-stream": "an exception within the stream"}
"""Streams that are no whole answer, and why."""

STREAMS = [one for one in CASES if one.is_stream and one.id not in BROKEN]

CLAUDE, NOVA, NOVA_2 = (
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "amazon.nova-pro-v1:0",
    "us.amazon.nova-2-lite-v1:0",
)
OLD_CLAUDE, NEW_CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0", "global.anthropic.claude-opus-4-8"
LLAMA, MISTRAL, GPT, QWEN = (
    "us.meta.llama4-maverick-17b-instruct-v1:0",
    "mistral.mistral-large-2407-v1:0",
    "openai.gpt-oss-120b-1:0",
    "qwen.qwen3-32b-v1:0",
)

SYSTEM, DEVELOPER = content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER
USER, ASSISTANT, TOOL = content_pb2.ROLE_USER, content_pb2.ROLE_ASSISTANT, content_pb2.ROLE_TOOL


def each(cases: Iterable[Recording]) -> pytest.MarkDecorator:
    """Run a test, which takes `recording`, once for each of `cases`."""
    return pytest.mark.parametrize("recording", [pytest.param(one, id=one.id) for one in cases])


def load(data: bytes) -> Any:
    """JSON as plain Python."""
    return msgspec.json.decode(data)


def model_of(recording: Recording) -> str:
    """The model that a recording asked."""
    return unquote(recording.path.split("/")[2])


def read_request(wire: Any) -> ChatRequest:
    """Read a request from its text, and alike from its values; `wire` is left as it is."""
    text = dumps(wire)
    request = bedrock.decode_request(Object(open_request(text, bedrock.TEXTS)))
    assert request == bedrock.decode_request(Object(load(text)))
    return request


def write_request(request: ChatRequest, model: str = CLAUDE, losses: list[Loss] | None = None) -> Any:
    """Write a request for `model`, as plain Python."""
    return load(dumps(bedrock.encode_request(request, bedrock.profile_of(model), losses)))


def read_answer(wire: Any) -> ChatResponse:
    """Read a whole answer; `wire` is left as it is."""
    return bedrock.decode_response(Object(load(dumps(wire)), lenient=True))


def write_answer(response: ChatResponse) -> Any:
    """Write a whole answer, as plain Python."""
    return load(dumps(bedrock.encode_response(response)))


def answer(*content: Any, **more: Any) -> dict[str, Any]:
    """An answer with little else in it."""
    return {"output": {"message": {"role": "assistant", "content": list(content)}}, "stopReason": "end_turn", **more}


def frames(body: bytes, split: Callable[[bytes], Iterable[bytes]] = lambda body: [body]) -> list[bytes]:
    """The data of the events in the bytes that come as `split` cuts them."""
    reader = bedrock.Reader()
    batches = [*map(reader.feed, split(body)), reader.end()]
    return [event.data for batch in batches for event in batch]


def read_events(data: Iterable[bytes]) -> list[ChatEvent]:
    """The events of a stream, held to the grammar; it need not be whole."""
    decoder, grammar = bedrock.StreamDecoder(), Grammar()
    events: list[ChatEvent] = []
    for one in data:
        events += decoder.feed(one)
        if decoder.done:
            break
    events += decoder.end()
    for event in events:
        grammar.feed(event)
    return events


def read_stream(body: bytes, split: Callable[[bytes], Iterable[bytes]] = lambda body: [body]) -> list[ChatEvent]:
    """The events of a stream whose bytes come as `split` cuts them."""
    return read_events(frames(body, split))


def told(*events: tuple[str, Any]) -> list[ChatEvent]:
    """The events of a stream that is made of pairs of type and content."""
    return read_events(dumps({kind: event}) for kind, event in events)


def whole(events: Iterable[ChatEvent]) -> ChatResponse:
    """The response that the events of a whole stream build. Raises `GatewayError` where it is not whole."""
    grammar = Grammar()
    kept = list(events)
    for event in kept:
        grammar.feed(event)
    grammar.end()
    return fold(kept)


def is_whole(events: Iterable[ChatEvent]) -> bool:
    """Whether the events are those of a whole stream."""
    try:
        whole(events)
    except GatewayError:
        return False
    return True


def said(role: Any, *parts: Any) -> Message:
    """One message; a text stands for a part with it."""
    return Message(role=role, parts=[Part(text=part) if isinstance(part, str) else part for part in parts])


def call(name: str = "f", call_id: str = "tooluse_1", arguments: str = "{}") -> Part:
    """A tool call."""
    return Part(tool_call=ToolCall(id=call_id, name=name, arguments_json=arguments))


def result(*parts: Any, call_id: str = "tooluse_1", failed: bool = False, name: str = "") -> Part:
    """A tool result; a text stands for a part with it."""
    texts = [Part(text=part) if isinstance(part, str) else part for part in parts]
    return Part(tool_result=ToolResult(tool_call_id=call_id, parts=texts, failed=failed, name=name))


def written(*messages: Message, model: str = CLAUDE, **more: Any) -> tuple[Any, dict[str, LossKind]]:
    """A request as it is written for `model`, and what was lost."""
    losses: list[Loss] = []
    turns = messages or (said(USER, "Hello"),)
    wire = write_request(ChatRequest(messages=turns, **more), model, losses)
    return wire, {loss.field: loss.kind for loss in losses}


def asking(*messages: Any, **more: Any) -> dict[str, Any]:
    """A request with little else in it."""
    return {"messages": list(messages), **more}


def message(role: str, *content: Any) -> dict[str, Any]:
    """One message of a request."""
    return {"role": role, "content": list(content)}
