"""Plans over targets whose pulse a test sets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fakes.scripted_provider import ScriptedProvider, asking

from trunkline.call import Attempt, Call
from trunkline.core.plan import Candidate, Leg, Plan, Policy
from trunkline.core.target import STEADY, Pulse, Target
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest

USUAL = Policy()


@dataclass
class SetPulse:
    """A pulse as the test sets it: left alone until `until`, for `error`."""

    until: float = 0.0
    error: GatewayError | None = None
    p95: float | None = None
    resort: bool = False
    begun: list[Attempt] = field(default_factory=list)
    over: list[Attempt] = field(default_factory=list)

    def wait(self, now: float) -> float:
        return max(self.until - now, 0.0)

    def why(self) -> GatewayError | None:
        return self.error

    def last_resort(self, now: float) -> bool:
        return self.resort

    def began(self, attempt: Attempt) -> None:
        self.begun.append(attempt)

    def ended(self, attempt: Attempt) -> None:
        self.over.append(attempt)

    def slow(self) -> float | None:
        return self.p95


def candidate(name: str = "a", pulse: Pulse = STEADY, provider: Any = None, prefills: bool = False) -> Candidate[Any]:
    """A candidate called `name`."""
    return Candidate(Target(provider or ScriptedProvider(name), "m", pulse=pulse, prefills=prefills), asking())


def plan_of(*legs: Iterable[Candidate[Any]], policy: Policy = USUAL) -> Plan[ChatRequest]:
    """A plan of one leg for each list of candidates."""
    return Plan([Leg(list(candidates), policy) for candidates in legs], "order")


def calling(deadline: float | None = None) -> Call:
    """A call."""
    return Call("req_1", "grpc", deadline=deadline)
