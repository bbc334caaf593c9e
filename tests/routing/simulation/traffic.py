"""Thousands of calls through the real gateway, in virtual time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from fakes import virtual_time
from fakes.scripted_provider import asking
from routing.fleet import Fleet, fleet, known
from routing.simulation.provider import Behaviour, Simulated

from trunkline.call import Call
from trunkline.core.check import Limits
from trunkline.core.gateway import Gateway
from trunkline.core.plan import Policy
from trunkline.errors import GatewayError
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Breaker
from trunkline.routing.spec import RouteSpec
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.models_pb2 import Model

_SEED = 20


@dataclass
class Seen:
    """What became of one call: when it came, who answered, the seconds to the first token and to the end, how many
    attempts it took, and the price of the target in dollars for a million tokens."""

    at: float
    provider: str
    first: float
    took: float
    attempts: int
    dollars: float
    failed: bool


@dataclass
class Outcome:
    """What became of all calls, and what each provider counted."""

    calls: list[Seen] = field(default_factory=list)
    providers: Mapping[str, Simulated] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Calls that ended with an error."""
        return sum(call.failed for call in self.calls)

    @property
    def attempts(self) -> float:
        """Attempts for each call."""
        return sum(call.attempts for call in self.calls) / len(self.calls)

    @property
    def dollars(self) -> float:
        """What an answer costs, in dollars for a million tokens."""
        return sum(call.dollars for call in self.answered) / len(self.answered)

    @property
    def answered(self) -> list[Seen]:
        """Calls that ended well."""
        return [call for call in self.calls if not call.failed]

    @property
    def shares(self) -> dict[str, float]:
        """Which share of the answers each provider gave."""
        return {
            name: sum(call.provider == name for call in self.answered) / len(self.answered) for name in self.providers
        }

    def between(self, begin: float, end: float) -> Outcome:
        """The calls that came in that time."""
        return Outcome([call for call in self.calls if begin <= call.at < end], self.providers)

    def first(self, share: float) -> float:
        """Seconds to the first token, for a share of the answers."""
        times = sorted(call.first for call in self.answered)
        return times[min(int(share * len(times)), len(times) - 1)]


class _Unlisted:
    async def list(self) -> Sequence[Model]:
        return []

    def describe(self, name: str, targets: Sequence[Any]) -> Model:
        return Model(id=name)


def simulate(
    behaviours: Mapping[str, Behaviour],
    *,
    calls: int = 2000,
    rate: float = 5.0,
    strategy: str = "order",
    policy: Policy = Policy(),  # noqa: B008 - it is frozen
    breaker: Breaker | None = None,
    keys: Mapping[str, Sequence[str]] = {},
    affinity: bool = True,
    conversations: int | None = None,
    deadline: float | None = None,
    ask: Callable[[int], ChatRequest] | None = None,
) -> Outcome:
    """What becomes of `calls` streams, `rate` in a second, to a route over all providers. Each is a conversation of its
    own, unless there are only so many."""

    async def main() -> Outcome:
        source = random.Random(_SEED)  # noqa: S311 - the same each time
        router = _fleet(behaviours, strategy, policy, breaker, keys, affinity, source)
        gateway = Gateway(router.router, _Unlisted(), Limits())
        outcome, began = Outcome(providers=router.providers), time.monotonic()

        async def one(number: int) -> None:
            talk = number if conversations is None else number % conversations
            request = asking(f"conversation {talk}", model="all") if ask is None else ask(number)
            outcome.calls.append(await _call(gateway, request, behaviours, began, deadline))

        async with asyncio.TaskGroup() as running:
            for number in range(calls):
                await asyncio.sleep(source.expovariate(rate))
                running.create_task(one(number))
        outcome.calls.sort(key=lambda seen: seen.at)
        return outcome

    state = random.getstate()
    random.seed(_SEED)
    try:
        return virtual_time.run(main())
    finally:
        random.setstate(state)


def _fleet(
    behaviours: Mapping[str, Behaviour],
    strategy: str,
    policy: Policy,
    breaker: Breaker | None,
    keys: Mapping[str, Sequence[str]],
    affinity: bool,
    source: random.Random,
) -> Fleet:
    made = fleet(
        list(behaviours),
        routes={"all": RouteSpec([(f"{name}/m", 1.0) for name in behaviours], strategy, policy)},
        knows={f"{name}/m": known(one.dollars, one.dollars, quality=one.quality) for name, one in behaviours.items()},
        keys=keys,
        breaker=breaker,
        chance=source.random,
        make=lambda name: Simulated(name, behaviours[name], source),
    )
    if not affinity:
        made.router._affinity = Affinity(most=0)
    return made


async def _call(
    gateway: Gateway, request: ChatRequest, behaviours: Mapping[str, Behaviour], began: float, deadline: float | None
) -> Seen:
    now = time.monotonic()
    call = Call("req", "grpc", deadline=None if deadline is None else now + deadline, started=now)
    failed = False
    try:
        async with aclosing(gateway.stream_chat(request, call)) as batches:
            async for _ in batches:
                pass
    except GatewayError:
        failed = True
    first = (call.first_event or time.monotonic()) - now
    dollars = 0.0 if failed else behaviours[call.provider].dollars
    return Seen(now - began, call.provider, first, time.monotonic() - now, len(call.attempts), dollars, failed)
