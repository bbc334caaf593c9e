"""What a request lets an answer grow to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from trunkline.providers.sim.errors import ApiError
from trunkline.providers.sim.scripts import Said, ToolCall
from trunkline.providers.sim.tokens import SIZE, count

MOST_TEXT: Final = 100_000_000
"""The most characters of all answers to one request together."""

MOST_LOGPROBS: Final = 100_000
"""The most log probabilities of all answers to one request together."""


def limit(said: Said, stops: Sequence[str], budget: int | None) -> Said:
    """`said`, up to the first of `stops` and to `budget` tokens."""
    if stops and said.text:
        places = [place for stop in stops if (place := said.text.find(stop)) >= 0]
        if places:
            said = msgspec.structs.replace(said, text=said.text[: min(places)], finish="stop")
    if budget is None or used(said) <= budget:
        return said
    reasoning, budget = _cut(said.reasoning, budget)
    text, budget = _cut(said.text, budget)
    refusal, budget = _cut(said.refusal, budget)
    calls: list[ToolCall] = []
    for call in said.calls:
        if budget == 0:
            break
        arguments, budget = _cut(call.arguments, budget)
        calls.append(ToolCall(call.id, call.name, arguments))
    return Said(reasoning, text, refusal, calls, "length")


def used(said: Said) -> int:
    """How many tokens `said` is: its reasoning, text, refusal and the arguments of its calls."""
    tokens = count(said.reasoning) + count(said.text) + count(said.refusal)
    return tokens + sum(count(call.arguments) for call in said.calls)


def check(answers: Sequence[Said], logprobs: int) -> None:
    """Refuse an answer that would take too much memory; `logprobs` is how many each token has. Raises `ApiError`."""
    tokens = sum(used(said) for said in answers)
    if tokens * SIZE > MOST_TEXT:
        raise ApiError(400, f"The answers would hold more than {MOST_TEXT} characters.", param="n")
    if tokens * logprobs > MOST_LOGPROBS:
        raise ApiError(400, f"The answers would hold more than {MOST_LOGPROBS} log probabilities.", param="logprobs")


def _cut(text: str, budget: int) -> tuple[str, int]:
    cut = text[: budget * SIZE]
    return cut, budget - count(cut)
