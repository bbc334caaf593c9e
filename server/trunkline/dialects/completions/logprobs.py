"""Log probabilities as Completions write them: arrays side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

from trunkline.dialects.wire import Json
from trunkline.v1.content_pb2 import TokenLogprob

_LEAST: Final = -9999.0
"""What OpenAI writes for a probability of nothing; JSON has no infinity."""


def decode_logprobs(wire: Json) -> Iterator[TokenLogprob]:
    """Read the arrays of a choice. The first token of an echoed prompt has no probability: NaN."""
    if not isinstance(wire, dict):
        return
    tokens, chosen, likeliest = (_list(wire, key) for key in ("tokens", "token_logprobs", "top_logprobs"))
    for index, token in enumerate(tokens):
        if not isinstance(token, str):
            continue
        out = TokenLogprob(token=token, logprob=_number(chosen[index] if index < len(chosen) else None))
        top = likeliest[index] if index < len(likeliest) else None
        for name, value in top.items() if isinstance(top, dict) else ():
            out.top.add(token=name, logprob=_number(value))
        yield out


def encode_logprobs(items: Iterable[TokenLogprob], offset: int) -> dict[str, Json]:
    """Write the arrays of a choice whose first token stands `offset` characters behind the beginning of its text."""
    tokens: list[Json] = []
    chosen: list[Json] = []
    likeliest: list[Json] = []
    offsets: list[Json] = []
    for item in items:
        tokens.append(item.token)
        chosen.append(None if math.isnan(item.logprob) else _finite(item.logprob))
        likeliest.append({top.token: _finite(top.logprob) for top in item.top} if item.top else None)
        offsets.append(offset)
        offset += len(item.token)
    return {"tokens": tokens, "token_logprobs": chosen, "top_logprobs": likeliest, "text_offset": offsets}


def _list(wire: dict[str, Json], key: str) -> list[Json]:
    value = wire.get(key)
    return value if isinstance(value, list) else []


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _finite(value: float) -> float:
    return value if math.isfinite(value) else _LEAST
