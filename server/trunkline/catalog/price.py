"""What a call costs: integers of nano-dollars, exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import mul
from typing import Final, NamedTuple

from trunkline.catalog.tokens import Said, Tokens, count, said_of
from trunkline.v1.chat_pb2 import Usage

NANO: Final = 1_000_000_000
"""Nano-dollars in a dollar."""
_MILLION: Final = 1_000_000

_WHOLE: Final = {
    "input_audio": "input",
    "input_image": "input",
    "input_video": "input",
    "cached_input": "input",
    "cached_audio": "cached_input",
    "cached_image": "cached_input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "output_audio": "output",
    "output_image": "output",
    "output_video": "output",
    "reasoning": "output",
}
"""A class of tokens -> the class whose price it has where it has none of its own."""
_SAID: Final = tuple(Said.__slots__)
"""What no field of the contract counts."""
_CACHED, _WRITTEN, _OUTPUT, _REASONING = (
    Tokens._fields.index(name) for name in ("cached_input", "cache_write", "output", "reasoning")
)


class Cost(NamedTuple):
    """What a call cost, in nano-dollars. The classes add up to `total` exactly.

    `input` is what was neither read from a cache nor written to one, `output` what was not reasoning, `request` what
    each call costs, the provider's searches of the web with it.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    request: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """A price list of a model at a provider: nano-dollars per million tokens.

    A class without a price of its own costs what the class costs that it is a part of: cached input as input, a
    one-hour cache write as a cache write, reasoning as output. Without `output` the model writes nothing, as one that
    embeds. `version` names the list in the ledger. `request` and `search` are nano-dollars for each call, and for
    each search of the web that the provider makes. `tiers` hold whole lists for calls with more than so many input
    tokens, in rising order: their prices are those of all tokens of the call.
    """

    version: str
    input: int
    output: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    input_video: int | None = None
    cached_audio: int | None = None
    cached_image: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    output_video: int | None = None
    request: int = 0
    search: int = 0
    tiers: tuple[tuple[int, Price], ...] = ()
    _rates: Tokens = field(init=False, repr=False, compare=False)
    _dearest: tuple[int, int] = field(init=False, repr=False, compare=False)
    _detailed: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rates = Tokens(*map(self._rate, Tokens._fields))
        object.__setattr__(self, "_rates", rates)
        object.__setattr__(self, "_dearest", (max(rates[:_OUTPUT]), max(rates[_OUTPUT:])))
        detailed = self.search > 0 or any(getattr(self, name, None) is not None for name in _SAID)
        object.__setattr__(self, "_detailed", detailed)

    def cost(self, usage: Usage) -> Cost:
        """What `usage` costs. Summed exactly and divided once, halves rounded up."""
        for above, tier in reversed(self.tiers):
            if usage.input_tokens > above:
                return tier.cost(usage)
        # Each class is what the rounded sum grows by with it, so the classes add up to the total.
        shares: list[int] = []
        summed = total = 0
        for part in self._detail(usage) if self._detailed and usage.extras else self._plain(usage):
            if part:
                summed += part
                rounded = (summed + _MILLION // 2) // _MILLION
                shares.append(rounded - total)
                total = rounded
            else:
                shares.append(0)
        return Cost._make((*shares, total))

    def upper_bound(self, input_tokens: int, output_tokens: int, searches: int = 0) -> int:
        """The most nano-dollars that a call can cost with at most so many tokens and searches, however the tokens are
        cached, reasoned or heard."""
        read, written = self._dearest
        charged = read * input_tokens + written * output_tokens
        most = -(-charged // _MILLION) + self.request + self.search * searches
        for above, tier in self.tiers:
            if input_tokens > above:
                most = max(most, tier.upper_bound(input_tokens, output_tokens, searches))
        return most

    @property
    def free(self) -> bool:
        """Whether no call costs anything."""
        return not any(self._rates) and not self.request and not self.search and all(t.free for _, t in self.tiers)

    def _detail(self, usage: Usage) -> tuple[int, ...]:
        """What each class of `Cost` comes to, in millionths of nano-dollars, by all that the provider said."""
        said = said_of(usage)
        charged = list(map(mul, self._rates, count(usage, said)))
        return (
            sum(charged[:_CACHED]),
            sum(charged[_CACHED:_WRITTEN]),
            sum(charged[_WRITTEN:_OUTPUT]),
            sum(charged[_OUTPUT:_REASONING]),
            charged[_REASONING],
            (self.request + self.search * said.searches) * _MILLION,
        )

    def _plain(self, usage: Usage) -> tuple[int, ...]:
        """As `_detail`, where no more is known than the contract counts; in a fifth of the time."""
        rates = self._rates
        read, wrote = max(usage.input_tokens, 0), max(usage.output_tokens, 0)
        cached = min(max(usage.cached_input_tokens, 0), read)
        written = min(max(usage.cache_write_input_tokens, 0), read - cached)
        reasoned = min(max(usage.reasoning_output_tokens, 0), wrote)
        return (
            rates[0] * (read - cached - written),
            rates[_CACHED] * cached,
            rates[_WRITTEN] * written,
            rates[_OUTPUT] * (wrote - reasoned),
            rates[_REASONING] * reasoned,
            self.request * _MILLION,
        )

    def _rate(self, name: str) -> int:
        own: int | None = getattr(self, name)
        if own is not None:
            return own
        whole = _WHOLE.get(name)
        return 0 if whole is None else self._rate(whole)
