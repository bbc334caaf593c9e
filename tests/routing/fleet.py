"""Providers without wires behind the real names, health and router."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fakes.scripted_provider import ScriptedProvider

from trunkline.call import Attempt, Call
from trunkline.catalog.catalog import Catalog
from trunkline.catalog.override import Override
from trunkline.catalog.price import Price
from trunkline.catalog.schedule import Period
from trunkline.core.plan import Policy
from trunkline.errors import GatewayError
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Board, Breaker
from trunkline.routing.names import Names
from trunkline.routing.offer import Offer
from trunkline.routing.router import Router
from trunkline.routing.rules import Rules
from trunkline.routing.spec import Member, PoolSpec, RouteSpec, Spec
from trunkline.v1.chat_pb2 import Usage
from trunkline.v1.models_pb2 import Model

ALL = frozenset({"tools", "json_object", "json_schema", "reasoning", "logprobs", "prefill", "sampling"})
"""Every feature that a request can need, and `prefill`."""


def known(dollars_in: float | None = 1.0, dollars_out: float = 1.0, **facts: Any) -> Override:
    """What is known of a model: dollars for a million tokens, unless it is unpriced, and facts."""
    periods = () if dollars_in is None else (Period(Price("v", round(dollars_in * 1e9), round(dollars_out * 1e9))),)
    return Override({"features": ALL, "quality": 0.5} | facts, periods)


class Listed:
    """The models that providers list. `asked` counts how often they are."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self.ids = list(ids)
        self.asked = 0

    async def list(self) -> Sequence[Model]:
        self.asked += 1
        return [Model(id=one) for one in self.ids]


@dataclass
class Fleet:
    """Some providers, and what chooses among them."""

    providers: dict[str, Any]
    spec: Spec
    board: Board
    catalog: Catalog
    listed: Listed
    names: Names
    router: Router
    affinity: Affinity = field(default_factory=Affinity)

    async def found(self, name: str) -> list[str]:
        """The ids of the targets that a name leads to."""
        return [offer.target.id for offer in (await self.names.resolve(name)).offers]


def fleet(
    providers: Mapping[str, str] | Sequence[str] = ("a", "b", "c"),
    *,
    routes: Mapping[str, RouteSpec | Sequence[str]] = {},
    aliases: Mapping[str, str] = {},
    pools: Mapping[str, PoolSpec] = {},
    models: Mapping[str, Sequence[str]] = {},
    keys: Mapping[str, Sequence[str]] = {},
    knows: Mapping[str, Override] = {},
    listed: Iterable[str] = (),
    policy: Policy | None = None,
    breaker: Breaker | None = None,
    rules: Rules | None = None,
    chance: Callable[[], float] = lambda: 0.5,
    make: Callable[[str], Any] = ScriptedProvider,
) -> Fleet:
    """A fleet. `providers` are names, or names and their kinds; `keys` the labels of those that have several keys; a
    route is its targets, unless it says more."""
    kinds = dict(providers) if isinstance(providers, Mapping) else dict.fromkeys(providers, "openai-compatible")
    made = {name: make(name) for name in kinds}
    members = {name: [Member(made[name], kind, key) for key in keys.get(name, ("",))] for name, kind in kinds.items()}
    specs = {
        name: route
        if isinstance(route, RouteSpec)
        else RouteSpec([(one, 1.0) for one in route], policy=policy or Policy())
        for name, route in routes.items()
    }
    spec = Spec(members, specs, aliases, pools, models, policy or Policy())
    board, catalog, said = Board(breaker), Catalog(knows), Listed(listed)
    names = Names(spec, catalog, board, said)
    affinity = Affinity()
    return Fleet(made, spec, board, catalog, said, names, Router(names, affinity, rules, chance), affinity)


def offer_of(
    name: str = "a", board: Board | None = None, said: Override | None = None, key: str = "", weight: float = 1.0
) -> Offer:
    """An offer by itself: the model `m` of a provider called `name`."""
    catalog = Catalog({} if said is None else {f"{name}/m": said})
    health = (board or Board()).health(name, key, "m")
    return Offer(ScriptedProvider(name), "m", key, "openai-compatible", catalog, health, weight)


def attempted(
    *,
    at: float = 0.0,
    took: float = 1.0,
    first: float | None = None,
    tokens: int = 0,
    error: GatewayError | None = None,
    whole: bool = True,
    status: int | None = 200,
    streamed: bool = True,
) -> Attempt:
    """An attempt that began at `at`; `first` is its time to the first event."""
    call = Call("req_1", "grpc", operation="stream_chat" if streamed else "chat")
    attempt = Attempt(call, "a", "m", started=at, ended=at + took, status=status, error=error)
    attempt.whole = whole and error is None
    if error is None:
        attempt.first_event = at + (took / 2 if first is None else first)
        attempt.usage = Usage(output_tokens=tokens)
    return attempt
