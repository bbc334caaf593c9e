"""The answers in OpenAI's JSON, unary and as the events of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final
from zlib import crc32

import msgspec
from msgspec import Struct

from trunkline.providers.sim.limits import used
from trunkline.providers.sim.plan import Frame
from trunkline.providers.sim.scripts import Said
from trunkline.providers.sim.tokens import count, tokens, words

FINGERPRINT: Final = "fp_sim"
"""The `system_fingerprint` of every answer."""

DONE: Final = Frame(b"data: [DONE]\n\n", "done")
"""The end of a stream."""

_encode = msgspec.json.Encoder().encode


class Head(Struct, frozen=True):
    """What every part of an answer repeats. `created` is in seconds since the epoch."""

    id: str
    created: int
    model: str


def completion(head: Head, answers: Sequence[Said], prompt_tokens: int, top: int | None) -> bytes:
    """A unary body. `top` is how many likeliest tokens to tell at each place; None tells no log probabilities."""
    return _encode(
        {
            "id": head.id,
            "object": "chat.completion",
            "created": head.created,
            "model": head.model,
            "choices": [
                {
                    "index": index,
                    "message": _message(said),
                    "logprobs": None if top is None else _logprobs(tokens(said.text), tokens(said.refusal), top),
                    "finish_reason": said.finish,
                }
                for index, said in enumerate(answers)
            ],
            "usage": _usage(answers, prompt_tokens),
            "system_fingerprint": FINGERPRINT,
        }
    )


def events(
    head: Head, answers: Sequence[Said], prompt_tokens: int, top: int | None, *, include_usage: bool
) -> Iterator[Frame]:
    """The events of a stream, the answers interleaved."""
    base: dict[str, Any] = {
        "id": head.id,
        "object": "chat.completion.chunk",
        "created": head.created,
        "model": head.model,
        "system_fingerprint": FINGERPRINT,
    }
    if include_usage:
        base["usage"] = None
    for turn in zip_longest(*(_choice(base, index, said, top) for index, said in enumerate(answers))):
        for frame in turn:
            if frame is not None:
                yield frame
    if include_usage:
        yield event({**base, "choices": [], "usage": _usage(answers, prompt_tokens)}, "usage")
    yield DONE


def event(data: object, kind: Any = "delta") -> Frame:
    """One event of a stream."""
    return Frame(b"data: " + _encode(data) + b"\n\n", kind)


def _choice(base: dict[str, Any], index: int, said: Said, top: int | None) -> Iterator[Frame]:
    choice: dict[str, Any] = {"index": index, "delta": {}, "logprobs": None, "finish_reason": None}
    chunk = {**base, "choices": [choice]}
    first: dict[str, Any] = {"role": "assistant", "content": None if said.calls else "", "refusal": None}
    for delta in _deltas(said, first, by_token=top is not None):
        choice["delta"] = delta
        if top is not None:
            choice["logprobs"] = _logprobs([delta.get("content") or ""], [delta.get("refusal") or ""], top)
        yield event(chunk)
    choice.update(delta={}, logprobs=None, finish_reason=said.finish)
    yield event(chunk, "finish")


def _deltas(said: Said, first: dict[str, Any], *, by_token: bool) -> Iterator[dict[str, Any]]:
    # Log probabilities are told per token, so the deltas are tokens, too.
    split = tokens if by_token else words
    yield first
    for piece in words(said.reasoning):
        yield {"reasoning_content": piece}
    for piece in split(said.text):
        yield {"content": piece}
    for piece in split(said.refusal):
        yield {"refusal": piece}
    for index, call in enumerate(said.calls):
        opening = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [opening]}
        for piece in tokens(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _message(said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if said.refusal or (said.calls and not said.text) else said.text,
        "refusal": said.refusal or None,
    }
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    if said.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in said.calls
        ]
    return message


def _usage(answers: Sequence[Said], prompt_tokens: int) -> dict[str, Any]:
    completion_tokens = sum(used(said) for said in answers)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": sum(count(said.reasoning) for said in answers)},
    }


def _logprobs(content: Iterable[str], refusal: Iterable[str], top: int) -> dict[str, Any] | None:
    told = {
        "content": [_logprob(token, top) for token in content if token] or None,
        "refusal": [_logprob(token, top) for token in refusal if token] or None,
    }
    return told if told["content"] or told["refusal"] else None


def _logprob(token: str, top: int) -> dict[str, Any]:
    """The log probability of `token`, always the same for the same token, and the likeliest in its place."""
    logprob = -(crc32(token.encode()) % 900 + 1) / 1000
    likeliest = [_token(token, logprob)] + [_token(f"{token}{rank}", logprob - rank) for rank in range(1, top)]
    return {**_token(token, logprob), "top_logprobs": likeliest[:top]}


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
