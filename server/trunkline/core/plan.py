"""What is to be done about a call: whom to ask, in which order, and how long to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar

from trunkline.call import Call
from trunkline.core.hedge import Hedge
from trunkline.core.report import report_of
from trunkline.core.target import Target
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.embeddings_pb2 import EmbedRequest
from trunkline.v1.routes_pb2 import RouteReport

R = TypeVar("R", bound=ChatRequest | EmbedRequest)


class MidStream(Enum):
    """What becomes of an answer that breaks off after its beginning."""

    FAIL = "fail"
    """The caller is told."""
    RESTART = "restart"
    """Another target begins anew, where nothing of the answer was shown yet."""
    CONTINUE = "continue"
    """Another target goes on where the answer broke off, where one can."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to go on with one route. Times are seconds; where one is None, only the caller's deadline bounds it.

    `retries` are the attempts after each candidate was asked once. Before the first of them is a pause of at most
    `backoff`, before each further one a pause twice as long. After `timeout` no further attempt begins.
    `first_event` is the time to a sign of life, `first_token` to the first piece of the answer, `between_events` to
    each further one, and `total` that of one attempt.
    """

    retries: int = 3
    backoff: float = 0.5
    timeout: float | None = 60.0
    first_event: float | None = None
    first_token: float | None = None
    between_events: float | None = None
    total: float | None = None
    mid_stream: MidStream = MidStream.FAIL
    hedge: Hedge | None = None


class Candidate(NamedTuple, Generic[R]):
    """A target, what it is asked, and why it stands where it stands. `offer` is what the maker of the plan knows of the
    target."""

    target: Target
    request: R
    reason: str = ""
    score: float | None = None
    offer: object = None


@dataclass(frozen=True, slots=True)
class Leg(Generic[R]):
    """The candidates of one route, in the order to try them."""

    candidates: Sequence[Candidate[R]]
    policy: Policy


class Exclusion(NamedTuple):
    """A target that may not answer, and why."""

    target: Target
    reason: str


@dataclass(slots=True)
class Plan(Generic[R]):
    """The legs of a call: each further one is for another model that the caller named. There is at least one, and each
    has a candidate. `mode` is how the first was put in order, `rule` what changed the request before, and
    `conversation` what the plan's maker knows the conversation by."""

    legs: Sequence[Leg[R]]
    mode: str
    rule: str = ""
    exclusions: Sequence[Exclusion] = ()
    conversation: bytes = b""


class Plans(Protocol):
    """What makes plans. Both raise `GatewayError`: NOT_FOUND for a name that leads nowhere, or where nothing is left
    of what it leads to."""

    async def chat(self, request: ChatRequest, call: Call) -> Plan[ChatRequest]:
        """Where a conversation goes."""
        ...

    async def embed(self, request: EmbedRequest, call: Call) -> Plan[EmbedRequest]:
        """Where inputs go to be embedded."""
        ...

    def done(self, plan: Plan[ChatRequest], candidate: Candidate[ChatRequest], call: Call) -> None:
        """The call ended well at `candidate`."""
        ...

    def report(self, plan: Plan[ChatRequest], call: Call) -> RouteReport:
        """What is to be told of a plan and of the attempts that were made."""
        ...


class InOrder:
    """Plans for those who have their targets already: each is asked once, in order."""

    def __init__(self, resolve: Callable[[str], Sequence[Target]], policy: Policy = Policy(retries=0)) -> None:
        self._resolve = resolve
        self._policy = policy

    async def chat(self, request: ChatRequest, call: Call) -> Plan[ChatRequest]:
        """See `Plans.chat`."""
        return self._plan(request)

    async def embed(self, request: EmbedRequest, call: Call) -> Plan[EmbedRequest]:
        """See `Plans.embed`."""
        return self._plan(request)

    def done(self, plan: Plan[ChatRequest], candidate: Candidate[ChatRequest], call: Call) -> None:
        """See `Plans.done`."""

    def report(self, plan: Plan[ChatRequest], call: Call) -> RouteReport:
        """See `Plans.report`."""
        return report_of(plan, call)

    def _plan(self, request: R) -> Plan[R]:
        candidates = [Candidate(target, request) for target in self._resolve(request.model)]
        return Plan([Leg(candidates, self._policy)], "order")
