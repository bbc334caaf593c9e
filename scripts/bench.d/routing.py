"""What the decision costs where a call goes, within one process: from the request to the plan."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trunkline.call import Attempt, Call
from trunkline.catalog.catalog import Catalog
from trunkline.catalog.override import Override
from trunkline.catalog.price import Price
from trunkline.catalog.schedule import Period
from trunkline.core.walk import Walk
from trunkline.errors import unsupported
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Board
from trunkline.routing.names import Names
from trunkline.routing.router import Router
from trunkline.routing.spec import Member, RouteSpec, Spec
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse, Usage
from trunkline.v1.content_pb2 import ROLE_SYSTEM, ROLE_USER
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.models_pb2 import Model

AIM: Final = 30.0
"""The most microseconds that a decision among twenty targets may cost."""
TARGETS: Final = 20

_WARM: Final = 0.2
"""Seconds for which each is run before it is measured."""

_FEATURES: Final = frozenset({"tools", "json_object", "json_schema", "reasoning", "sampling"})


@dataclass(slots=True)
class Decision:
    """One kind of decision. `costs` are microseconds of processor time in each round."""

    what: str
    run: Callable[[], object]
    costs: list[float] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """By the middle half of the rounds, as of every aim of the bench."""
        low, high = min(self.costs), max(self.costs)
        if len(self.costs) >= 4:
            low, _, high = statistics.quantiles(self.costs, n=4, method="inclusive")
        if high <= AIM:
            return "met"
        return "not met" if low > AIM else "unclear"


def decisions() -> list[Decision]:
    """Each kind, in the order in which they are told."""
    router = _router()
    return [
        _decision("one target", router, _request("house/p0")),
        _decision("a configured order of 20", router, _request("ordered")),
        _decision("a model at 20 providers, by price", router, _request("everywhere")),
        _decision("auto:balance over 20 models", router, _request("auto:balance")),
        _decision(
            "20 targets in the caller's order", router, _request("everywhere", provider_order=["p7", "p3", "p11"])
        ),
        _decision(
            "20 targets at a price that the caller sets", router, _request("everywhere", max_price={"prompt": 2.0})
        ),
    ]


def measure(found: Sequence[Decision], rounds: int, seconds: float) -> None:
    """Measure each in every round. Garbage is collected as the gateway does it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    for one in found:
        _time(one.run, min(seconds, _WARM))
    for _ in range(rounds):
        for one in found:
            one.costs.append(_time(one.run, seconds / 2))


def text(found: Sequence[Decision]) -> str:
    """The report for people: a table in Markdown."""
    lines = ["| decision | cost (least - most) | aim |", "|---|--:|---|"]
    for one in found:
        cost = f"{statistics.median(one.costs):.1f} us ({min(one.costs):.1f} - {max(one.costs):.1f})"
        lines.append(f"| {one.what} | {cost} | <= {AIM:.0f} us: {one.verdict} |")
    return "\n".join(lines)


def plain(found: Sequence[Decision]) -> list[dict[str, Any]]:
    """The same for programs: every reading."""
    return [{"what": one.what, "aim": AIM, "verdict": one.verdict, "costs": one.costs} for one in found]


class _Silent:
    """A provider that is never asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        raise unsupported("")

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        yield []

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        return None

    async def compact(self, request: ChatRequest, attempt: Attempt) -> ChatResponse | None:
        return None

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> EmbedResponse:
        raise unsupported("")

    async def list_models(self) -> Sequence[Model]:
        return []

    async def close(self) -> None:
        """Nothing was opened."""


class _Unlisted:
    async def list(self) -> Sequence[Model]:
        return []


def _router() -> Router:
    """Twenty targets of unlike prices, qualities and latencies, each with some thousand calls behind it."""
    names = [f"p{number}" for number in range(TARGETS)]
    board = Board()
    facts = {
        f"{name}/*": Override(
            {"features": _FEATURES, "quality": 0.3 + number / 40, "context": 200_000, "max_output": 32_000},
            (Period(Price("v", 10**8 * (number + 1), 4 * 10**8 * (number + 1))),),
        )
        for number, name in enumerate(names)
    }
    members = {name: [Member(_Silent(name), "openai-compatible")] for name in names}
    targets = [(f"{name}/m", 1.0) for name in names]
    spec = Spec(
        {**members, "house": [Member(_Silent("house"), "openai-compatible")]},
        {"everywhere": RouteSpec(targets, "inverse_price"), "ordered": RouteSpec(targets)},
    )
    for number, name in enumerate(names):
        _live(board, name, 0.2 + number / 50)
    return Router(Names(spec, Catalog(facts), board, _Unlisted()), Affinity())


def _live(board: Board, name: str, first: float) -> None:
    health, now = board.health(name, "", "m"), time.monotonic()
    for number in range(1000):
        attempt = Attempt(Call("r", "openai", "stream_chat"), name, "m", started=now - 2.0)
        health.began(attempt)
        attempt.first_event, attempt.ended, attempt.whole = now - 2.0 + first * (1 + number % 5 / 5), now, True
        attempt.usage = Usage(output_tokens=100)
        health.ended(attempt)


def _request(model: str, **routing: Any) -> ChatRequest:
    """A request of common size."""
    request = ChatRequest(model=model)
    request.messages.add(role=ROLE_SYSTEM).parts.add(text="You are a helpful assistant. " * 20)
    request.messages.add(role=ROLE_USER).parts.add(text="What is the weather like in Paris today? " * 5)
    if routing:
        request.routing.provider_order.extend(routing.get("provider_order", ()))
        if "max_price" in routing:
            request.routing.max_price.prompt = routing["max_price"]["prompt"]
    return request


def _decision(what: str, router: Router, request: ChatRequest) -> Decision:
    call = Call("req_1", "openai", "chat", caller="team")

    def run() -> object:
        plan = _result(router.chat(request, call))
        return Walk(plan, 0.0, None).next(0.0)

    return Decision(what, run)


def _result(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a decision waits for something")


def _time(run: Callable[[], object], seconds: float) -> float:
    """Microseconds of processor time that one run takes."""
    runs, until, started = 0, time.monotonic() + seconds, time.process_time_ns()
    while runs == 0 or time.monotonic() < until:
        for _ in range(20):
            run()
        runs += 20
    return (time.process_time_ns() - started) / runs / 1e3
