"""Log probabilities of the tokens of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from trunkline.dialects.gemini.names import camel
from trunkline.dialects.wire import Json, Object
from trunkline.v1.content_pb2 import TokenLogprob

_LEAST = -9999.0
"""For a probability of nothing; JSON has no infinity."""


def decode_logprobs(wire: Object) -> list[TokenLogprob]:
    """Read a `logprobsResult`: the chosen tokens, and beside each the likeliest ones."""
    camel(wire.fields)
    chosen = wire.take_list("chosenCandidates") or []
    top = wire.take_list("topCandidates") or []
    out: list[TokenLogprob] = []
    for token, others in zip_longest(chosen, top[: len(chosen)]):
        if not isinstance(token, dict):
            continue
        logprob = _token(token)
        listed = others.get("candidates") if isinstance(others, dict) else None
        for other in listed if isinstance(listed, list) else ():
            if isinstance(other, dict):
                logprob.top.append(_token(other))
        out.append(logprob)
    return out


def _token(wire: dict[str, Json]) -> TokenLogprob:
    camel(wire)
    token, logprob = wire.get("token"), wire.get("logProbability")
    return TokenLogprob(
        token=token if isinstance(token, str) else "",
        logprob=float(logprob) if isinstance(logprob, int | float) else _LEAST,
    )


def encode_logprobs(logprobs: Iterable[TokenLogprob]) -> dict[str, Json]:
    """Write a `logprobsResult`."""
    chosen: list[Json] = []
    top: list[Json] = []
    for item in logprobs:
        chosen.append({"token": item.token, "logProbability": item.logprob})
        top.append({"candidates": [{"token": other.token, "logProbability": other.logprob} for other in item.top]})
    return (
        {"chosenCandidates": chosen, "topCandidates": top}
        if any(other["candidates"] for other in top)
        else {"chosenCandidates": chosen}
    )
