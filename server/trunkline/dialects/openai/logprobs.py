"""Log probabilities of the tokens of an answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from trunkline.dialects.wire import Json
from trunkline.v1.content_pb2 import TokenLogprob

_LEAST = -9999.0
"""What OpenAI writes for a probability of nothing; JSON has no infinity."""


def decode_logprobs(items: Any) -> Iterator[TokenLogprob]:
    """Read an array of token objects; what is no such object is passed over."""
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict):
            continue
        token, logprob, raw = item.get("token"), item.get("logprob"), item.get("bytes")
        if not isinstance(token, str):
            continue
        out = TokenLogprob(token=token, logprob=float(logprob) if isinstance(logprob, int | float) else _LEAST)
        if isinstance(raw, list) and all(type(byte) is int and 0 <= byte < 256 for byte in raw):
            out.raw = bytes(raw)
        out.top.extend(decode_logprobs(item.get("top_logprobs")))
        yield out


def encode_logprobs(logprobs: Iterable[TokenLogprob]) -> list[Json]:
    """Write an array of token objects."""
    return [{**_token(item), "top_logprobs": [_token(top) for top in item.top]} for item in logprobs]


def _token(item: TokenLogprob) -> dict[str, Json]:
    logprob = item.logprob if math.isfinite(item.logprob) else _LEAST
    return {"token": item.token, "logprob": logprob, "bytes": list(item.raw) if item.raw else None}
