"""What is asked and answered in every load: one conversation, and one answer to it, whole or in chunks."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trunkline.v1.chat_pb2 import (
    FINISH_REASON_STOP,
    ChatEvent,
    ChatRequest,
    ChatResponse,
    Choice,
    ChoiceEnd,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    Sampling,
    Usage,
)
from trunkline.v1.content_pb2 import ROLE_ASSISTANT, ROLE_SYSTEM, ROLE_USER, Message, Part

TOKENS: Final = 100
"""The pieces of text of one streamed answer."""

_PIECES: Final = [f" token{number:03}" for number in range(TOKENS)]

TEXT: Final = "".join(_PIECES)
"""The text of every answer."""

_SYSTEM: Final = "You are a helpful assistant. Answer briefly, name your sources, and say so where you do not know."
_QUESTION: Final = "What does a gateway in front of many language models have to do for each call? " * 4
_ID: Final = "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"
_CREATED: Final = 1741569952
_MODEL: Final = "gpt-4o-2024-08-06"
_FINGERPRINT: Final = "fp_fc9f1d7035"
_USAGE: Final[dict[str, Any]] = {
    "prompt_tokens": 120,
    "completion_tokens": TOKENS,
    "total_tokens": 120 + TOKENS,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def http_request(path: str, model: str, *, stream: bool, key: str = "") -> bytes:
    """A whole HTTP/1.1 request for the answer, as OpenAI's clients ask."""
    wire: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _QUESTION}],
        "temperature": 0.7,
        "max_completion_tokens": 500,
    }
    if stream:
        wire["stream"] = True
        wire["stream_options"] = {"include_usage": True}
    body = msgspec.json.encode(wire)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\nuser-agent: bench\r\n"
        f"{f'authorization: Bearer {key}' if key else 'x-key: none'}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def http_answer() -> bytes:
    """The answer as one JSON object."""
    return msgspec.json.encode(
        {
            "id": _ID,
            "object": "chat.completion",
            "created": _CREATED,
            "model": _MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": _USAGE,
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
        }
    )


def http_chunks() -> list[bytes]:
    """The answer as server-sent events: its head, each piece of text, its finish, its usage and `[DONE]`."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas.extend({"content": text} for text in _PIECES)
    choices: list[list[dict[str, Any]]] = [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}] for delta in deltas
    ]
    choices.append([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}])
    chunks = [_chunk(choice, None) for choice in choices]
    chunks.append(_chunk([], _USAGE))
    return [b"data: %b\n\n" % chunk for chunk in (*chunks, b"[DONE]")]


def grpc_request(model: str) -> ChatRequest:
    """The request as the contract has it."""
    return ChatRequest(
        model=model,
        messages=[
            Message(role=ROLE_SYSTEM, parts=[Part(text=_SYSTEM)]),
            Message(role=ROLE_USER, parts=[Part(text=_QUESTION)]),
        ],
        sampling=Sampling(temperature=0.7),
        max_output_tokens=500,
    )


def grpc_answer() -> ChatResponse:
    """The answer as one message."""
    response = _head()
    message = Message(role=ROLE_ASSISTANT, parts=[Part(text=TEXT)])
    response.choices.append(Choice(message=message, finish=Finish(reason=FINISH_REASON_STOP)))
    response.usage.CopyFrom(_usage())
    return response


def grpc_events() -> list[ChatEvent]:
    """The answer as the events of a stream."""
    return [
        ChatEvent(start=_head()),
        ChatEvent(part_start=PartStart(part=Part(text=""))),
        *(ChatEvent(part_delta=PartDelta(text=text)) for text in _PIECES),
        ChatEvent(part_end=PartEnd()),
        ChatEvent(choice_end=ChoiceEnd(finish=Finish(reason=FINISH_REASON_STOP, native_reason="stop"))),
        ChatEvent(usage=_usage()),
    ]


def _chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
    return msgspec.json.encode(
        {
            "id": _ID,
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": _MODEL,
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
            "choices": choices,
            "usage": usage,
        }
    )


def _head() -> ChatResponse:
    head = ChatResponse(id=_ID, model=_MODEL, provider="fake", service_tier="default")
    head.create_time.seconds = _CREATED
    head.extras["openai"] = f'{{"system_fingerprint":"{_FINGERPRINT}"}}'
    return head


def _usage() -> Usage:
    return Usage(input_tokens=120, output_tokens=TOKENS, cached_input_tokens=0, reasoning_output_tokens=0)
